"""`leuko-edge bench`: how fast a machine is, as ratios and with its conditions."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ENGINE_SETTINGS, Given, takes

_INSTEAD = "Other measurements"
_BUT_BATCH = tuple(name for name in ENGINE_SETTINGS if name != "max_batch")


@takes(EdgeSettings, "source", "um_per_px", "profile", *_BUT_BATCH, source="virtual:seed=42,wbc=1.5")
def bench(
    given: Given,
    bundles: Annotated[list[Path] | None, typer.Argument(help="models, each measured; as --bundle, or the shipped one")] = None,
    batch: Annotated[str, typer.Option("--batch", "--max-batch", help="frames of one inference; several with commas")] = "1",
    deadline_ms: Annotated[str, typer.Option(help="a field waits no longer for its batch; several with commas")] = "5",
    rate: Annotated[
        str, typer.Option(help="fields per second of the runs at fixed rates; several with commas, `none` for no such runs")
    ] = "5,10,25,50,100",
    fields: Annotated[int, typer.Option(min=1, help="fields of one round")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of each contestant; they take turns")] = 5,
    loop_only: Annotated[
        bool, typer.Option("--loop-only", help="leave the whole edge with its controller out, and the fixed rates")
    ] = False,
    idle_s: Annotated[float, typer.Option(min=0, max=3600, help="rest before the first field after a rest")] = 2.0,
    folder: Annotated[Path | None, typer.Option("--dir", help="folder on the disk that journals are measured on")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="write all figures and conditions to this file; - for standard output")
    ] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="write a page with plots, complete in one file")] = None,
    table2: Annotated[
        bool, typer.Option("--table2", help="instead: the reference's seven systems", rich_help_panel=_INSTEAD)
    ] = False,
    systems: Annotated[
        Path | None,
        typer.Option(help="folder of their bundles, by recipe; what is missing is exported", rich_help_panel=_INSTEAD),
    ] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="instead: what people run instead, in turn", rich_help_panel=_INSTEAD)
    ] = False,
    peers_dir: Annotated[
        Path | None, typer.Option(help="the repository's examples/peers, outside a checkout", rich_help_panel=_INSTEAD)
    ] = None,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="instead: what a field costs as a slide grows", rich_help_panel=_INSTEAD)
    ] = False,
    up_to: Annotated[
        int, typer.Option(min=1000, max=10_000_000, help="fields of the longest run", rich_help_panel=_INSTEAD)
    ] = 100_000,
) -> None:
    """Measure the bare graph at its best, the engine, the pipeline and the whole edge, each in turn; only ratios are claims.

    Frames are in memory already. The whole edge is measured from there to the record with a controller in another process, at
    full speed, and at fixed rates from the moment at which a scanner meant to trigger.

    leuko-edge bench --batch 1,2,4 --json before.json --html before.html

    leuko-edge bench compare before.json after.json

    leuko-edge bench --table2 --json table2.json
    """
    from edge.bench.bench_files import check_writable, write_text
    from edge.bench.bench_page import page_of, plain_page_of
    from edge.bench.bench_table import text_of
    from edge.bench.edge_bench import Plan, bench_edge
    from edge.contracts.errors import ConfigError
    from edge.service.process import set_up_logging
    from edge.settings.resolution import resolve

    # The fields of --scaling are one picture at many places, which a run rightly doubts field by field.
    set_up_logging("error" if scaling else "warning", None)
    as_text = json_file == Path("-")
    check_writable(None if as_text else json_file)
    check_writable(html_file)
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; make it, or give another with --dir.")
    if table2 + peers + scaling > 1:
        raise ConfigError("--table2, --peers and --scaling are measurements of their own; give one of them.")
    if (table2 or peers or scaling) and len(bundles or ()) > (0 if table2 else 1):
        raise ConfigError("--table2 measures the bundles of --systems, --peers and --scaling one bundle; give no more.")
    numbers = tuple(int(each) for each in _numbers("--batch", batch, whole=True))
    plan = Plan(
        fields=fields,
        rounds=rounds,
        batches=numbers,
        deadlines_ms=_numbers("--deadline-ms", deadline_ms, least=0.0),
        rates_per_s=() if rate == "none" else _numbers("--rate", rate),
        idle_s=idle_s,
        folder=folder,
        whole_edge=not loop_only,
    )
    if (table2 or peers or scaling) and bundles:
        given["bundle"] = bundles[0]
    setup = resolve({**given, "max_batch": numbers[0]})
    if table2:
        from edge.bench.table2 import bench_table2, table2_text

        result = bench_table2(setup, systems, fields, rounds)
        text = table2_text(result)
    elif peers:
        from edge.bench.peers import bench_peers, peers_text

        result = bench_peers(setup, peers_dir, fields, rounds)
        text = peers_text(result)
    elif scaling:
        from edge.bench.scaling import bench_scaling, scaling_text

        result = bench_scaling(setup, up_to)
        text = scaling_text(result)
    else:
        result = bench_edge(setup, bundles or (), plan)
        text = text_of(result)
    if json_file is not None and not as_text:
        write_text(json_file, json.dumps(result, indent=1) + "\n")
    if html_file is not None:
        of_its_own = table2 or peers or scaling
        page = plain_page_of("leuko-edge bench", text, result["conditions"]) if of_its_own else page_of(result)
        write_text(html_file, page)
    typer.echo(json.dumps(result) if as_text else text)


def bench_compare(
    before: Annotated[Path, typer.Argument(help="what `leuko-edge bench --json FILE` wrote")],
    after: Annotated[Path, typer.Argument(help="the same of another day, version or machine")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Say what became faster or slower between two measurements, with 95 % intervals, and what differs in their conditions.

    The two did not take turns: what else a machine did at one of the times is in the ratio. `slower` is said only where the
    whole interval is above 1.
    """
    from edge.bench.bench_comparison import compare, comparison_text
    from edge.bench.bench_files import read_measurement

    found = compare(read_measurement(before), read_measurement(after))
    typer.echo(json.dumps(found) if as_json else comparison_text(found))


def _numbers(option: str, text: str, *, whole: bool = False, least: float = 1e-3) -> tuple[float, ...]:
    """Separated by commas. Raises `ConfigError`."""
    from edge.contracts.errors import ConfigError

    try:
        found = tuple(float(int(word)) if whole else float(word) for word in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(least <= each <= 60_000 for each in found) or (whole and max(found) > 256):
        kind = "whole numbers from 1 to 256" if whole else f"numbers from {least:g} to 60000"
        raise ConfigError(f"{option} {text!r} cannot be used; give {kind}, separated by commas, such as {option} 1,2,4.")
    return found
