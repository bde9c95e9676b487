"""`leuko-edge doctor`: what is installed, which engines fit, and what a run would open."""

from pathlib import Path
from typing import Annotated

import typer

from edge.settings import SHIPPED_BUNDLE, EdgeSettings
from edge.settings.command_line import Given, takes


@takes(EdgeSettings, "engine_dir", "signers", "profile", "correct")
def doctor(
    given: Given,
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json", show_default="the shipped one")] = SHIPPED_BUNDLE,
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

    Of an engine that does not fit, the reason is told and what helps; with --profile also whether its parity gate was passed on
    fields as that profile corrects them. Nothing is opened, loaded onto the GPU or computed.

    Exit code: 0 a run could start with the engine that would be chosen; 5 none could, for example because a GPU engine fits
    and has not passed its parity gate; 2 an option, 3 the bundle cannot be used.
    """
    from edge.doctor.diagnosis import Question
    from edge.doctor.diagnosis_text import tell
    from edge.engine.survey import parse_frame_size

    frame_px = parse_frame_size(frame) if frame is not None else None
    tell(Question(bundle, frame_px=frame_px, max_batch=max_batch, **given), as_json)
