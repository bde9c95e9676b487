"""`leuko-edge record`: a source's frames to disk, without a model and without a controller."""

from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import REQUIRED, Given, takes


@takes(EdgeSettings, "source", "um_per_px", source=REQUIRED)
def record(
    given: Given,
    out: Annotated[Path, typer.Option(help="New directory for the recording.")],
    fields: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    max_mb: Annotated[float, typer.Option(min=1, help="Stop at so many megabytes.")] = 10_000.0,
) -> None:
    """Write every frame losslessly (TIFF) with all that is known of it; `--source recording:DIR` plays it back.

    The source must pace itself; one that waits for triggers is recorded in a run, by `leuko-edge run --keep-frames DIR`.

    Ends with the source, after --fields, at --max-mb, or by Ctrl-C; what was recorded until then is whole.
    What the source says meanwhile, of a camera that is lost and comes back for example, is logged on standard error.

    Exit code: 0 recorded; 2 a setting, 4 the source, or a disk that takes no more.
    """
    from edge.service.process import set_up_logging
    from edge.watch.frame_capture import capture_frames

    set_up_logging("info", None)
    capture_frames(given["source"], given.get("um_per_px"), out, fields, max_mb)
