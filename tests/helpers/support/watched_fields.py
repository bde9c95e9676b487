"""Fields as other cameras would show them, and what a watch that is told of them says."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from edge.contracts.detections import Image

Seen = Callable[[Image], Image]


class ColourWatch(Protocol):
    """Looks at each field at first, and says one sentence."""

    def look(self, image: Image) -> None: ...

    def sentence(self, *, is_last: bool = False) -> str: ...


def as_it_is(image: Image) -> Image:
    return image


def under_a_lamp(*bgr: float) -> Seen:
    """Each channel so many times as bright."""
    return lambda image: np.asarray((image * np.array(bgr)).clip(0, 255), np.uint8)


def sentence_of(watch: ColourWatch, fields: Sequence[Image], *, is_last: bool = False) -> str:
    """Once it has looked at each of these; `is_last`: and there are no more."""
    for image in fields:
        watch.look(image)
    return watch.sentence(is_last=is_last)
