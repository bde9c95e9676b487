"""The fields on which two bundles are compared: of a recorded run, of images or a recording, or the next of a service.

A service is looked at from beside it: its journal says which fields it has counted, and the frames that it keeps are what it
counted them on. It is asked for nothing and waits for nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.camera.frame import Frame, FrameSource, SourceEnded, SourceInfo, SourceTimeout
from edge.camera.frame_store import INDEX, StoredFrames
from edge.camera.several import open_paths
from edge.contracts.base import parse_json
from edge.contracts.errors import ConfigError, JournalError, SourceError
from edge.contracts.records import FieldRecord, RunStart
from edge.contracts.user_paths import expanded
from edge.journal.archive import Archive, StoredRun
from edge.local.recompute import CAMERAS
from edge.pipeline.parts import place_of_run
from edge.settings import IN_MEMORY, EdgeSettings

_READ_S = 10.0
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class FieldToCompare:
    """A frame with the source it is of, and its record where a run has counted it."""

    info: SourceInfo
    frame: Frame
    record: FieldRecord | None = None


def of_place(place: str, um_per_px: float | None) -> Iterator[FieldToCompare]:
    """Every field of a recording, a folder, a video, or another source that paces itself. Raises as `open_paths` does."""
    with closing(open_paths([place], um_per_px)) as source:
        source.start()
        for frame in _frames(source):
            yield FieldToCompare(source.info, frame)


def of_run(journal: Path, run_id: str, frames: str | None, um_per_px: float | None) -> Iterator[FieldToCompare]:
    """The fields that a run has counted, from the frames it kept, or from where they are now (`frames`).

    Raises `JournalError` for records that are not those that were written, and `SourceError` when there are no frames.
    """
    with closing(Archive(expanded(journal))) as archive:
        run = archive.run(run_id)
        if problem := archive.problem(run):
            raise JournalError(f"run {run.run_id} is not as it was written ({problem}); nothing is compared on it.")
        start, records, is_triggered = _start_of(archive, run), _counted(archive, run, 0), bool(archive.commands(run))
    place = frames or _kept_by(start, is_triggered=is_triggered)
    with closing(open_paths([place], um_per_px or start.provenance.um_per_px)) as source:
        source.start()
        for frame in _frames(source):
            if (record := records.get(frame.trigger_id)) is not None:
                yield FieldToCompare(source.info, frame, record)


def next_fields(settings: EdgeSettings, within_s: float, tell: Callable[[str], None]) -> Iterator[FieldToCompare]:
    """The fields that the service of these settings counts from now on, as they come, for `within_s` seconds.

    Raises `ConfigError` when its journal is in memory or it keeps no frames: nothing of it could be seen from here.
    """
    keep = settings.keep_frames
    if settings.journal == IN_MEMORY:
        raise ConfigError("this service's journal is in memory, and nothing can be seen of it; give --frames, or a --journal.")
    if keep is None:
        raise ConfigError(
            "this service keeps no frames, so that the next ones cannot be had; set keep_frames (and keep_frames_mb), or give "
            "--frames or --run."
        )
    path, until_s = expanded(settings.journal), time.monotonic() + within_s
    seen = _lengths(path)
    tell(f"waiting for the next fields of the service that writes {path} (at most {within_s:g} s)")
    while True:
        is_last = time.monotonic() >= until_s
        yield from _news(path, keep, seen)
        if is_last:
            return
        time.sleep(LOOK_EVERY_S)


def _news(path: Path, keep: Path, seen: dict[str, int]) -> Iterator[FieldToCompare]:
    if not path.is_file():
        return
    with closing(Archive(path)) as archive:
        found = []
        for run in archive.runs():
            if run.records > seen.get(run.run_id, 0):
                found.append((run.run_id, _counted(archive, run, seen.get(run.run_id, 0))))
                seen[run.run_id] = run.records
    for run_id, records in found:
        folder = place_of_run(keep, run_id)
        if not records or not (folder / INDEX).is_file():
            continue  # a run that could keep none says so among its own records
        with closing(StoredFrames(str(folder), None)) as source:
            source.leave_out_all_but(records)
            for frame in _frames(source):
                yield FieldToCompare(source.info, frame, records[frame.trigger_id])


def _lengths(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    with closing(Archive(path)) as archive:
        return {run.run_id: run.records for run in archive.runs()}


def _start_of(archive: Archive, run: StoredRun) -> RunStart:
    first, _ = archive.first_and_last(run)
    return parse_json(RunStart, first, f"record 0 of run {run.run_id}", JournalError)


def _counted(archive: Archive, run: StoredRun, from_seq: int) -> dict[str, FieldRecord]:
    """By trigger: the fields that entered the counts. Others have no cells to compare."""
    found: dict[str, FieldRecord] = {}
    for seq, content in enumerate(archive.records(run)):
        if from_seq <= seq < run.records and content.startswith(b'{"type":"field"'):
            record = parse_json(FieldRecord, content, f"record {seq} of run {run.run_id}", JournalError)
            if record.counted:
                found[record.trigger_id] = record
    return found


def _kept_by(start: RunStart, *, is_triggered: bool) -> str:
    kept, source = start.settings.get("keep_frames"), str(start.settings.get("source", ""))
    if isinstance(kept, str):
        return str(place_of_run(Path(kept), start.run_id))
    if is_triggered or source.startswith(CAMERAS):
        raise SourceError(
            f"run {start.run_id} has kept no frames (keep_frames), and its camera cannot show them again; name a recording of "
            "it with --frames."
        )
    return source


def _frames(source: FrameSource) -> Iterator[Frame]:
    while True:
        try:
            yield source.read(_READ_S)
        except SourceTimeout:
            continue
        except SourceEnded:
            return
