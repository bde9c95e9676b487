"""What happens to a fault of a data set: it stops the reading, is listed, or costs one image."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from edge.contracts.errors import DataError
from trainer.data.account import Book, NoBook

Kind = Literal["image", "labels", "class", "box", "name", "origin", "scale"]
"""An unreadable image; a file of labels missing, damaged or at odds with its image; an unmapped class name; a bad box; a name
that another picture of the source has; a source of unknown origin; an image too small at its scale."""


class UnreadableImage(DataError):
    """An image file that is missing, damaged or of an unsupported pixel format."""


class UnmappedClass(DataError):
    """A class name that the class map does not have."""


class BadBox(DataError):
    """A box that cannot be a cell's."""


class NameTaken(DataError):
    """A picture with the name that another picture of its source has."""


class OriginMissing(DataError):
    """A source of which the description states no origin and licence."""


class TooSmall(DataError):
    """An image of which nothing is left at the scale it is wanted at."""


_KINDS: dict[type[DataError], Kind] = {
    UnreadableImage: "image",
    UnmappedClass: "class",
    BadBox: "box",
    NameTaken: "name",
    OriginMissing: "origin",
    TooSmall: "scale",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `sentence` says what is wrong, where, and what to do."""

    kind: Kind
    file: Path
    sentence: str


class Faults:
    """The strict way: the first fault stops the reading with its `DataError`.

    `book` takes note of what becomes of images and boxes; only who lists faults keeps one.
    """

    book: Book = NoBook()

    def of(self, file: Path) -> "_Watched":
        """Whatever `DataError` (or `OSError`) is raised within this context is a fault of `file`; if it is borne, what follows
        goes on."""
        return _Watched(self, file)

    def bears(self, fault: Fault) -> bool:
        """Whether the reading goes on without what the fault spoils."""
        return False

    def borne(self, fault: Fault) -> bool:
        """The same, taking note of it."""
        return self.bears(fault)

    def within_limit(self, read: int) -> None:
        """Raises `DataError` when too many images were lost so far, beside `read` that were not."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A context manager; as a class, because it may swallow an error and type checkers have to know."""

    faults: Faults
    file: Path

    def __enter__(self) -> None:
        return None

    def __exit__(self, error: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> bool:
        if isinstance(problem, OSError):
            # A folder that one may not look into, a name that is too long, a disk that does not answer.
            of = problem.filename or self.file
            refused = DataError(f"{of} cannot be read ({problem.strerror}); correct its permissions, or copy it again.")
            if self.faults.borne(Fault("labels", self.file, str(refused))):
                return True
            raise refused from problem
        if not isinstance(problem, DataError):
            return False
        return self.faults.borne(Fault(_KINDS.get(type(problem), "labels"), self.file, str(problem)))


STRICT = Faults()


class ReadAgain(Faults):
    """Bears what `first` bears and takes note of nothing: of images that were read before under it."""

    def __init__(self, first: Faults) -> None:
        self._first = first

    def bears(self, fault: Fault) -> bool:
        """As `first`."""
        return self._first.bears(fault)


class Noted(Faults):
    """The strict way, with an account of what becomes of images and boxes."""

    def __init__(self) -> None:
        self.book = Book()


class Listed(Faults):
    """Every fault is kept in `found`, and what it spoils is left out."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self.book = Book()

    def bears(self, fault: Fault) -> bool:
        """Always."""
        return True

    def borne(self, fault: Fault) -> bool:
        """Always."""
        self.found.append(fault)
        return True


class WithoutUnreadable(Faults):
    """Unreadable images are left out, up to `share` of all; every other fault stops the reading.

    `left_out` keeps the sentence of each such image. A training bears a damaged file among thousands; an evaluation must not,
    because its figures are those of all its images.
    """

    def __init__(self, share: float) -> None:
        self.book = Book()
        self.share = share
        self.left_out: dict[Path, str] = {}

    def bears(self, fault: Fault) -> bool:
        """Of an image."""
        return fault.kind == "image"

    def borne(self, fault: Fault) -> bool:
        """Of an image."""
        if fault.kind == "image":
            self.left_out[fault.file] = fault.sentence
        return self.bears(fault)

    def within_limit(self, read: int) -> None:
        """Raises `DataError` when more than `share` of the images could not be read, naming the first; `read` are those that
        could."""
        images = read + len(self.left_out)
        if len(self.left_out) > self.share * images:
            raise DataError(
                f"{len(self.left_out)} of {images} images cannot be read, more than max_unreadable = {self.share:g} allows; "
                f"`leuko-train data check` lists them all, the first: {next(iter(self.left_out.values()))}"
            )
