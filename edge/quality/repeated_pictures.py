"""Pictures that come more than once in a run whose fields have no place: copies of files, a stage that rests, an old picture.

Where a stage says that it has moved, `PositionCheck` tells. Without one every picture is a field, and nothing else keeps a
folder in which each image lies twice, or a video of a stage that stops, from being counted twice.
"""

from collections import OrderedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.frame import SourceNote
from edge.quality.likeness import MIN_SIDE_PX, alike, look_of

Grey = NDArray[np.uint8]

MOST_NAMED = 50
"""Fields that are events each: a stage that never moves is not a record more for every field."""

REMEMBERED = 65_536
"""Fields whose pictures are known again to the last pixel, by a number of eight bytes each."""

SAME_NOISE = 0.3
"""Mean difference of two exposures of one place, over the spread of either picture: at most so much."""

_COPY = 0.85
"""Likeness of copies; see `edge.quality.likeness`."""

_LEVELS = 12
"""Grey levels of a picture from which it can be told from others: a camera's has more, one overexposed all over fewer."""


class RepeatedPictures:
    """Told of every field without a place, in their order. For one thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, int] = OrderedDict()
        self._before: tuple[int, Grey] | None = None
        self._n_again = 0

    def ended(self, field_index: int, grey: Grey | None, *, is_retake: bool = False) -> list[SourceNote]:
        """`grey` are samples of the field's green, None without a picture. What is to be said of it: of a retake, which is
        counted in place of another, only that it is that other's picture to the last pixel, for then it brought nothing."""
        if grey is None or np.count_nonzero(np.bincount(grey.ravel(), minlength=256)) < _LEVELS:
            return []
        key = hash((grey.shape, grey.tobytes()))
        earlier = self._known.get(key)
        said = list[SourceNote]()
        if earlier is not None:
            said = self._again(field_index, earlier, ", pixel for pixel")
        elif not is_retake and self._before is not None and _is_copy(grey, self._before[1]):
            said = self._again(field_index, self._before[0], "")
        else:
            # Of a stage that rests each picture is held against the first one there.
            self._before = field_index, grey
        self._known.setdefault(key, field_index)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return said

    def _again(self, field_index: int, earlier: int, how: str) -> list[SourceNote]:
        self._n_again += 1
        if self._n_again > MOST_NAMED:
            return []
        sentence = (
            f"field {field_index} shows the same as field {earlier}{how}: a copy of a file, a stage that rested, or an old "
            "picture; its cells are counted again. Leave it out, and repeat the run."
        )
        if self._n_again == MOST_NAMED:
            sentence += " Further fields are not named."
        doubt = (
            f"from field {field_index} on pictures come more than once (events `picture_again`), and their cells are counted "
            "each time."
        )
        return [SourceNote("picture_again", sentence, "warning", doubt if self._n_again == 1 else "", field_index)]


def _is_copy(here: Grey, there: Grey) -> bool:
    return here.shape == there.shape and differ_by_noise(here, there) and are_copies(here, there)


def differ_by_noise(here: Grey, there: Grey) -> bool:
    """Whether two pictures of one size may be exposures of one place."""
    _, spread = cv2.meanStdDev(here)
    return cv2.norm(here, there, cv2.NORM_L1) / here.size <= SAME_NOISE * float(spread[0, 0])


def are_copies(here: Grey, there: Grey) -> bool:
    """Whether both show the same, whatever is fixed in the camera's picture."""
    return min(here.shape) >= MIN_SIDE_PX and bool(alike(look_of(here)[None], look_of(there)[None], _COPY)[0, 0])
