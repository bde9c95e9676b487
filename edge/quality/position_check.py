"""Whether the pictures of a run were taken where its stage says, judged by the pictures alone.

A stage that stays where it was, a camera that gives an old frame, and pictures that all belong to the field beside theirs fail
nothing: every field has its picture, its place and its cells, and the cells are at wrong places. Two things give them away.
Fields at different places do not show the same; and where two fields overlap both show the same cells. Each field is kept as
some thousand samples of its green, a micrometre apart; what is fixed in the camera's picture (light, dust, a scale bar) is the
brightest that each sample has ever been, and is taken away. Where there is nothing to see nothing is judged.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.frame import SourceNote
from edge.contracts.detections import Image
from edge.contracts.stage_geometry import Position, StageGeometry
from edge.quality.likeness import MIN_SIDE_PX
from edge.quality.overlap_seen import OverlapSeen
from edge.quality.place_votes import PlaceVotes, Verdict
from edge.quality.repeated_pictures import MOST_NAMED, RepeatedPictures, are_copies, differ_by_noise

Grey = NDArray[np.uint8]
Pixels = tuple[float, float]

SAMPLE_UM, MOST_SAMPLES = 1.04, 7_000
APART_UM = 8.0
"""Places nearer than this may look alike; a red cell is 7 um across."""
KEPT = 512
"""Fields whose samples are kept for those that overlap them later."""
_REMEMBERED = 256
_KNOWN_AFTER = 6
"""Fields until what is fixed in the picture is known."""
_SAME = 0.8
"""Correlation of what two pictures show besides what is fixed."""
_FULL, _BLACK = 200, 48
"""The light of an empty place, and grey levels below which a place never had any: the rim of an aperture, dirt."""
_COVERED, _DARKER = 0.03, 12
"""Share of samples that something darkens by so many of `_FULL`: fewer is an empty field."""
_COPIES = 3
"""Copies in a row, where nothing but them is known of the camera's picture."""
_FITS, _MISFITS = 0.65, 0.4
"""Correlation where two fields overlap: above they fit, below they do not, between nothing is said."""
_STRUCTURE = 6.0
"""Standard deviation of what is compared, of `_FULL`."""
_LEAST_SIDE = 5
_WAYS = {1: ("next", "an exposure was lost before the first"), -1: ("former", "one too many was exposed")}
_AT_FIRST, _PAIRS_PER_FIELD, _MOST_CREDIT = 32, 0.05, 4.0
"""Of the first fields all overlaps are looked at, then as many: to lay two over each other takes a tenth of a millisecond."""


@dataclass(slots=True)
class _Field:
    number: int
    field_index: int
    at_px: Pixels
    grey: Grey | None


class PositionCheck:
    """`look` at each field's pixels, then say that it has `ended`, in the order of the triggers. For one thread."""

    def __init__(self, geometry: StageGeometry, um_per_px: float) -> None:
        self._geometry, self._um_per_px = geometry, um_per_px
        self._looks: OrderedDict[str, tuple[tuple[int, int], Grey]] = OrderedDict()
        self._fields: OrderedDict[int, _Field] = OrderedDict()
        self._newest_at: dict[tuple[int, int], int] = {}
        self._fixed: Grey | None = None
        self._n_known = self._n_covered = self._n_placed = self._n_copies = self._n_same = 0
        self._size_px: tuple[int, int] = (0, 0)
        self._last_px: tuple[int, int] = (0, 0)
        self._step = 1
        self._credit = _MOST_CREDIT
        self._votes = PlaceVotes()
        self._repeated, self._overlap = RepeatedPictures(), OverlapSeen()
        self._overlap_in_spite = OverlapSeen(has_places=True)

    def look(self, trigger_id: str, image: Image) -> None:
        """Before the field's pixels are let go of. `image` is BGR, uint8 [H, W, 3]."""
        height_px, width_px = image.shape[:2]
        step = self._step_for(width_px, height_px)
        self._looks[trigger_id] = (width_px, height_px), image[step // 2 :: step, step // 2 :: step, 1].copy()
        if len(self._looks) > _REMEMBERED:  # of fields that failed afterwards
            self._looks.popitem(last=False)

    def ended(
        self, trigger_id: str, field_index: int, stage_nm: Position | None, *, is_retake: bool = False
    ) -> list[SourceNote]:
        """The field has its end, with or without a picture; what is to be said of it. `is_retake`: it takes another's place."""
        size_px, grey = self._looks.pop(trigger_id, (self._size_px, None))
        if stage_nm is None:
            again = self._repeated.ended(field_index, grey, is_retake=is_retake)
            return again or self._overlap.ended(field_index, grey if not is_retake else None)
        if grey is not None and not self._is_of_run(size_px):
            grey = None
        x_um, y_um = self._geometry.seen_from_camera_um(stage_nm)
        pixel_um = self._geometry.pixel_um
        one = _Field(self._n_placed, field_index, (x_um / pixel_um, y_um / pixel_um), grey)
        before = self._fields.get(one.number - 1)
        self._n_placed += 1
        said = self._overlap_in_spite.ended(field_index, grey, may_overlap=before is None or self._may_overlap(one, before))
        if grey is not None:
            if before is not None and before.grey is not None and self._is_copy(one, before):
                said += self._same(one, before)
            elif before is not None:
                said += self._compared(one, before)
            self._learn(grey)
        self._keep(one)
        return said + self._late(one)

    def _step_for(self, width_px: int, height_px: int) -> int:
        """Pixels from sample to sample: about `SAMPLE_UM`, less where a small field would have too few to be known again."""
        usual = min(round(SAMPLE_UM / self._um_per_px), min(width_px, height_px) // (MIN_SIDE_PX + 1))
        return max(1, usual, math.ceil(math.sqrt(width_px * height_px / MOST_SAMPLES)))

    def _is_of_run(self, size_px: tuple[int, int]) -> bool:
        """Whether pictures of that size are compared with each other: those of the first, until two in a row have another.

        Then all begins anew: neither samples nor what is fixed have to do with those before.
        """
        last, self._last_px = self._last_px, size_px
        if size_px == self._size_px:
            return True
        if self._n_known and size_px != last:
            return False
        self._size_px, self._step = size_px, self._step_for(*size_px)
        self._fixed, self._n_known, self._n_covered, self._n_copies = None, 0, 0, 0
        self._fields.clear()
        self._newest_at.clear()
        return True

    # What is fixed in every picture.

    def _learn(self, grey: Grey) -> None:
        self._fixed = grey.copy() if self._fixed is None else np.asarray(cv2.max(self._fixed, grey, self._fixed), np.uint8)
        self._n_known += 1
        if self._n_known > _KNOWN_AFTER and not self._n_covered:
            self._n_covered += _is_covered(self._shown(grey))

    def _shown(self, grey: Grey) -> Grey:
        """Each sample's share of the light that it has ever had, `_FULL` for all of it; a lamp that fades changes all alike."""
        if self._fixed is None:
            return grey
        _, never_bright = cv2.threshold(self._fixed, _BLACK, _FULL, cv2.THRESH_BINARY_INV)
        return np.asarray(cv2.max(cv2.divide(grey, self._fixed, scale=_FULL), never_bright), np.uint8)

    # The same picture twice.

    def _is_copy(self, one: _Field, before: _Field) -> bool:
        here, there = one.grey, before.grey
        if here is None or there is None or self._apart_um(one, before) < max(APART_UM, 2 * self._geometry.tolerance_um):
            return False
        if not differ_by_noise(here, there):
            self._n_copies = 0
            return False
        mine, theirs = self._shown(here), self._shown(there)
        if self._n_known >= _KNOWN_AFTER and self._n_covered:
            return _is_covered(mine) and _is_covered(theirs) and _correlation(mine, theirs) >= _SAME
        # Every picture so far may be one and the same: nothing tells what is fixed from what is there.
        if not are_copies(here, there):
            self._n_copies = 0
            return False
        self._n_copies += 1
        return self._n_copies >= _COPIES

    def _same(self, one: _Field, before: _Field) -> list[SourceNote]:
        self._n_same += 1
        if self._n_same > MOST_NAMED:
            return []
        what = "the stage has not moved, or the camera has given an old picture; its cells are counted at a wrong place"
        sentence = (
            f"field {one.field_index} shows the same picture as field {before.field_index}, and the stage says that they are "
            f"{self._apart_um(one, before):.0f} um apart: {what}. Look at stage and camera, and image it anew."
        )
        if self._n_same == MOST_NAMED:
            sentence += " Further fields are not named."
        doubt = f"from field {one.field_index} on fields show the picture of another place (events `same_picture`): {what}."
        return [SourceNote("same_picture", sentence, "warning", doubt if self._n_same == 1 else "", one.field_index)]

    # Neighbours that overlap.

    def _compared(self, one: _Field, before: _Field) -> list[SourceNote]:
        """With the field before and with one of a former line; no more than there is time for."""
        self._credit = min(_MOST_CREDIT, self._credit + _PAIRS_PER_FIELD)
        if self._n_known < _KNOWN_AFTER or (self._credit < 1 and one.number >= _AT_FIRST):
            return []
        earlier = self._fields.get(one.number - 2)
        turns = earlier is None or _differ(_from(before, one), _from(earlier, before))
        both = (before, self._neighbour(one))
        for other in both if turns or one.number % 2 else both[::-1]:
            if other is not None and (one.number < _AT_FIRST or self._credit >= 1):
                self._credit = max(0.0, self._credit - self._judge(one, other))
        return self._told()

    def _judge(self, one: _Field, other: _Field) -> int:
        """How many times pictures were laid over each other."""
        found = self._agreement(one, other, _from(other, one))
        if found is None or _MISFITS <= found < _FITS:
            return found is not None
        x_px, y_px = _from(other, one)
        self._votes.judged((other.number, one.number), fits=found >= _FITS, upright=abs(y_px) > abs(x_px))
        self._try(one, other, -1, fits=found >= _FITS)
        return 1 if found >= _FITS else 2

    def _try(self, one: _Field, other: _Field, lag: int, *, fits: bool) -> None:
        """Whether two pictures that do not fit where they should do so at the places of the fields `lag` further on; ones that
        `fits` would not if all pictures were so many fields off.
        """
        here, there = self._fields.get(one.number + lag), self._fields.get(other.number + lag)
        if here is None or there is None or not self._tells(one, other, lag):
            return
        if fits:
            self._votes.not_shifted(lag)
            return
        found = self._agreement(one, other, _from(there, here))
        if found is not None and found >= _FITS:
            self._votes.shifted(lag)

    def _tells(self, one: _Field, other: _Field, lag: int) -> bool:
        """Whether the fields `lag` further on lie otherwise to each other than these; along a line none do."""
        here, there = self._fields.get(one.number + lag), self._fields.get(other.number + lag)
        return (
            here is not None
            and there is not None
            and math.dist(_from(other, one), _from(there, here)) * self._um_per_px >= APART_UM
        )

    def _late(self, newest: _Field) -> list[SourceNote]:
        """Pairs that were judged, now that the place of the field behind them is known."""
        for numbers, fits in self._votes.waiting(newest.number):
            other, one = (self._fields.get(number) for number in numbers)
            if one is not None and other is not None:
                self._try(one, other, +1, fits=fits)
        return self._told()

    def _told(self) -> list[SourceNote]:
        verdict: Verdict | None = self._votes.verdict()
        if verdict is None:
            return []
        if verdict.lag:
            way, why = _WAYS[verdict.lag]
            sentence = (
                f"the pictures of this run belong to the {way} field each: {verdict.n} pairs of neighbours show the same cells "
                f"where they would lie then, and not where the stage says. Probably {why}; every cell is at a wrong place, and "
                "so are counts across fields. Repeat the run."
            )
            return [SourceNote("pictures_shifted", sentence, "warning", doubt=sentence)]
        sentence = (
            f"in {verdict.n} of {verdict.of} pairs of overlapping fields the cells do not lie where the stage says: its "
            "positions, the um/px or how the camera lies over it (the profile's stage) are wrong, so that cells are counted "
            "twice or taken for one; measure them (`leuko-calib stage`), and repeat the run."
        )
        return [SourceNote("overlap_misfit", sentence, "warning", doubt=sentence)]

    def _agreement(self, one: _Field, other: _Field, by_px: Pixels) -> float | None:
        """Best correlation of what both show, `one` lying by `by_px` beside `other`; None where too little is shown."""
        if one.grey is None or other.grey is None:
            return None
        rows, columns = one.grey.shape
        reach = math.ceil(self._geometry.tolerance_um / (self._step * self._um_per_px)) + 1
        along_x, along_y = (_common(n, round(by / self._step), reach) for n, by in zip((columns, rows), by_px, strict=True))
        if along_x is None or along_y is None:
            return None
        (x0, x1, x), (y0, y1, y) = along_x, along_y
        mine, theirs = self._shown(one.grey), self._shown(other.grey)
        part = mine[y0:y1, x0:x1]
        around = theirs[y0 + y - reach : y1 + y + reach, x0 + x - reach : x1 + x + reach]
        if min(float(cv2.meanStdDev(each)[1][0, 0]) for each in (part, around)) < _STRUCTURE:
            return None
        return float(cv2.matchTemplate(around, part, cv2.TM_CCOEFF_NORMED).max())

    def _neighbour(self, one: _Field) -> _Field | None:
        """A field of before the last one whose place is nearest to this one's."""
        column, row = self._cell(one)
        numbers = {self._newest_at.get((column + x, row + y)) for x in (-1, 0, 1) for y in (-1, 0, 1)}
        near = [self._fields[number] for number in numbers if number is not None and number in self._fields]
        near = [each for each in near if each.number < one.number - 1 and each.grey is not None]
        return min(near, key=lambda each: math.dist(each.at_px, one.at_px), default=None)

    def _cell(self, one: _Field) -> tuple[int, int]:
        return math.floor(one.at_px[0] / max(1, self._size_px[0])), math.floor(one.at_px[1] / max(1, self._size_px[1]))

    def _keep(self, one: _Field) -> None:
        self._fields[one.number] = one
        if self._size_px[0]:
            self._newest_at[self._cell(one)] = one.number
        if len(self._fields) > KEPT:
            _, gone = self._fields.popitem(last=False)
            if self._newest_at.get(self._cell(gone)) == gone.number:
                del self._newest_at[self._cell(gone)]

    def _may_overlap(self, one: _Field, other: _Field) -> bool:
        """Whether the two have something in common by their places, within what the stage may err."""
        sides = zip(_from(other, one), self._size_px, strict=True)
        return all(abs(by_px) * self._geometry.pixel_um < size_px * self._um_per_px + 2 * APART_UM for by_px, size_px in sides)

    def _apart_um(self, one: _Field, other: _Field) -> float:
        return math.dist(one.at_px, other.at_px) * self._geometry.pixel_um


def _from(other: _Field, one: _Field) -> Pixels:
    """How far `one` lies from `other`, in px."""
    return one.at_px[0] - other.at_px[0], one.at_px[1] - other.at_px[1]


def _differ(one: Pixels, other: Pixels) -> bool:
    return math.dist(one, other) > 0.5 * max(math.hypot(*one), math.hypot(*other))


def _common(size: int, shift: int, reach: int) -> tuple[int, int, int] | None:
    """Along one side: samples of the field that lies `shift` further which the other shows, too, with room to look around for
    `reach`, and where they are there; None for too few."""
    first, last = max(0, reach - shift), min(size, size - reach - shift)
    return (first, last, shift) if last - first >= _LEAST_SIDE else None


def _is_covered(shown: Grey) -> bool:
    some = np.sort(shown[::4, ::4], axis=None)
    empty = int(some[3 * some.size // 4])
    _, darker = cv2.threshold(shown, empty - _DARKER, 1, cv2.THRESH_BINARY_INV)
    return cv2.countNonZero(darker) >= _COVERED * shown.size


def _correlation(one: Grey, other: Grey) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
