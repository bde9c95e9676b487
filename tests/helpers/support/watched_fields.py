"""Fields as other cameras would show them, and what a watch that is told of them says."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from edge.contracts.detections import Image

Seen = Callable[[Image], Image]


class ColourWatch(Protocol):
    """Looks at every other field at first, and says one sentence."""

    def look(self, image: Image) -> None: ...

    def sentence(self) -> str: ...


def as_it_is(image: Image) -> Image:
    return image


def under_a_lamp(*bgr: float) -> Seen:
    """Each channel so many times as bright."""
    return lambda image: np.asarray((image * np.array(bgr)).clip(0, 255), np.uint8)


def sentence_of(watch: ColourWatch, fields: Sequence[Image]) -> str:
    """Once it has looked at each of these: each is given twice."""
    for image in fields:
        watch.look(image)
        watch.look(image)
    return watch.sentence()
