"""What a report is made from: summaries, each with a name of its own, and the reference's own figures (Wang et al. 2019)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.base import Fraction, Strict, parse_json
from edge.contracts.errors import ConfigError, DataError
from edge.contracts.whole_file import read_whole
from trainer.evaluation.summary import Confusion, Summary


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One summary; `name` is its column in every table."""

    name: str
    summary: Summary

    @property
    def held_back(self) -> bool:
        """False when images of the training split are among those measured."""
        return "train" not in self.summary.split.split(",")

    @property
    def truths(self) -> list[tuple[str, int]]:
        """Every class with the number of its annotated cells."""
        return [(name, row.truth) for name, row in self.summary.classes.items()]

    @property
    def unseen(self) -> list[str]:
        """Classes that no image shows."""
        return [name for name, truth in self.truths if not truth]


def load_runs(paths: Sequence[Path]) -> list[MeasuredRun]:
    """Raises `DataError` for a file that is missing or no summary of `leuko-train evaluate --json`."""
    summaries = [_load(path) for path in paths]
    names = [_name(path, summary) for path, summary in zip(paths, summaries, strict=True)]
    known = Counter(names)
    names = [f"{name} ({path.stem})" if known[name] > 1 else name for name, path in zip(names, paths, strict=True)]
    if repeated := [path for path, name in zip(paths, names, strict=True) if names.count(name) > 1]:
        raise DataError(f"{repeated[1]} cannot be told from {repeated[0]}; give each summary once, or its file another name.")
    return [MeasuredRun(name, summary) for name, summary in zip(names, summaries, strict=True)]


def _load(path: Path) -> Summary:
    try:
        text = read_whole(path)
    except OSError as problem:
        raise DataError(
            f"summary {path} cannot be read ({problem.strerror}); write it with leuko-train evaluate --json."
        ) from problem
    summary = parse_json(Summary, text, f"summary {path}", DataError)
    for matrix in (summary.confusion, summary.confusion_all):
        if not _is_whole(matrix):
            raise DataError(f"summary {path} has a confusion matrix that is not classes x columns; write it anew.")
    for name, row in summary.classes.items():
        if row.curve and len(row.curve.recall) != len(row.curve.precision):
            raise DataError(f"summary {path}: the curve of {name} has unequal lists; write it anew.")
    return summary


def _is_whole(matrix: Confusion) -> bool:
    """A row for every class, and a column for each of them: its diagonal is read."""
    n_rows, n_columns = len(matrix.classes), len(matrix.columns)
    rows = [*matrix.counts, *(row for row in matrix.shares if row is not None)]
    if not set(matrix.classes) <= set(matrix.columns):
        return False
    return len(matrix.counts) == len(matrix.shares) == n_rows and all(len(row) == n_columns for row in rows)


def _name(path: Path, summary: Summary) -> str:
    models = list(dict.fromkeys(model.name for model in summary.models))
    if not models:
        return path.stem
    return models[0] if len(summary.models) == 1 else f"{models[0]} ({len(summary.models)} folds)"


REFERENCE_FILE = Path(__file__).parent / "wang2019.json"


class System(Strict):
    """One column of its Table 1 and row of its Table 2. `ap` is in the order of `Reference.classes`."""

    name: str
    map: Fraction
    training_hours: float
    inference_ms: float
    ap: tuple[Fraction, ...]


class Matrix(Strict):
    """One panel of its Fig. 8: rows are true classes, columns called ones, each row a share of 1."""

    name: str
    mean_accuracy: Fraction
    rows: tuple[tuple[Fraction, ...], ...]


class Abnormal(Strict):
    """Its Fig. 10: mean AP over the classes that healthy blood hardly shows, by system."""

    classes: tuple[str, ...]
    mean_ap: dict[str, Fraction]


class Reference(Strict):
    """What the report sets beside its own figures. Images are counts of its test sets."""

    source: str
    short: str
    gpu: str
    test_images: int
    cell_images: int
    classes: tuple[str, ...]
    systems: tuple[System, ...]
    confusion: tuple[Matrix, ...]
    abnormal: Abnormal


def load_reference() -> Reference:
    """The figures that come with the package."""
    return parse_json(Reference, REFERENCE_FILE.read_bytes(), REFERENCE_FILE.name, ConfigError)
