"""Which images must never be parted by a split: the same original, the same slide or field, near-duplicates."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from edge.contracts.detections import Float32
from edge.contracts.errors import DataError
from edge.quality import alike, look_of
from trainer.data.annotation import Annotation
from trainer.data.faults import STRICT, Faults
from trainer.data.source_files import read_grey

Bits = NDArray[np.bool_]

HASH_SIDE = 16
MIN_SIDE_PX = 3 * (HASH_SIDE + 1)
"""A picture shrunk to less has too few pixels for each place."""

ROWS_AT_ONCE = 1024
"""Of the table of distances: all at once would be gigabytes for the reference's 14,700 images."""

SAME_PICTURE_BITS = 40
"""Of 256: two pictures of one field, moved by a little, differ in 20 to 40 bits. So do many whole fields of one camera, whose
light falls off alike: the hash only says which pictures to compare by what is in them."""


class Fingerprint(NamedTuple):
    """By what pictures are compared: a hash [256] and what they show [k] (`edge.quality.look_of`)."""

    bits: Bits
    look: Float32


def groups_of(annotations: Sequence[Annotation], patterns: Mapping[str, str], faults: Faults = STRICT) -> list[int]:
    """A group number for each annotation; images of one group belong in one split.

    `patterns` is by source: the part of an original's name that the regular expression's first group matches names its slide
    or field. Near-duplicates join their groups. A pattern that does not match and an unreadable image go to `faults`; the one
    is then a group of its own, of the other the name alone decides.
    """
    names = group_names(annotations, patterns, faults)
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    seen: list[str] = []
    prints: list[Fingerprint] = []
    for row, name in zip(annotations, names, strict=True):
        with faults.of(row.path):
            prints.append(fingerprint(row.path))
            seen.append(name)
    for first, second in same_pictures(prints):
        parent[root(seen[first])] = root(seen[second])
    numbers: dict[str, int] = {}
    return [numbers.setdefault(root(name), len(numbers)) for name in names]


def group_names(annotations: Sequence[Annotation], patterns: Mapping[str, str], faults: Faults = STRICT) -> list[str]:
    """The slide, field or original that each image is of, by its name alone; see `groups_of`."""
    names = [f"{row.source}/{row.original}" for row in annotations]
    for number, row in enumerate(annotations):
        if row.source in patterns:
            with faults.of(row.path):
                names[number] = _matched(row, patterns[row.source])
    return names


def _matched(row: Annotation, pattern: str) -> str:
    found = re.match(pattern, row.original)
    if not found or found.group(1) is None:
        raise DataError(f"{row.path}: the original's name {row.original!r} does not match group_by {pattern!r}; correct it.")
    return f"{row.source}/{found.group(1)}"


def fingerprint(path: Path) -> Fingerprint:
    """The hash is whether brightness rises from each of 16x16 places to its right neighbour (Krawetz's dHash).

    Raises `UnreadableImage`.
    """
    grey = read_grey(path, MIN_SIDE_PX)
    return Fingerprint(imagehash.dhash(Pillow.fromarray(grey), HASH_SIDE).hash.ravel(), look_of(grey))


def same_picture(one: Path, other: Path) -> bool:
    """Whether two files show the same, perhaps moved a little, recoloured or compressed. Raises `UnreadableImage`."""
    return bool(same_pictures([fingerprint(one), fingerprint(other)]))


def same_pictures(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of pictures that show the same."""
    if not prints:
        return []
    return near_duplicates([each.bits for each in prints], looks=np.stack([each.look for each in prints]))


def near_duplicates(
    hashes: Sequence[Bits], bits: int = SAME_PICTURE_BITS, looks: Float32 | None = None
) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, of hashes that differ in at most `bits`, and whose `looks` [n, k], where given, are alike."""
    table = np.array(hashes, np.float32).reshape(len(hashes), HASH_SIDE**2)
    ones = table.sum(axis=1)
    pairs: list[tuple[int, int]] = []
    for first in range(0, len(table), ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        # |a - b| of bits is a + b - 2ab: one matrix product instead of n^2 comparisons.
        near = ones[rows, None] + ones[None] - 2 * table[rows] @ table.T <= bits
        if looks is not None:
            near &= alike(looks[rows], looks)
        pairs += [(int(i) + first, int(j)) for i, j in np.argwhere(near) if i + first < j]
    return pairs
