"""How held-back images are measured, and the file that each way of it has for its summary."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.errors import DataError
from edge.contracts.whole_file import write_whole
from trainer.evaluation.summary import Summary


@dataclass(frozen=True, slots=True)
class Ways:
    """How held-back images are measured: as they are, or as an instrument whose `colours` and `scale` were calibrated would
    give them; by the mean over `mirrored` images."""

    colours: bool = False
    scale: bool = False
    mirrored: bool = False

    @property
    def words(self) -> list[str]:
        """The names of those that are taken."""
        return [name for name in ("scale", "colours", "mirrored") if getattr(self, name)]


AS_THEY_ARE = Ways()


def write_summary(summary: Summary, out: Path, only: Sequence[str] = (), ways: Ways = AS_THEY_ARE) -> None:
    """Into the file that `summary_file` names. Raises `DataError`."""
    path = summary_file(out, summary.source, only, ways)
    with writing(path):
        write_whole(path, summary.model_dump_json(indent=1))


def summary_file(out: Path, source: str | None, only: Sequence[str] = (), ways: Ways = AS_THEY_ARE) -> Path:
    """Where the summary is kept: of all images, of one source's or of those of some laboratories; each way has a file of its
    own."""
    words = filter(None, ("summary", source, *only, *ways.words))
    return out / f"{'_'.join(words)}.json"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises `DataError` for what the operating system says against `path`."""
    try:
        yield
    except OSError as problem:
        raise DataError(
            f"{path} could not be written ({problem.strerror}); free the disk or correct --out, then repeat the "
            "command: folds that are done are only measured again."
        ) from problem
