"""Each cell of a slide once: positions of the stage and boxes of fields, as the count across fields needs them.

Fields are laid out as the camera sees them, turned by how it lies over the stage: so the borders of fields are upright, and
what they cut is known. Lengths are um of the camera's pixels.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edge.camera.frame import SourceNote
from edge.contracts.records import Detection, SameCell, SlideResult, SlideSums, StagePosition
from edge.contracts.stage_geometry import MeasuredStage
from edge.counting import differential, wbc_total
from edge.counting.cell_registry import View
from edge.counting.same_cell import Box, Seen
from edge.counting.slide_count import Ended, SlideCount

MIN_TOLERANCE_UM = 3.0
"""Two views of one cell are never taken for two when they are closer than this; leukocytes are at least 8 um across."""
_SIGMAS = 3.0
_BORDER_PX = 1.0

Matrix = tuple[tuple[float, float], tuple[float, float]]
Position = tuple[int, int]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class StageGeometry:
    """How images lie on the stage: `um_per_px` has rows stage x, y, columns image x, y; `sigma_um` of a position per axis."""

    um_per_px: Matrix
    sigma_um: float = 0.0

    @classmethod
    def upright(cls, um_per_px: float) -> "StageGeometry":
        """A camera whose images are not turned: x of the stage to the right, y down."""
        return cls(((um_per_px, 0.0), (0.0, um_per_px)))

    @classmethod
    def of(cls, stage: MeasuredStage | None, um_per_px: float) -> "StageGeometry":
        """As the profile has it, for images of this scale: it says how they are turned, and how far a position may be off."""
        if stage is None:
            return cls.upright(um_per_px)
        (a, b), (c, d) = stage.um_per_px
        by = um_per_px / stage.pixel_um
        return cls(((a * by, b * by), (c * by, d * by)), max(stage.sigma_um))

    @property
    def pixel_um(self) -> float:
        (a, b), (c, d) = self.um_per_px
        return math.sqrt(abs(a * d - b * c))

    @property
    def tolerance_um(self) -> float:
        """The larger of 3 um and three sigma of the difference of two positions."""
        return max(MIN_TOLERANCE_UM, _SIGMAS * math.sqrt(2) * self.sigma_um)

    def seen_from_camera_um(self, stage_nm: Position) -> tuple[float, float]:
        """A position of the stage along the image's axes."""
        (a, b), (c, d) = self.um_per_px
        x_um, y_um = stage_nm[0] / 1e3, stage_nm[1] / 1e3
        scale = self.pixel_um / (a * d - b * c)
        return (d * x_um - b * y_um) * scale, (a * y_um - c * x_um) * scale

    def on_stage_nm(self, stage_nm: Position, from_centre_px: tuple[float, float]) -> Position:
        """Where on the stage what lies so far from an image's centre is."""
        (a, b), (c, d) = self.um_per_px
        x_px, y_px = from_centre_px
        return round(stage_nm[0] + 1e3 * (a * x_px + b * y_px)), round(stage_nm[1] + 1e3 * (c * x_px + d * y_px))


class SlideAccount:
    """The sums of a run in which each cell is counted once. For the thread that counts.

    `news` gives triggers that were announced since the last call; `note` takes an event for the run's records.
    """

    def __init__(
        self,
        geometry: StageGeometry,
        width_px: int,
        height_px: int,
        news: Callable[[], Iterable[tuple[int, Position | None]]],
        note: Callable[[SourceNote], None],
    ) -> None:
        self._geometry = geometry
        self._half_px = (width_px / 2, height_px / 2)
        self._news, self._note = news, note
        self._count = SlideCount(geometry.tolerance_um)
        self._announced_until = -1
        self._has_places = False
        self._n_same = 0

    def placed(self, detections: Sequence[Detection], stage_nm: Position, size_px: Size) -> tuple[Detection, ...]:
        """`detections` of an image of `size_px` taken at `stage_nm`, each with where on the stage its centre is."""
        placed = []
        for one in detections:
            x1, y1, x2, y2 = one.box_px
            x_nm, y_nm = self._geometry.on_stage_nm(stage_nm, ((x1 + x2 - size_px[0]) / 2, (y1 + y2 - size_px[1]) / 2))
            placed.append(one.model_copy(update={"centre_stage": StagePosition(x_nm=x_nm, y_nm=y_nm)}))
        return tuple(placed)

    def ended(
        self, field_index: int, stage_nm: Position | None, detections: Sequence[Detection], size_px: Size
    ) -> SlideSums | None:
        """The sums with this field, whose image has `size_px`; None as long as no field has said where it lies."""
        self._hear()
        views = [
            View(field_index, number, self._seen(one, stage_nm, size_px), one.label, one.presence)
            for number, one in enumerate(detections)
        ]
        ended = self._count.end(field_index, views)
        self._n_same += len(ended.merges)
        for one in ended.corrections:
            self._note(SourceNote("count_corrected", _correction(one.field_index, one.label, one.would_be), "info"))
        return self._sums(ended) if self._has_places else None

    def replaced(self, field_index: int) -> None:
        """Another field has taken the place of this one, which counts no more."""
        if not self._count.withdraw(field_index) and self._has_places:
            said = (
                f"field {field_index} was final when it was imaged anew: its cells stay in the final counts; what the new image"
                " shows beside them is added."
            )
            self._note(SourceNote("count_corrected", said, "warning"))

    def result(self) -> SlideResult | None:
        """The final result; None when no field has said where it lies."""
        self._hear()
        if not self._has_places:
            return None
        cells = _added(self._count.final, self._count.provisional)
        return SlideResult(
            cells=cells,
            differential=differential(cells),
            same_cells=self._n_same,
            tolerance_um=self._geometry.tolerance_um,
        )

    def _hear(self) -> None:
        for field_index, stage_nm in self._news():
            self._count.announce(field_index, None if stage_nm is None else self._area_um(stage_nm))
            self._announced_until = max(self._announced_until, field_index)
            self._has_places = self._has_places or stage_nm is not None

    def _area_um(self, stage_nm: Position) -> Box:
        x_um, y_um = self._geometry.seen_from_camera_um(stage_nm)
        width_um, height_um = (half * self._geometry.pixel_um for half in self._half_px)
        return x_um - width_um, y_um - height_um, x_um + width_um, y_um + height_um

    def _seen(self, detection: Detection, stage_nm: Position | None, size_px: Size) -> Seen:
        x1, y1, x2, y2 = detection.box_px
        width_px, height_px = size_px
        cut = (x1 <= _BORDER_PX, y1 <= _BORDER_PX, x2 >= width_px - _BORDER_PX, y2 >= height_px - _BORDER_PX)
        x_um, y_um = self._geometry.seen_from_camera_um(stage_nm or (0, 0))
        um = self._geometry.pixel_um
        box = (
            x_um + (x1 - width_px / 2) * um,
            y_um + (y1 - height_px / 2) * um,
            x_um + (x2 - width_px / 2) * um,
            y_um + (y2 - height_px / 2) * um,
        )
        return Seen(box, cut)

    def _sums(self, ended: Ended) -> SlideSums:
        final, provisional = self._count.final, self._count.provisional
        return SlideSums(
            final_until=self._count.frontier,
            announced_until=self._announced_until,
            final=final,
            final_wbc=wbc_total(final),
            provisional=provisional,
            provisional_wbc=wbc_total(provisional),
            same_cells=tuple(
                SameCell(
                    detection=one.number,
                    field_index=one.of_field_index,
                    of_detection=one.of_number,
                    distance_um=round(one.distance_um, 3),
                )
                for one in ended.merges
            ),
        )


def _added(final: dict[str, int], provisional: dict[str, int]) -> dict[str, int]:
    return {label: final.get(label, 0) + provisional.get(label, 0) for label in {**final, **provisional}}


def _correction(field_index: int, label: str, would_be: str) -> str:
    return (
        f"a cell of field {field_index} that is final as {label} would now be called {would_be}: a field that came later shows"
        " it better. The final counts stay as they were sent."
    )
