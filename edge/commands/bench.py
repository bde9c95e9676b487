"""`leuko-edge bench`: the speed claims, as ratios."""

import json
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ENGINE_SETTINGS, Given, takes


@takes(EdgeSettings, "source", "um_per_px", *ENGINE_SETTINGS, source="virtual:seed=42,wbc=1.5")
def bench(
    given: Given,
    fields: Annotated[int, typer.Option(min=1, help="Fields of one round.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each loop; they take turns.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Compare the whole pipeline with a bare loop over the same compiled model, frames already in memory.

    The two take turns in one process, so that what else the machine does meets both; only the ratio is a claim.
    """
    from edge.bench.loop_bench import bench_loop
    from edge.bench.loop_report import table
    from edge.service.process import set_up_logging
    from edge.settings.resolution import resolve

    set_up_logging("warning", None)
    result = bench_loop(resolve(given), fields, rounds)
    typer.echo(json.dumps(result) if as_json else table(result))
