"""What became of every image, file of labels and box of a data set: noted while it is read, so that nothing is lost in silence.

The readers note what they take up; `trainer/data/check/accounting.py` counts the files on the disk and what is used in the end,
and holds the one against the other, as the edge's ledger does with triggers and fields.
"""

from collections import Counter, defaultdict
from enum import Enum
from pathlib import Path


class Fate(str, Enum):
    """What became of one of them; the values are words that a report shows."""

    USED = "used"
    FAULTY = "with an error that is named below"
    REPEATED = "of an image that is there several times"
    BACKGROUND = "of a background class"
    TWICE = "marked twice"
    NO_IMAGE = "without an image"
    UNREAD = "in no place that is read"
    UNLISTED = "in no file of annotations"
    SUFFIX = "with a suffix that is not read"
    STRAY = "left by the system (._*)"
    OTHER_FORMAT = "in another format"
    LEFT_OUT = "left out by the description"
    UNEXPLAINED = "for no known reason"


Key = tuple[Path, str]
"""A file of labels and, where it holds those of several images, which of them; an image itself where it needs no file."""

Tally = Counter[Fate]
"""Boxes of one image; `Fate.USED` are those of it that are used if it is."""


def moved(tally: Tally, before: Fate, after: Fate, boxes: int = 1) -> None:
    """Note that what was counted as `before` is `after` instead."""
    tally[before] -= boxes
    tally[after] += boxes


class Book:
    """Notes of a reading.

    `added` regions are in an annotation and in no file of labels; `loose` boxes are, by their file, faulty and of no image.
    """

    def __init__(self) -> None:
        self.images: dict[Path, Key] = {}
        self.repeated: set[Path] = set()
        self.tallies: dict[Key, Tally] = {}
        self.added: dict[Path, int] = defaultdict(int)
        self.loose: dict[Path, int] = defaultdict(int)

    def image(self, path: Path, labels: Path | None = None, part: str = "") -> Tally:
        """An image is taken up, with its file of labels; returns the tally in which its boxes are to be noted.

        Boxes that two images share, a.jpg and a.png, are counted for the first.
        """
        key = (labels or path, part)
        self.images[path] = key
        return Counter() if key in self.tallies else self.tallies.setdefault(key, Counter())

    def again(self, path: Path) -> None:
        """An image that shows what another one shows is not used."""
        self.repeated.add(path)


class NoBook(Book):
    """For whoever keeps no account."""

    def image(self, path: Path, labels: Path | None = None, part: str = "") -> Tally:
        """A tally that nobody sees."""
        return Counter()

    def again(self, path: Path) -> None:
        """Nothing."""
