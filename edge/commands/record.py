"""`leuko-edge record`: a source's frames to disk, without a model and without a controller."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from edge.camera.frame import FrameSource, SourceEnded, SourceTimeout
from edge.camera.frame_store import FrameStore
from edge.camera.uri import open_source
from edge.contracts.errors import ConfigError, SourceError
from edge.pipeline import StopSwitch
from edge.service.process import set_up_logging, stop_on_signals
from edge.watch.progress import field_bar

_READ_S = 0.2
_log = logging.getLogger(__name__)


def record(
    source: Annotated[str, typer.Option(help="Frames to record, as for `run`; it must pace itself.")],
    out: Annotated[Path, typer.Option(help="New directory for the recording.")],
    um_per_px: Annotated[float | None, typer.Option(help="Physical size of the source's pixels.")] = None,
    fields: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    max_mb: Annotated[float, typer.Option(min=1, help="Stop at so many megabytes.")] = 10_000.0,
) -> None:
    """Write every frame losslessly (TIFF) with all that is known of it; `--source recording:DIR` plays it back.

    Ends with the source, after --fields, at --max-mb, or by Ctrl-C; what was recorded until then is whole.
    What the source says meanwhile, of a camera that is lost and comes back for example, is logged on standard error.

    Exit code: 0 recorded; 2 a setting, 4 the source, or a disk that takes no more.
    """
    set_up_logging("info", None)
    opened = open_source(source, um_per_px)
    if not opened.info.self_paced:
        opened.close()
        raise ConfigError(f"source {source!r} waits for triggers; record it in a run: `leuko-edge run --keep-frames DIR`.")
    try:
        store, stop = FrameStore(out, opened.info, max_mb), StopSwitch()
    except SourceError:
        opened.close()
        raise
    total = min((limit for limit in (fields, opened.info.n_fields) if limit is not None), default=None)
    try:
        with stop_on_signals(stop), field_bar() as progress:
            task = progress.add_task("frames", total=total)
            opened.start()
            while not stop.requested and not store.full and (fields is None or store.n_frames < fields):
                with suppress(SourceTimeout):
                    store.add(opened.read(_READ_S))
                progress.update(task, completed=store.n_frames)
                _tell(opened)
    except SourceEnded:
        pass
    finally:
        try:
            opened.close()
        finally:
            store.close()
            _tell(opened)
            print(f"recording:{out}  {store.n_frames} frames")
    if store.failed:
        raise SourceError(store.full)
    if store.full:
        _log.warning("%s", store.full)


def _tell(source: FrameSource) -> None:
    """What the source has to say goes to the log when it says it: a camera may be gone for hours."""
    for note in source.notes():
        _log.log(logging.WARNING if note.severity == "warning" else logging.INFO, "%s", note.message)
