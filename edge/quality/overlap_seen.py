"""Whether neighbouring pictures of a run whose fields have no place overlap, so that the cells in both are counted twice.

Where a stage says where fields lie, a cell in two of them is one. A folder of a scan with overlap, or a video of a stage that
moves on, has no places: then only the pictures tell. Pieces of one picture are looked for in the next (normalised correlation,
Lewis 1995), and what they say is held against all that both would show.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.frame import SourceNote
from edge.contracts.detections import Float32

Grey = NDArray[np.uint8]

OVERLAPS = 0.7
"""Correlation of what two pictures show in common. Pictures that overlap by a sixth or more have over 0.8 where they are drawn,
and mostly over 0.72 where they were photographed; others stay below 0.6."""

ENOUGH = 3
"""Pairs that overlap before anything is said: a collection may hold a place twice."""

AT_FIRST, THEN_EVERY = 32, 16
"""Of the first pairs all are looked at, then one in so many: one takes half a millisecond."""

_LEAST_PX = 24
_CANDIDATE = 0.6
"""Of the best piece: less is not worth the second look."""

_GROUND_PX, _DEEPEST, _STRUCTURE = 15, 0.12, 0.02
"""Light and stain around each sample are taken away over so many; no cell outweighs the others by more than that density."""

_FIXED_PX = 1
"""A piece that fits best so near to where it was shows what is fixed in the camera's picture, or a stage that rests."""


class OverlapSeen:
    """Told of every field without a place, in their order; or, `has_places`, of every one with a place. For one thread."""

    def __init__(self, *, has_places: bool = False) -> None:
        self._has_places = has_places
        self._before: tuple[int, Float32] | None = None
        self._n_pairs = self._n_judged = 0
        self._found: list[tuple[int, int]] = []
        self._said = False

    def ended(self, field_index: int, grey: Grey | None, *, may_overlap: bool = False) -> list[SourceNote]:
        """`grey` are samples of the field's green, about a micrometre apart. What is to be said, once.

        `may_overlap`: by their places this field and the one before have something in common, so that it is no news.
        """
        looks = self._n_pairs < AT_FIRST or self._n_pairs % THEN_EVERY < 2
        self._n_pairs += 1
        before, self._before = self._before, None
        if self._said or not looks or grey is None or min(grey.shape) < _LEAST_PX:
            return []
        here = _detail(grey)
        self._before = field_index, here
        if before is None or before[1].shape != here.shape or may_overlap:
            return []
        self._n_judged += 1
        if overlap_of(before[1], here) < OVERLAPS:
            if _agreement(before[1], here, 0, 0) >= OVERLAPS:
                # A stage that creeps, or what is fixed in every picture: the next ones will have moved on from the older one.
                self._before = before
            return []
        self._found.append((before[0], field_index))
        if len(self._found) < ENOUGH:
            return []
        self._said = True
        one, other = self._found[-1]
        if self._has_places:
            sentence = (
                f"in {len(self._found)} of {self._n_judged} pairs of neighbours that lie apart by what the stage says, such as "
                f"fields {one} and {other}, the same cells show in both pictures: its positions are too far apart (they are in "
                "nanometres) or the um/px too small, so that such cells are counted more than once; correct them, and repeat "
                "the run."
            )
            return [SourceNote("overlap_misfit", sentence, "warning", doubt=sentence)]
        sentence = (
            f"pictures of this run overlap: in {len(self._found)} of {self._n_judged} pairs of neighbours, such as fields "
            f"{one} and {other}, the same cells show in both, and no stage says where they lie, so that such cells are "
            "counted more than once; give fields their places (`stage` of a TRIGGER), or pictures that do not overlap."
        )
        return [SourceNote("fields_overlap", sentence, "warning", doubt=sentence)]


def overlap_of(one: Float32, other: Float32) -> float:
    """Correlation of what two pictures' details show in common where they fit best, beside each other or over one another."""
    height, width = one.shape
    across, down = max(6, width // 8), max(6, height // 8)
    x5, y5 = width // 5, height // 5
    pieces = (
        (0, y5, across, 3 * y5),
        (width - across, y5, across, 3 * y5),
        (x5, 0, 3 * x5, down),
        (x5, height - down, 3 * x5, down),
        (width // 3, height // 3, width // 3, height // 3),
    )
    best, shift = 0.0, (0, 0)
    for x, y, w, h in pieces:
        piece = one[y : y + h, x : x + w]
        if float(piece.std()) < _STRUCTURE:
            continue
        likeness = cv2.matchTemplate(other, piece, cv2.TM_CCOEFF_NORMED)
        _, value, _, (at_x, at_y) = cv2.minMaxLoc(likeness)
        if value > best and max(abs(at_x - x), abs(at_y - y)) > _FIXED_PX:
            best, shift = value, (at_x - x, at_y - y)
    return _agreement(one, other, *shift) if best >= _CANDIDATE else 0.0


def _agreement(one: Float32, other: Float32, dx: int, dy: int) -> float:
    """Correlation over all that both show, `other` being `one` moved by so many samples, give or take one."""
    height, width = one.shape
    left, right, top, bottom = max(0, -dx), min(width, width - dx), max(0, -dy), min(height, height - dy)
    part = one[top + 1 : bottom - 1, left + 1 : right - 1]
    if min(part.shape) < _LEAST_PX // 4 or float(part.std()) < _STRUCTURE:
        return 0.0
    around = other[top + dy : bottom + dy, left + dx : right + dx]
    return float(cv2.matchTemplate(around, part, cv2.TM_CCOEFF_NORMED).max())


def _detail(grey: Grey) -> Float32:
    """Density over what lies around."""
    density = np.log(grey.astype(np.float32) + 4)
    return np.asarray((density - cv2.blur(density, (_GROUND_PX, _GROUND_PX))).clip(-_DEEPEST, _DEEPEST), np.float32)
