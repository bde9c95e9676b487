"""`leuko-edge soak`: whether a camera and this machine hold out together."""

import json
from typing import Annotated

import typer

from edge.contracts.errors import ConfigError
from edge.settings import EdgeSettings
from edge.settings.command_line import ENGINE_SETTINGS, ConfigOption, Given, LogLevelOption, takes


@takes(EdgeSettings, "source", "um_per_px", *ENGINE_SETTINGS, "trigger_window", "trigger_timeout_s")
def soak(
    given: Given,
    config: ConfigOption = None,
    fields: Annotated[int, typer.Option(min=2, help="Fields to expose or to read.")] = 2000,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Instead of the model an engine that takes no time and finds nothing.")
    ] = False,
    rounds: Annotated[
        int,
        typer.Option(min=0, help="Afterwards, rounds of a bare client and of the loop with the stand-in, which take turns."),
    ] = 0,
    round_fields: Annotated[int, typer.Option(min=2, help="Fields of one such round.")] = 100,
    log_level: LogLevelOption = "warning",
    strict: Annotated[bool, typer.Option("--strict", help="A missed goal of --rounds is exit code 1, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Run a camera through the whole loop and a journal on disk, without a controller.

    Says what was lost and why, how long everything took, and how memory grew.

    A source that waits for triggers gets them as fast as there is credit.
    One that waits for pulses on a line gets them from the scanner, not from here.

    With --rounds a bare client reads the camera, too, in turn with the loop.
    The ratio of the two tells what the loop costs from what the camera gives.

    Exit code: 0 every trigger has ended, and the run and its rounds were complete, whatever was lost;
    1 they were not, or not one frame was delivered, or with --strict a goal was missed;
    2 a setting, 3 the bundle, 4 the source, 5 the engine.
    """
    from edge.bench.camera_soak import soak_camera
    from edge.bench.camera_soak_report import table
    from edge.pipeline.latency_fit import with_latency
    from edge.service.process import set_up_logging
    from edge.settings.resolution import resolve

    set_up_logging(log_level, None)
    if strict and not rounds:
        raise ConfigError("--strict judges what --rounds measures and there are none; give --rounds, or leave --strict out.")
    result = soak_camera(with_latency(resolve(given, config)), fields, rounds, round_fields, stand_in=stand_in)
    typer.echo(json.dumps(result) if as_json else table(result))
    well = result["complete"] and result["delivered"] and not (strict and False in result["goals"].values())
    raise typer.Exit(0 if well else 1)
