"""`leuko-edge simulate`: a scanner that announces its fields, and to which things happen."""

from pathlib import Path
from typing import Annotated

import typer

from edge.scanner.scan_plan import ScanPlan
from edge.settings.command_line import Given, takes

_PLAN = (
    "fields",
    "rate",
    "window",
    "seed",
    "disconnect_every",
    "stall_every",
    "stall_s",
    "restart_every",
    "patience_s",
)


@takes(ScanPlan, *_PLAN)
def simulate(
    given: Given,
    endpoint: Annotated[
        str, typer.Argument(help="Address of an edge whose source is triggered, such as tcp://127.0.0.1:5570.")
    ],
    notebook: Annotated[
        Path | None, typer.Option(help="File in which the scanner remembers; a scanner that was killed goes on from it.")
    ] = None,
    client_id: Annotated[str, typer.Option(help="Name under which the scanner returns.")] = "simulated-scanner",
    key: Annotated[Path | None, typer.Option(help="Own secret key (NAME.key_secret), for an edge with keys.")] = None,
    edge_key: Annotated[Path | None, typer.Option(help="Public key of that edge (edge.key).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Play the scanner: announce every field, pulse when accepted, read the records, and check in the end that all adds up.

    The edge needs a source that waits for triggers, for example `leuko-edge run --source virtual:trigger=software,fields=200`.
    Disconnects, stalls and restarts are drawn from the seed; an edge that was killed and started again with its journal is
    continued in a new run.

    Exit code: 0 when every trigger ended once and all sums match, 1 when not, 6 when the edge refuses or stays away.
    """
    from edge.scanner.simulation import simulate_scan
    from edge.watch.follow import keys_given

    well = simulate_scan(endpoint, given, notebook, client_id, keys_given(key, edge_key), as_json=as_json)
    raise typer.Exit(0 if well else 1)
