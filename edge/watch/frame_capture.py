"""Keeps a source's frames on disk: like a run, without a model and without a controller."""

import logging
from contextlib import suppress
from pathlib import Path

from edge.camera.frame import FrameSource, SourceEnded, SourceTimeout
from edge.camera.frame_store import FrameStore
from edge.camera.uri import open_source
from edge.contracts.errors import ConfigError, SourceError
from edge.pipeline import StopSwitch
from edge.service.process import stop_on_signals
from edge.watch.work_progress import field_bar

_READ_S = 0.2
_log = logging.getLogger(__name__)


def capture_frames(source: str, um_per_px: float | None, out: Path, fields: int | None, max_mb: float) -> None:
    """Until the source ends, so many `fields` or megabytes (10^6 bytes) are there, or a signal comes; print where they are.

    Raises `ConfigError` when the source waits for triggers, and `SourceError` when it fails or the disk takes no more.
    """
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
