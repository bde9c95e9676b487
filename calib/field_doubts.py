"""How much the annotation of each field would tell a model: what it was unsure of there, and what looks unlike the rest."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np

from calib.shown_fields import Shown
from edge.camera.frame import Frame, SourceEnded, SourceTimeout
from edge.camera.pixels import bgr_of
from edge.camera.resample import plan_fit
from edge.camera.uri import open_source
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.cells import CELLS
from edge.contracts.detections import Cells, Float32, Image
from edge.contracts.errors import DataError
from edge.engine import open_engine
from edge.pipeline.one_image import ImageEngines, infer
from edge.postprocess import OperatingPoint, ious, label_of, postprocess
from edge.quality import look_of
from edge.quality.scale_check import nucleus_px

WAIT_S = 10.0
BELOW, ABOVE = 0.5, 0.25
"""How far from the presence threshold a cell is still doubtful: down to half of it, and so much over it."""
CLEAR_MARGIN = 0.3
"""Over the threshold of a type, and over that of its lead, from which a type is not doubtful."""
MOST_CELLS = 3
"""The least certain ones of a field that count: a dense field must not outweigh a doubtful one."""
MISSED_NUCLEUS, ODD_COLOURS = 1.0, 0.5
"""What these weigh, a cell at its threshold being 1."""
ODD_FROM = 4.0
"""Times the usual distance from the median colour."""
_SAME_CELL_IOU = 0.2
DULLEST = 0.15
"""Below this doubt a field tells nothing."""


@dataclass(slots=True)
class DoubtfulField:
    """One field: `number` in the source's order, the cells over the threshold, and what is doubtful in it.

    `look` is as `edge.quality.look_of` gives it, `colour` the median in Lab.
    """

    number: int
    name: str
    um_per_px: float
    width_px: int
    height_px: int
    cells: Cells
    look: Float32
    colour: Float32
    doubt: float = 0.0
    reasons: list[str] = field(default_factory=list)


def pictures(source: str, um_per_px: float | None, most: int) -> Iterator[tuple[int, Frame, Image]]:
    """The first `most` fields that have pixels (BGR), by number. Raises `SourceError`, and `DataError` for a source that cannot
    be read twice."""
    with closing(open_source(source, um_per_px)) as opened:
        if not opened.info.self_paced or opened.info.is_live:
            raise DataError(
                f"{source} cannot be read a second time; record it first: `leuko-edge run --keep-frames DIR`, or `leuko-edge "
                "record`."
            )
        opened.start()
        for number in range(most):
            try:
                frame = opened.read(WAIT_S)
            except (SourceEnded, SourceTimeout):
                return
            if (image := bgr_of(frame)) is not None:
                yield number, frame, image


def doubtful_fields(
    source: str, um_per_px: float | None, bundle: Bundle, shown: Shown | None, most: int
) -> list[DoubtfulField]:
    """All of them, also those without a doubt; the model sees them as `shown` says, as they come without it. Raises `DataError`
    when there is none."""
    manifest = bundle.manifest
    thresholds = shown.thresholds if shown is not None else manifest.thresholds
    correction = shown.correction if shown is not None else None
    expected = (manifest.um_per_px, manifest.field_width_px, manifest.field_height_px)
    found: list[DoubtfulField] = []
    low = OperatingPoint.of(thresholds.model_copy(update={"detect": thresholds.detect * BELOW}))
    point = OperatingPoint.of(thresholds)
    with ImageEngines(partial(open_engine, bundle, slots=1, allow_ungated=True)) as engines:
        for number, frame, image in pictures(source, um_per_px, most):
            height, width = image.shape[:2]
            name = frame.source_name or f"field {number}"
            if shown is not None:
                shown.require_size(name, width, height)
            plan = plan_fit(width, height, frame.um_per_px, *expected, correction=correction)
            raw, _ = infer(engines.of(plan), plan, image)
            cells = postprocess(raw, plan, point)
            one = DoubtfulField(
                number=number,
                name=name,
                um_per_px=frame.um_per_px,
                width_px=width,
                height_px=height,
                cells=cells,
                look=look_of(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)),
                colour=_colour(image),
            )
            _note_cells(one, cells, postprocess(raw, plan, low), thresholds)
            if nucleus_px(image) and not any(CELLS[label].is_wbc for label in cells.classes.tolist()):
                _note(one, MISSED_NUCLEUS, "a dark nucleus, and no leukocyte was found")
            found.append(one)
    if not found:
        raise DataError(f"no field of {source} could be read; give images, a video or what a run has kept.")
    _note_colours(found)
    return found


def _note(one: DoubtfulField, doubt: float, reason: str) -> None:
    one.doubt += doubt
    one.reasons.append(reason)


def _note_cells(one: DoubtfulField, counted: Cells, candidates: Cells, thresholds: Thresholds) -> None:
    doubts = [max(_of_type(counted, k, thresholds), _of_presence(counted, k, thresholds)) for k in range(len(counted))]
    # A second, smaller box on a cell that is counted is no further cell.
    apart = ious(candidates.boxes_px, counted.boxes_px).max(axis=1, initial=0.0) < _SAME_CELL_IOU
    below = np.flatnonzero(apart & (candidates.presence < thresholds.detect))
    doubts += [_of_presence(candidates, k, thresholds) for k in below.tolist()]
    for doubt, reason in sorted((each for each in doubts if each[0] > DULLEST), reverse=True)[:MOST_CELLS]:
        _note(one, doubt, reason)


def _of_presence(cells: Cells, k: int, thresholds: Thresholds) -> tuple[float, str]:
    presence = float(cells.presence[k])
    off = presence - thresholds.detect
    doubt = 1 - (off / ABOVE if off >= 0 else -off / (thresholds.detect * (1 - BELOW)))
    side = "counted, hardly" if off >= 0 else "not counted, but nearly"
    return doubt, f"{side} (presence {presence:.2f}, {_place(cells, k)})"


def _of_type(cells: Cells, k: int, thresholds: Thresholds) -> tuple[float, str]:
    label = CELLS[int(cells.classes[k])].name
    if not cells.identified[k]:
        return 1.0, f"{label_of(cells, k)}, most likely {label} (score {cells.scores[k]:.2f}, {_place(cells, k)})"
    least = thresholds.identify_by_class.get(label, thresholds.identify)
    lead = min(float(cells.scores[k]) - least, float(cells.margins[k]) - thresholds.margin)
    return 1 - lead / CLEAR_MARGIN, f"{label}, hardly (score {cells.scores[k]:.2f}, {_place(cells, k)})"


def _place(cells: Cells, k: int) -> str:
    x1, y1, x2, y2 = cells.boxes_px[k].tolist()
    return f"at {(x1 + x2) / 2:.0f}, {(y1 + y2) / 2:.0f}"


def _colour(image: Image) -> Float32:
    small = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2LAB), np.float32).reshape(-1, 3)
    return np.asarray(np.median(lab, axis=0), np.float32)


def _note_colours(fields: Sequence[DoubtfulField]) -> None:
    """Fields whose colours are far from the others': a stain that ran, a fold, another slide's stain."""
    colours = np.array([each.colour for each in fields])
    off = np.linalg.norm(colours - np.median(colours, axis=0), axis=1)
    usual = max(float(np.median(off)), 1.0)
    for one, distance in zip(fields, off.tolist(), strict=True):
        if distance > ODD_FROM * usual:
            _note(one, ODD_COLOURS, f"its colours are {distance / usual:.0f} times as far from the others' as is usual")
