"""`leuko-edge doctor`: what is installed, which engines fit, and what a run would open."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import SERVER_SETTINGS, ConfigOption, Given, takes


@takes(
    EdgeSettings,
    *("journal", "engine", "engine_dir", "allow_ungated_engine", "precision", "hint", "signers", "profile", "correct"),
    *SERVER_SETTINGS,
)
def doctor(
    given: Given,
    bundle: Annotated[
        Path | None, typer.Argument(help="directory with bundle.json; when not given the bundle that a run would have")
    ] = None,
    config: ConfigOption = None,
    frame: Annotated[
        str | None,
        typer.Option(
            help="frame an engine must take, in px, as 740x580; when not given the bundle's field, as for most cameras"
        ),
    ] = None,
    max_batch: Annotated[
        int | None, typer.Option(min=1, max=256, help="batch it must take: tiles of one field, times fields; 1 when not given")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Say what is installed and usable here, which engines of a bundle fit this machine, and what `leuko-edge run` would open.

    Settings are those of a run: these options, the environment, --config. The bundle is the one that serves by them, also where
    another was rolled out; the line `serves` says so. With BUNDLE it is that one, whatever serves. Of an engine that does not
    fit, the reason is told and what helps; with a profile also whether its parity gate was passed on fields as that profile
    corrects them. An inference server (--server) is asked what it serves, how it is reached, and held against its parity gate.
    Nothing is opened, loaded onto the GPU or computed, here or there.

    Exit code: 0 a run could start with the engine that would be chosen; 5 none could, for example because a GPU engine fits
    and has not passed its parity gate, or the server cannot be reached; 2 a setting, 3 the bundle or profile cannot be used.
    """
    from edge.doctor.asked import asked
    from edge.doctor.diagnosis_text import tell
    from edge.engine.survey import parse_frame_size

    frame_px = parse_frame_size(frame) if frame is not None else None
    tell(asked(given, config, os.environ, bundle, frame_px, max_batch), as_json)
