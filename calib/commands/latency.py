"""`leuko-calib latency`: batch and deadline for this machine's engine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.contracts.choices import EngineChoice, Hint, Precision


def latency(
    profile: Annotated[Path, typer.Option(help="the instrument's profile so far")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    source: Annotated[
        str | None,
        typer.Argument(help="ordinary fields of this instrument, such as folder:fields/; drawn ones when not given"),
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="the model; the shipped one when not given")] = None,
    engine: Annotated[EngineChoice, typer.Option(help="as a run chooses it")] = "auto",
    engine_dir: Annotated[Path | None, typer.Option(help="directory of the bundle's compiled engines")] = None,
    precision: Annotated[Precision, typer.Option(help="of OpenVINO")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="of OpenVINO; all cores when not given")] = None,
    hint: Annotated[Hint, typer.Option(help="of OpenVINO; auto: latency")] = "auto",
    p99_ms: Annotated[float, typer.Option(min=1, help="budget: from the trigger to the record, 99 of 100 fields")] = 200.0,
    overshoot: Annotated[float, typer.Option(min=0, help="budget: fields triggered until a record is there, mean")] = 3.0,
    batch: Annotated[str, typer.Option(help="batches to try, with commas")] = "1,2,4,8",
    deadline_ms: Annotated[str, typer.Option(help="deadlines to try, with commas")] = "0,5,20,50",
    rate: Annotated[str, typer.Option(help="triggers per second to try, with commas")] = "5,10,25,50,100",
    fields: Annotated[int, typer.Option(min=3, help="fields of each run")] = 100,
    valid_days: Annotated[int, typer.Option(min=1, help="expires after so many days")] = 365,
    picture: Annotated[Path | None, typer.Option(help="the heat map; beside the new profile, as .png, when not given")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Try batches and deadlines at field rates, and write the pair with most throughput within the budget to a profile.

    It holds for the engine that was measured and is kept under its key (OpenVINO: bundle, version, precision, threads,
    hint and processor); a run that opens another one says so and uses its own. Measure on the scanner's computer while it does
    nothing else. To see what either hint can bear, call it once with each; a profile keeps both.

    leuko-calib latency folder:fields/ --profile profile.json --out profile-4.json --p99-ms 150 --overshoot 2
    """
    from rich.console import Console
    from tqdm import tqdm

    from calib.latency_choice import choose
    from calib.latency_map import write_latency_map
    from calib.latency_profile import as_json as result_as_json
    from calib.latency_profile import as_table, with_latency_of
    from calib.latency_sweep import Sweep, numbers, sweep_latency
    from calib.profile_parts import require_free
    from edge.contracts.errors import ConfigError
    from edge.contracts.latency import LatencyBudget
    from edge.contracts.profile import load_profile, write_profile
    from edge.settings.resolution import resolve

    drawn = picture or out.with_suffix(".png")
    require_free(out, drawn, picture is not None)
    try:
        batches = tuple(sorted({int(each) for each in numbers(batch)}))
        deadlines, rates = (tuple(sorted(set(numbers(each)))) for each in (deadline_ms, rate))
    except ValueError:
        batches, deadlines, rates = (), (), ()
    usable = batches and batches[0] >= 1 and batches[-1] <= 256 and deadlines[0] >= 0 and deadlines[-1] <= 60000
    if not usable or not 0 < rates[0] <= rates[-1] <= 1000:
        raise ConfigError(
            f"--batch {batch}, --deadline-ms {deadline_ms} and --rate {rate} cannot all be used; give numbers with commas, "
            "such as --batch 1,2,4 --deadline-ms 0,5,20 --rate 10,25 (batches up to 256, deadlines up to 60000 ms, rates up to "
            "1000)."
        )
    before, _ = load_profile(profile)
    if source is not None and not source.startswith(("virtual:", "recording:")):
        _ = before.measured_scale  # without it the sentence would name an option that only others have
    given: dict[str, object] = {
        "source": source or "virtual:seed=42,wbc=1.5",
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "hint": hint,
    }
    if source is not None:
        given["profile"] = profile
    if bundle is not None:
        given["bundle"] = bundle
    if engine_dir is not None:
        given["engine_dir"] = engine_dir
    setup = resolve(given)
    sweep, budget = Sweep(batches, deadlines, rates, fields), LatencyBudget(p99_ms=p99_ms, overshoot_fields=overshoot)
    with tqdm(total=sweep.runs, desc="latency", unit="run", mininterval=2.0) as shown:
        cells, identity = sweep_latency(setup, sweep, shown.update)
    choice = choose(cells, budget)
    tried = len(batches) * len(deadlines)
    after = with_latency_of(before, identity, choice, budget, fields=fields, settings_tried=tried, valid_days=valid_days)
    write_latency_map(drawn, choice, budget, identity)
    digest = write_profile(out, after)
    if as_json:
        print(json.dumps(result_as_json(cells, choice, identity, out, digest, drawn)))
        return
    console = Console(highlight=False)
    console.print(as_table(choice))
    chosen = choice.chosen
    console.print(
        f"batch {chosen.max_batch}, deadline {chosen.deadline_ms:g} ms on {identity}; the map: {drawn}", soft_wrap=True
    )
    console.print(f"written to {out}", soft_wrap=True)
