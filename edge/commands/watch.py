"""`leuko-edge watch`: the reference controller."""

from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import Given, takes


@takes(EdgeSettings, "order")
def watch(
    given: Given,
    endpoint: Annotated[str, typer.Argument(help="Address of the edge, such as tcp://127.0.0.1:5570.")],
    as_json: Annotated[bool, typer.Option("--json", help="One record a line on standard output.")] = False,
    run_id: Annotated[
        str | None, typer.Option(help="Name of the run to start (a new UUID unless given) or, as observer, to read.")
    ] = None,
    slide_id: Annotated[str | None, typer.Option(help="Slide the run belongs to.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the optics in use, by its name in the edge's `profiles`.")
    ] = None,
    observer: Annotated[bool, typer.Option("--observer", help="Only read: start and stop nothing.")] = False,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="How long to wait for the edge to answer.")] = 10.0,
    key: Annotated[Path | None, typer.Option(help="Own secret key (NAME.key_secret), for an edge with keys.")] = None,
    edge_key: Annotated[Path | None, typer.Option(help="Public key of that edge (edge.key).")] = None,
    limit_width: Annotated[
        list[str] | None,
        typer.Option(help="Class and the widest 95 % limits in percentage points, such as lymphocyte=8; several times."),
    ] = None,
) -> None:
    """Start a run on an edge, show its fields as they come and the differential at the end; Ctrl-C stops the run.

    With an order (--target-leukocytes, --limit-width, --field-cap, --time-cap-s) the run is stopped once the edge advises it
    for good. The exit code is that of the run's outcome.
    """
    from edge.watch.follow import keys_given, watch_run, widths_given

    keys = keys_given(key, edge_key)
    order = given.get("order", {}) | widths_given(limit_width or [])
    code = watch_run(
        endpoint,
        run_id,
        slide_id,
        observer=observer,
        timeout_s=timeout_s,
        keys=keys,
        as_json=as_json,
        order=order,
        profile=profile,
    )
    raise typer.Exit(code)
