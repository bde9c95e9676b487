"""`leuko-edge record`: a source's frames to disk, without a model and without a controller."""

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from leukostream.edge.camera.frame import SourceEnded, SourceTimeout
from leukostream.edge.camera.recording import FrameStore, keeping
from leukostream.edge.camera.uri import open_source
from leukostream.edge.commands.logs import set_up_logging
from leukostream.edge.commands.signals import stop_on_signals
from leukostream.edge.contracts.errors import ConfigError
from leukostream.edge.pipeline import StopSwitch

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
    """
    set_up_logging("info", None)
    opened = open_source(source, um_per_px)
    if not opened.info.self_paced:
        opened.close()
        raise ConfigError(f"source {source!r} waits for triggers; record it in a run: `leuko-edge run --keep-frames DIR`.")
    store, stop, n = FrameStore(out, opened.info, max_mb), StopSwitch(), 0
    kept = keeping(opened, store)
    total = min((limit for limit in (fields, opened.info.n_fields) if limit is not None), default=None)
    with stop_on_signals(stop), _progress() as progress:
        task = progress.add_task("frames", total=total)
        while not stop.requested and not store.full and (fields is None or n < fields):
            try:
                kept.read(_READ_S)
            except SourceTimeout:
                continue
            except SourceEnded:
                break
            n += 1
            progress.advance(task)
        for note in kept.notes():
            _log.warning("%s", note.message)
    kept.close()
    print(f"recording:{out}  {n - bool(store.full)} frames")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
