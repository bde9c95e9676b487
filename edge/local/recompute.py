"""The fields of a run computed once more from their frames, in the batches and on the engine that were recorded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from edge.camera.frame import Frame, FrameSource, SourceEnded
from edge.camera.several import open_paths
from edge.contracts.detections import Image
from edge.contracts.errors import BundleError, ConfigError, LeukoError, ProfileError, SourceError
from edge.contracts.records import FieldRecord, RunStart
from edge.local.differences import Difference, differences
from edge.pipeline import Parts, opened
from edge.pipeline.engine_loop import computed_alone
from edge.pipeline.field_work import CellWork, rows_of
from edge.pipeline.parts import place_of_run
from edge.postprocess import Findings
from edge.settings import Setup
from edge.settings.resolution import resolve

CAMERAS = ("opencv:", "aravis:", "pylon:", "genicam:")
"""How sources begin that cannot show a field again."""
_READ_S = 10.0
_NOT_NOW = ("keep_frames", "keep_crops", "telemetry", "metrics")
"""Settings of a run that have nothing to do with what it finds, and would write or listen."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where frames and bundle are now; None: where the run says."""

    frames: str | None = None
    bundle: Path | None = None


@dataclass(slots=True)
class Recomputed:
    """How many fields in how many batches, by which engine, and what came out otherwise."""

    fields: int = 0
    batches: int = 0
    engine: str = ""
    differences: list[Difference] = field(default_factory=list)


def recompute(start: RunStart, fields: Iterable[FieldRecord], pixels: Pixels, *, is_triggered: bool) -> Recomputed:
    """`fields` are those that the engine was given, in the order of their records.

    Raises any `LeukoError` that says why they cannot be computed as they were: another bundle, profile or engine, no frames.
    """
    setup = _setup_of(start, pixels)
    place = _place_of_frames(start, pixels, is_triggered=is_triggered)
    with opened(setup, open_paths([place], setup.settings.um_per_px)) as parts:
        _require_same_engine(start, parts)
        found = Recomputed(engine=str(parts.engine.info))
        parts.source.start()
        frames = _Frames(parts.source)
        work = _work_of(setup, parts)
        for _, batch in groupby(fields, key=lambda record: record.batch):
            _compute(list(batch), frames, parts, work, found)
    return found


def _setup_of(start: RunStart, pixels: Pixels) -> Setup:
    about = start.provenance
    given: dict[str, Any] = {
        name: value for name, value in start.settings.items() if name not in _NOT_NOW and value is not None
    }
    if pixels.bundle is not None:
        given["bundle"] = pixels.bundle
    setup = resolve(given)
    if setup.bundle.bundle_id != about.bundle_id:
        raise BundleError(
            f"{setup.bundle.path} is another bundle than that of run {start.run_id} ({about.bundle_name}, "
            f"{about.bundle_id[:12]}); name that one with --bundle."
        )
    if setup.profile_sha256 != about.profile_sha256:
        raise ProfileError(
            f"profile {setup.settings.profile} is no longer the one of run {start.run_id}; restore it from a copy."
        )
    return setup


def _place_of_frames(start: RunStart, pixels: Pixels, *, is_triggered: bool) -> str:
    if pixels.frames is not None:
        return pixels.frames
    kept = start.settings.get("keep_frames")
    if isinstance(kept, str):
        return str(place_of_run(Path(kept), start.run_id))
    source = str(start.settings.get("source", ""))
    if is_triggered or source.startswith(CAMERAS):
        raise SourceError(
            f"run {start.run_id} has kept no frames (--keep-frames), and its camera cannot show them again; name a recording "
            "of it with --frames, or leave --pixels out."
        )
    return source


def _require_same_engine(start: RunStart, parts: Parts) -> None:
    was, now = start.provenance, parts.engine.info
    if (was.engine, was.engine_precision, was.engine_key) != (str(now), now.precision, now.key):
        raise ConfigError(
            f"run {start.run_id} was computed by {was.engine} and this machine computes by {now}: nothing says that both give "
            "the same to the last bit; replay it where it was computed."
        )


def _work_of(setup: Setup, parts: Parts) -> CellWork:
    thresholds = setup.settings.thresholds or setup.bundle.manifest.thresholds
    info, um_per_px = parts.source.info, setup.bundle.manifest.um_per_px
    return CellWork(info, parts.plan, um_per_px, thresholds, probability=setup.probability)


class _Frames:
    """Frames of a source by their triggers, which come in the order of the records."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source

    def of(self, record: FieldRecord) -> Frame | None:
        """None when it is not there any more, or its picture cannot be read."""
        while True:
            try:
                frame = self._source.read(_READ_S)
            except SourceEnded:
                return None
            if frame.trigger_id == record.trigger_id:
                return frame if frame.image is not None else None


def _compute(batch: list[FieldRecord], frames: _Frames, parts: Parts, work: CellWork, found: Recomputed) -> None:
    """One batch as it was; a field without its picture makes the whole batch another one, and is a difference."""
    found.batches += 1
    taken = [(record, frames.of(record)) for record in batch]
    missing = [record for record, frame in taken if frame is None]
    if missing:
        found.differences += [Difference(_name(record), "its frame", "there", "missing or changed") for record in missing]
        return
    pairs = [(record, frame, frame.image) for record, frame in taken if frame is not None and frame.image is not None]
    try:
        results = list(_results(pairs, parts, work))
    except LeukoError as problem:
        found.differences.append(Difference(_name(batch[0]), "its batch", "computed", str(problem)))
        return
    for (record, _, _), findings in zip(pairs, results, strict=True):
        found.fields += 1
        if record.counted:  # one that failed behind the engine was in the batch all the same
            found.differences += _held_against(record, findings)


def _results(pairs: list[tuple[FieldRecord, Frame, Image]], parts: Parts, work: CellWork) -> Iterator[Findings]:
    engine, views = parts.engine, list(parts.engine.slot(0))
    _, frame, image = pairs[0]
    if (other := work.for_size(image)) is not None:
        tiles = [views[0].copy() for _ in range(other.n_tiles)]
        other.write(frame, image, tiles)
        yield other.findings(computed_alone(engine, 0, views, tiles))
        return
    n = work.n_tiles
    for at, (_, one, picture) in enumerate(pairs):
        work.write(one, picture, views[at * n : (at + 1) * n])
    engine.submit(0, len(pairs) * n)
    raw = engine.collect(0)
    for at in range(len(pairs)):
        yield work.findings(rows_of(raw, at * n, n))


def _held_against(record: FieldRecord, findings: Findings) -> list[Difference]:
    """Detections and counts; where a cell lies on the stage is not of the pixels."""
    cells = (
        tuple(
            again.model_copy(update={"centre_stage": was.centre_stage})
            for again, was in zip(findings.detections, record.detections, strict=False)
        )
        + findings.detections[len(record.detections) :]
    )
    again = record.model_copy(update={"detections": cells, "counts": findings.counts, "overflow": findings.overflow})
    if len(cells) != len(record.detections):
        return [Difference(_name(record), "the number of its cells", len(record.detections), len(cells))]
    return differences(_name(record), record.model_dump_json().encode(), again.model_dump_json().encode())


def _name(record: FieldRecord) -> str:
    return f"field {record.field_index} ({record.source_name or record.trigger_id})"
