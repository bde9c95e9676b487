"""`leuko-edge bench-runs`: how soon a service is at the first field of the next run."""

import json
from typing import Annotated

import typer


def bench_runs(
    runs: Annotated[int, typer.Option(min=2, max=1000, help="one behind the other")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON list on standard output")] = False,
) -> None:
    """Start a service over a drawn (synthetic) camera and the shipped model, and give it run after run.

    For each run: how soon RUN_START was answered, and how soon the record of its first field was here after its trigger; what
    the camera took to draw it is told apart. Camera and engine stay open from run to run.
    """
    from edge.bench.runs_bench import as_rows, measure_runs, runs_table

    found = measure_runs(runs)
    typer.echo(json.dumps(as_rows(found)) if as_json else runs_table(found))
