"""Which images must never be parted by a split: the same original, the same slide or field, near-duplicates."""

import re
from collections.abc import Mapping, Sequence

import cv2
import imagehash
import numpy as np
from PIL import Image as Pillow

from leukostream.edge.contracts.detections import Image
from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.data.annotation import Annotation
from leukostream.trainer.data.image_file import read_image

HASH_SIDE = 16
SAME_PICTURE_BITS = 40
"""Of 256: two pictures of one field, moved by a little, differ in 20 to 40 bits; the closest strangers mostly in over 55."""


def groups_of(annotations: Sequence[Annotation], patterns: Mapping[str, str]) -> list[int]:
    """A group number for each annotation; images of one group belong in one split.

    `patterns` is by source: the part of an original's name that the regular expression's first group matches names its slide
    or field. Near-duplicates join their groups. Raises `DataError` for a pattern that does not match, or an unreadable image.
    """
    names = [f"{row.source}/{_name(row, patterns.get(row.source))}" for row in annotations]
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for first, second in near_duplicates([difference_hash(read_image(row.path)) for row in annotations]):
        parent[root(names[first])] = root(names[second])
    numbers: dict[str, int] = {}
    return [numbers.setdefault(root(name), len(numbers)) for name in names]


def _name(row: Annotation, pattern: str | None) -> str:
    if pattern is None:
        return row.original
    found = re.match(pattern, row.original)
    if not found or not found.groups():
        raise DataError(f"{row.path}: the original's name {row.original!r} does not match group_by {pattern!r}; correct it.")
    return found.group(1)


def difference_hash(image: Image) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """256 bits: whether brightness rises from each of 16x16 places to its right neighbour (Krawetz's dHash)."""
    grey = Pillow.fromarray(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8))
    bits: np.ndarray[tuple[int], np.dtype[np.bool_]] = imagehash.dhash(grey, HASH_SIDE).hash.ravel()
    return bits


def near_duplicates(
    hashes: Sequence[np.ndarray[tuple[int], np.dtype[np.bool_]]], bits: int = SAME_PICTURE_BITS
) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of hashes that differ in at most `bits`."""
    table = np.array(hashes, np.float32).reshape(len(hashes), -1)
    # |a - b| of bits is a + b - 2ab: one matrix product instead of n^2 comparisons.
    ones = table.sum(axis=1)
    distance = ones[:, None] + ones[None] - 2 * table @ table.T
    close = np.triu(distance <= bits, k=1)
    return [(int(i), int(j)) for i, j in np.argwhere(close)]
