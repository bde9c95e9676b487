"""Today's fields of a reference slide, run as a scanner's would be, held against the cells that are known to be there."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from scipy.stats import binomtest

from calib.field_shifts import ShiftedImages
from edge.camera.decode import read_image
from edge.contracts.cells import CELLS, INDEX
from edge.contracts.detections import Float32
from edge.contracts.errors import DataError, FrameError, LeukoError
from edge.contracts.label_lines import LabelledCell, LabelledImage
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord, RunOutcome, RunStop
from edge.pipeline import opened
from edge.pipeline.local_run import records_of
from edge.pipeline.run import Run
from edge.pipeline.run_control import StopSwitch
from edge.postprocess import ious
from edge.settings import Setup

OVERLAP = 0.5
"""Of a known cell's box and a found one, from which it is found there."""

MOST_SHIFT = 0.33
"""Of the field's smaller side: a slide that lies further off is to be laid down again, or too few of its cells are in sight."""

_ANY_TYPE = ("untyped_wbc", "untyped_neutrophil")
_IS_WBC = {cell.name: cell.is_wbc for cell in CELLS}


@dataclass(slots=True)
class SlideCount:
    """What was found of the known leukocytes, over all fields of a slide."""

    fields: int = 0
    known: int = 0
    found: int = 0
    typed_known: int = 0
    typed_found: int = 0
    false_cells: int = 0
    off_um: list[float] = field(default_factory=list)
    """distances between the centres of known and found boxes"""
    complaints: list[str] = field(default_factory=list)
    """a sentence for each field whose cells count as not found"""

    @property
    def share(self) -> float:
        return self.found / self.known

    @property
    def limits(self) -> tuple[float, float]:
        """Exact 95 % limits of the share (Clopper and Pearson 1934)."""
        found = binomtest(self.found, self.known).proportion_ci(0.95, "exact")
        return float(found.low), float(found.high)

    def verdict(self, minimum: float) -> str:
        """`pass` or `fail` when the limits lie on one side of `minimum`, else `not decided`."""
        low, high = self.limits
        return "pass" if low >= minimum else "fail" if high < minimum else "not decided"

    def enough(self, minimum: float) -> int | None:
        """How many known cells would decide at this share; None where no number under 100,000 would."""
        for known in (int(size) for size in np.unique(np.geomspace(max(1, self.known), 100_000, 200).astype(int))):
            found = round(self.share * known)
            limits = binomtest(found, known).proportion_ci(0.95, "exact")
            if limits.low >= minimum or limits.high < minimum:
                return known
        return None


def count_slide(setup: Setup, known: Sequence[LabelledImage], fields: Path, reference: Path | None = None) -> SlideCount:
    """Run all images of the folder `fields` under `setup` (whose source it is), and look for the leukocytes of `known`.

    With `reference`, the folder of the images that were annotated, each field is laid over its own and cells are looked for
    where they are today. A field that is missing, failed, or does not show its place counts with all its cells as not found:
    what breaks a scanner must not leave a quality control.

    Raises any `LeukoError` that keeps the run from being one, and `DataError` for fields of another size than the annotation's,
    and where not one has a name that the annotation knows: that is no instrument which finds nothing.
    """
    records = _by_annotation(known, {record.source_name: record for record in _records(setup)})
    if not records:
        raise DataError(
            f"none of the {len(known)} fields of the reference slide is in {fields}, such as {known[0].path}; call today's "
            "images as they were called when they were annotated."
        )
    count = SlideCount()
    for line in known:
        count.fields += 1
        record = records.get(line.path)
        wbc = [cell for cell in line.cells if _is_leukocyte(cell)]
        complaint = _unusable(line, record)
        shift = (0.0, 0.0)
        if not complaint and reference is not None:
            shift, complaint = _moved(line, fields / record.source_name if record else fields, reference)
        if complaint or record is None:
            count.known += len(wbc)
            count.typed_known += sum(cell.label in INDEX for cell in wbc)
            count.complaints.append(f"{line.path}: {complaint}")
            continue
        _add(count, line, record, shift)
    return count


def _records(setup: Setup) -> list[FieldRecord]:
    order = RunStartCommand(cmd_id="local", run_id=str(uuid.uuid4()))
    found = []
    with opened(setup) as parts:
        for record in records_of(Run(setup, parts, order, StopSwitch())):
            if isinstance(record, FieldRecord):
                found.append(record)
            elif isinstance(record, RunStop) and record.outcome is RunOutcome.FAILED:
                raise LeukoError(record.detail)
    return found


def _unusable(line: LabelledImage, record: FieldRecord | None) -> str:
    if record is None:
        return "there is no such image today"
    if record.status.value not in ("ok", "empty"):
        return f"the field is {record.status.value} ({record.detail})"
    if (record.width_px, record.height_px) != (line.width_px, line.height_px):
        raise DataError(
            f"{line.path} is {record.width_px} x {record.height_px} px today and was annotated at {line.width_px} x "
            f"{line.height_px} px; take the reference slide as it was taken then, without binning or a region of interest."
        )
    if record.um_per_px is not None and abs(record.um_per_px / line.um_per_px - 1) > 0.02:
        raise DataError(
            f"{line.path} was annotated at {line.um_per_px:.4g} um/px and today's profile says {record.um_per_px:.4g}; give "
            "the reference slide of this instrument, or its um/px."
        )
    return ""


def _by_annotation(known: Sequence[LabelledImage], today: dict[str, FieldRecord]) -> dict[str, FieldRecord]:
    """Today's fields by the paths of the annotated ones: as these are called, or in another folder where the names tell them
    apart all the same."""
    last = Counter(PurePosixPath(line.path).name for line in known)
    alone = Counter(PurePosixPath(name).name for name in today)
    by_name = {PurePosixPath(name).name: record for name, record in today.items() if alone[PurePosixPath(name).name] == 1}
    found = {}
    for line in known:
        name = PurePosixPath(line.path).name
        record = today.get(line.path) or (by_name.get(name) if last[name] == 1 else None)
        if record is not None:
            found[line.path] = record
    return found


def _moved(line: LabelledImage, today: Path, reference: Path) -> tuple[tuple[float, float], str]:
    """How far the slide lies from where it lay then, in px; and why that cannot be said."""
    try:
        then, now = read_image(reference / line.path, line.path)[0], read_image(today, line.path)[0]
    except (FrameError, OSError) as problem:
        raise DataError(f"{problem} Give the folder of the images that were annotated with --reference.") from problem
    if then.shape != now.shape:
        return (0.0, 0.0), "the image that was annotated is of another size"
    within_px = MOST_SHIFT * min(then.shape[:2])
    shift = ShiftedImages([then, now], [0, 1]).find(0, 1)
    if shift is None or max(abs(shift.x_px), abs(shift.y_px)) > within_px:
        return (0.0, 0.0), "it does not show the place that was annotated (another place or slide, or far out of focus)"
    return (shift.x_px, shift.y_px), ""


def _add(count: SlideCount, line: LabelledImage, record: FieldRecord, shift: tuple[float, float]) -> None:
    moved = np.array([_box(cell) for cell in line.cells], np.float32).reshape(-1, 4) + np.array([*shift, *shift], np.float32)
    inside = (moved[:, :2] >= -1).all(axis=1) & (moved[:, 2:] <= (line.width_px + 1, line.height_px + 1)).all(axis=1)
    wbc = np.array([_is_leukocyte(cell) for cell in line.cells], bool)
    seen = [each for each in record.detections if each.is_wbc]
    boxes = np.array([each.box_px for each in seen], np.float32).reshape(-1, 4)
    overlap = ious(boxes, moved) if len(boxes) and len(moved) else np.zeros((len(boxes), len(moved)), np.float32)
    explained = overlap.max(axis=1, initial=0) >= OVERLAP / 2  # by a cell that is cut off, of another kind, or ignored
    judged = wbc & inside
    count.known += int(judged.sum())
    count.typed_known += sum(line.cells[at].label in INDEX for at in np.flatnonzero(judged))
    free = np.where(judged[None], overlap, 0)
    while free.size and free.max() >= OVERLAP:
        one, other = (int(at) for at in np.unravel_index(int(free.argmax()), free.shape))
        count.found += 1
        count.typed_found += line.cells[other].label in INDEX and seen[one].label == line.cells[other].label
        count.off_um.append(_apart(boxes[one], moved[other]) * line.um_per_px)
        explained[one] = True
        free[one], free[:, other] = 0, 0
    count.false_cells += int((~explained).sum())


def _is_leukocyte(cell: LabelledCell) -> bool:
    return cell.label in _ANY_TYPE or _IS_WBC.get(cell.label, False)


def _box(cell: LabelledCell) -> tuple[float, float, float, float]:
    return cell.x1_px, cell.y1_px, cell.x2_px, cell.y2_px


def _apart(one: Float32, other: Float32) -> float:
    return float(np.hypot(*((one[:2] + one[2:] - other[:2] - other[2:]) / 2)))
