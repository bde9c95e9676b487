"""What happens to a fault of a data set: it stops the reading, is listed, or costs one image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from leukostream.edge.contracts.errors import DataError

Kind = Literal["image", "labels", "class", "box"]
"""An unreadable image; a file of labels missing, damaged or at odds with its image; an unmapped class name; a bad box."""


class UnreadableImage(DataError):
    """An image file that is missing, damaged or of an unsupported pixel format."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `sentence` says what is wrong, where, and what to do."""

    kind: Kind
    file: Path
    sentence: str


class Faults:
    """The strict way: the first fault stops the reading with its `DataError`."""

    @contextmanager
    def of(self, file: Path, kind: Kind) -> Iterator[None]:
        """Whatever `DataError` is raised inside is a fault of `file`; what follows goes on if the fault is borne."""
        try:
            yield
        except DataError as problem:
            fault = Fault("image" if isinstance(problem, UnreadableImage) else kind, file, str(problem))
            if not self._borne(fault):
                raise

    def _borne(self, fault: Fault) -> bool:
        return False

    def within_limit(self, images: int) -> None:
        """Raises `DataError` when too much of `images` was lost so far."""


STRICT = Faults()


class Listed(Faults):
    """Every fault is kept in `found`, and what it spoils is left out."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def _borne(self, fault: Fault) -> bool:
        self.found.append(fault)
        return True


class WithoutUnreadable(Faults):
    """Unreadable images are left out, up to `share` of all; every other fault stops the reading.

    `left_out` keeps the sentence of each such image. A training bears a damaged file among thousands; an evaluation must not,
    because its figures are those of all its images.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.left_out: dict[Path, str] = {}

    def _borne(self, fault: Fault) -> bool:
        if fault.kind == "image":
            self.left_out[fault.file] = fault.sentence
        return fault.kind == "image"

    def within_limit(self, images: int) -> None:
        """Raises `DataError` when more than `share` of `images` could not be read, naming the first."""
        if len(self.left_out) > self.share * images:
            raise DataError(
                f"{len(self.left_out)} of {images} images cannot be read, more than max_unreadable = {self.share:g} allows; "
                f"`leuko-train data check` lists them all, the first: {next(iter(self.left_out.values()))}"
            )
