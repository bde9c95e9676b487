"""Whether the um/px of a run can be right, judged by what was counted and by what was not.

A wrong scale fails nothing: cells of another size than the model has learnt are missed or take another type. Leukocytes on a
smear are 8 to 20 um across, and their nuclei are by far the darkest things in a field at whatever scale it is shown.
"""

import math
from collections import Counter, OrderedDict

import cv2
import numpy as np
from cv2.typing import MatLike

from edge.contracts.detections import Image
from edge.postprocess import Findings
from edge.quality.red_cell_watch import RedCellWatch

LEUKOCYTE_UM = (8.0, 20.0)
NUCLEUS_UM = (2.5, 20.0)
"""What the darkest part of a nucleus may measure. Wide, because faint stains leave little of a nucleus that dark."""
MIN_CELLS = 5
"""Below that a median says nothing."""
MIN_FIELDS, MIN_SHARE = 5, 0.05
"""Fields with a nucleus from which they mean something, and of those that were looked at: a fold in the smear is dark, too."""
AT_FIRST, THEN_EVERY = 64, 16
"""Of the first fields every other one is looked at, then one in so many: it takes a tenth of a millisecond."""

RED_CELLS_SHOWN_BY = 10
"""Fields of a smear that show enough red cells, nearly always; that fewer do not is no news."""

_STEP_PX = 8
_DARKER_GREEN, _DARKER_RED = math.exp(-0.7), math.exp(-0.35)
"""Of the empty slide's brightness: a nucleus is below both. Red cells absorb green, but hardly any red."""
_NUCLEUS_SHARE = 0.005
"""Of a field that the largest dark spot takes up to be called a nucleus; platelets and dirt are smaller."""
_ADVICE = "the um/px of this run is most likely wrong; measure it with `leuko-calib pixel-size`."
_BIN_UM = 0.1
_REMEMBERED = 256


class ScaleCheck:
    """Told of every field that was counted; `doubts` says at the end what speaks against the scale. For one thread."""

    def __init__(self, um_per_px: float) -> None:
        self._um_per_px = um_per_px
        self._cell_sizes: Counter[int] = Counter()
        self._nucleus_sizes: Counter[int] = Counter()
        self._n_offered = self._n_looked = self._n_without = 0
        self._looks: OrderedDict[str, float] = OrderedDict()
        self._red_cells = RedCellWatch(um_per_px)

    def look(self, trigger_id: str, image: Image) -> None:
        """Before the field's pixels are let go of. `image` is BGR, uint8 [H, W, 3], at the run's um/px."""
        if self._n_offered % (2 if self._n_offered < AT_FIRST else THEN_EVERY) == 0:
            self._looks[trigger_id] = nucleus_px(image)
            if len(self._looks) > _REMEMBERED:  # of fields that failed afterwards
                self._looks.popitem(last=False)
        self._n_offered += 1
        self._red_cells.offer(image)

    def contradiction(self, *, is_last: bool = False) -> str:
        """What the red cells of the first fields say against the scale, once; empty until then, and for nothing.

        `is_last`: no field comes any more; waits for the last of them to be measured.
        """
        return self._red_cells.contradiction(is_last=is_last)

    @property
    def unchecked(self) -> str:
        """Why the um/px was not compared with red cells, once no field comes any more; empty where it was, or of few fields."""
        return self._red_cells.unchecked if self._n_offered >= RED_CELLS_SHOWN_BY else ""

    def close(self) -> None:
        """No field comes any more: nothing of it goes on."""
        self._red_cells.close()

    def counted(self, trigger_id: str, findings: Findings) -> None:
        """What was found in a field."""
        leukocytes = [cell for cell in findings.detections if cell.is_wbc]
        whole = (cell.size_um for cell in leukocytes if not cell.touches_border)
        self._cell_sizes.update(round(math.sqrt(width_um * height_um) / _BIN_UM) for width_um, height_um in whole)
        if (diameter_px := self._looks.pop(trigger_id, None)) is None:
            return
        self._n_looked += 1
        if diameter_px:
            self._nucleus_sizes[round(diameter_px * self._um_per_px / _BIN_UM)] += 1
            self._n_without += not leukocytes

    def doubts(self) -> tuple[str, ...]:
        """One sentence for each thing that cannot be at a right scale; none when nothing speaks against it."""
        mine = (self._wrong_cells(), self._wrong_nuclei(), self._missed_nuclei(), self._red_cells.judged)
        return tuple(filter(None, mine))

    def _wrong_cells(self) -> str:
        n, median_um = self._cell_sizes.total(), _median_um(self._cell_sizes)
        (least_um, most_um) = LEUKOCYTE_UM
        if n < MIN_CELLS or least_um <= median_um <= most_um:
            return ""
        return (
            f"the {n} leukocytes counted have a median diameter of {median_um:.1f} um, and leukocytes are {least_um:g} to "
            f"{most_um:g} um across: {_ADVICE}"
        )

    def _wrong_nuclei(self) -> str:
        median_um = _median_um(self._nucleus_sizes)
        if not self._shows_nuclei() or NUCLEUS_UM[0] <= median_um <= NUCLEUS_UM[1]:
            return ""
        n = self._nucleus_sizes.total()
        return f"the dark nuclei in {n} of {self._n_looked} fields looked at measure {median_um:.1f} um: {_ADVICE}"

    def _missed_nuclei(self) -> str:
        n = self._nucleus_sizes.total()
        if not self._shows_nuclei() or 2 * self._n_without < n:
            return ""
        return (
            f"{n} of {self._n_looked} fields looked at show a dark nucleus, and no leukocyte was counted in {self._n_without} "
            f"of them; if it is not the colours: {_ADVICE}"
        )

    def _shows_nuclei(self) -> bool:
        return self._nucleus_sizes.total() >= max(MIN_FIELDS, MIN_SHARE * self._n_looked)


def _median_um(sizes: Counter[int]) -> float:
    half, seen = sizes.total() / 2, 0
    for size, n in sorted(sizes.items()):
        seen += n
        if seen >= half:
            return size * _BIN_UM
    return 0.0


def _empty(channel: MatLike) -> int:
    """Brightness of the empty slide: the median of the brighter quarter. Counting is much faster than sorting."""
    counts = np.bincount(channel.ravel(), minlength=256)
    return int(np.searchsorted(np.cumsum(counts), 0.875 * channel.size))


def nucleus_px(image: Image) -> float:
    """Diameter in pixels of a circle as large as the largest dark spot of a field; 0 when it is too small to be a nucleus, or
    cut by the border. BGR, uint8 [H, W, 3].
    """
    height_px, width_px = (max(1, size // _STEP_PX) for size in image.shape[:2])
    _, green, red = cv2.split(cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_NEAREST))
    dark = (green < int(_empty(green) * _DARKER_GREEN)) & (red < int(_empty(red) * _DARKER_RED))
    n_spots, _, about, _ = cv2.connectedComponentsWithStats(dark.view(np.uint8), connectivity=4)
    if n_spots < 2:
        return 0.0
    left, top, width, height, area = about[1 + int(np.argmax(about[1:, cv2.CC_STAT_AREA]))]
    rows, columns = dark.shape
    if area < _NUCLEUS_SHARE * dark.size or 0 in (left, top) or left + width == columns or top + height == rows:
        return 0.0
    return float(2 * math.sqrt(area / math.pi) * _STEP_PX)
