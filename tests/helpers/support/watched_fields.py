"""Fields as other cameras would show them, and what a watch that is told of them says."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import pytest

from edge.contracts.detections import Image

LABORATORIES = [
    pytest.param("chula_wbc/images", 0.13, id="a cheap camera with a cast"),
    pytest.param("pbc_tiles", 0.10, id="tiles of a hospital's analyser"),
    pytest.param("apl_jhu", 0.10, id="patients with leukaemia"),
    pytest.param("rbc_fields/images", 0.187, id="fields without a leukocyte"),
    pytest.param("bccd/JPEGImages", 0.073, id="a pale stain"),
]
"""Folders of real fields, and their um/px."""

Seen = Callable[[Image], Image]


class ColourWatch(Protocol):
    """Looks at each field at first, and says one sentence."""

    def look(self, image: Image) -> None: ...

    def sentence(self, *, is_last: bool = False) -> str: ...


def some_real_fields(folder: Path, n: int) -> list[Image]:
    """Up to `n` of a folder, the same each time."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".jpg", ".png"})
    chosen = random.Random(1).sample(files, min(n, len(files)))
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in chosen]


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
