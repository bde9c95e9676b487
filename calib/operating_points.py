"""Which thresholds find most cells at a precision that is asked for, and what can be said of it with so many cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from calib.labelled_cells import FALSE, IGNORED, IS_WBC, LabelledCells
from edge.contracts.bundle import Thresholds
from edge.contracts.cells import INDEX
from edge.contracts.errors import DataError

FLOOR_DETECT = 0.05
"""No lower threshold is tried; the cells to choose from are found at it."""
GRID = tuple(round(at / 100, 2) for at in range(5, 96))
MIN_CELLS, MIN_CALLED = 100, 20
"""Annotated leukocytes in all, and cells called a class, below which nothing is chosen."""
ROUNDS = 1000

Floats = NDArray[np.float64]
Weights = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `trials`, with 95 % limits from resampling whole groups; None without a trial."""

    hits: int
    trials: int
    limits: tuple[float, float] | None

    @property
    def value(self) -> float | None:
        return self.hits / self.trials if self.trials else None


@dataclass(frozen=True, slots=True)
class ClassChoice:
    """One class. `state`: `chosen`; `too few` cells called so; `not reached`: no threshold gives the precision. In the last two
    the bundle's own value stays. `wanted`: cells called so from which the precision asked for would be beyond doubt."""

    name: str
    annotated: int
    called: int
    state: str
    identify: float
    wanted: int | None


def choose_detect(cells: LabelledCells, floor: float) -> float:
    """The lowest presence threshold at which leukocytes are counted with a precision of at least `floor`.

    Raises `DataError` for fewer than 100 annotated leukocytes, or when no threshold reaches `floor`.
    """
    n_true = int(_is_true_wbc(cells.annotated[:, 1]).sum())
    if n_true < MIN_CELLS:
        raise DataError(
            f"{n_true} leukocytes are annotated, and thresholds chosen on fewer than {MIN_CELLS} would follow chance; annotate"
            " more, or keep the bundle's thresholds."
        )
    counted, right = _counted_wbc(cells)
    for detect in GRID:
        at = counted & (cells.presence >= detect)
        if at.any() and right[at].mean() >= floor:
            return detect
    tried = [counted & (cells.presence >= detect) for detect in GRID]
    best = max((float(right[at].mean()) for at in tried if at.any()), default=0.0)
    raise DataError(
        f"no threshold counts leukocytes with a precision of {floor:.0%} on these images (the best: {best:.1%}); look at"
        " what is counted falsely (missing annotations, colours, um/px), or ask for less with --precision."
    )


def choose_identify(cells: LabelledCells, thresholds: Thresholds, floor: float) -> list[ClassChoice]:
    """For each class the lowest class score from which cells called so are so with a precision of at least `floor`."""
    decided = (cells.truth >= 0) | (cells.truth == FALSE)
    confident = (cells.presence >= thresholds.detect) & (cells.margin >= thresholds.margin) & decided
    choices = []
    for name, label in INDEX.items():
        own = thresholds.identify_by_class.get(name, thresholds.identify)
        called = confident & (cells.best == label)
        right = cells.truth == label
        annotated = int((cells.annotated[:, 1] == label).sum())
        state, identify = "too few" if called.sum() < MIN_CALLED else "not reached", own
        for at in GRID if state == "not reached" else ():
            enough = called & (cells.score >= at)
            if enough.sum() < MIN_CALLED:
                break
            if right[enough].mean() >= floor:
                state, identify = "chosen", at
                break
        at_choice = called & (cells.score >= identify)
        precision = float(right[at_choice].mean()) if at_choice.any() else 0.0
        choices.append(ClassChoice(name, annotated, int(at_choice.sum()), state, identify, cells_wanted(precision, floor)))
    return choices


def cells_wanted(precision: float, floor: float) -> int | None:
    """How many cells it takes until the exact lower 95 % limit (Clopper and Pearson 1934) of a share that stays at `precision`
    is above `floor`; None where it never is, or takes more than 100,000."""
    if precision <= floor:
        return None
    low, high = 1, 100_000
    if not _is_beyond(high, precision, floor):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_beyond(middle, precision, floor) else (middle + 1, high)
    return low


def measured(cells: LabelledCells, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Share]:
    """What `cells` (at the chosen thresholds) show: recall and precision of leukocytes, typed recall and precision.

    `unidentified` cells are counted as leukocytes and not as typed; untyped annotations say nothing of a type.
    """
    counted, right = _counted_wbc(cells)
    finder = cells.annotated[:, 2]
    true_wbc = _is_true_wbc(cells.annotated[:, 1])
    found = np.zeros(len(finder), bool)
    found[finder >= 0] = IS_WBC[cells.best[finder[finder >= 0]]]
    typed_truth = (cells.annotated[:, 1] >= 0) & true_wbc
    typed_right = np.zeros(len(finder), bool)
    seen = finder >= 0
    typed_right[seen] = cells.identified[finder[seen]] & (cells.best[finder[seen]] == cells.annotated[seen, 1])
    typed = counted & cells.identified & ((cells.truth >= 0) | (cells.truth == FALSE))
    groups = np.unique(np.concatenate((cells.group, cells.annotated[:, 0])))
    weigh = _resampling(groups, rounds, seed)
    return {
        "recall": _share(found, true_wbc, cells.annotated[:, 0], weigh),
        "precision": _share(right, counted, cells.group, weigh),
        "typed_recall": _share(typed_right, typed_truth, cells.annotated[:, 0], weigh),
        "typed_precision": _share(cells.best == cells.truth, typed, cells.group, weigh),
    }


def folds_of(groups: Sequence[int], n: int = 5) -> list[set[int]]:
    """Whole groups divided into at most `n` parts, the same each time."""
    distinct = sorted(set(groups))
    order = np.random.default_rng(0).permutation(len(distinct)).tolist()
    n = min(n, len(distinct))
    return [{distinct[at] for at in order[fold::n]} for fold in range(n)]


def _is_beyond(n: int, precision: float, floor: float) -> bool:
    hits = round(precision * n)
    return float(binomtest(hits, n).proportion_ci(0.95, method="exact").low) >= floor


def _is_true_wbc(truth: "NDArray[np.int32]") -> NDArray[np.bool_]:
    return np.asarray(np.where(truth >= 0, IS_WBC[np.maximum(truth, 0)], (truth != IGNORED) & (truth != FALSE)), np.bool_)


def _counted_wbc(cells: LabelledCells) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells that count as leukocytes, regions without a verdict apart; and which of all cells are leukocytes indeed."""
    return IS_WBC[cells.best] & (cells.truth != IGNORED), _is_true_wbc(cells.truth)


def _resampling(groups: "NDArray[np.int32]", rounds: int, seed: int) -> Callable[["NDArray[np.int32]"], Weights]:
    """How often each row is in each round, groups drawn with replacement (Efron and Tibshirani 1993): [rounds, rows]."""
    n = len(groups)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=rounds)
    return lambda rows: np.asarray(times[:, np.searchsorted(groups, rows)], np.int64)


def _share(
    hit: NDArray[np.bool_],
    trial: NDArray[np.bool_],
    group: "NDArray[np.int32]",
    weigh: Callable[["NDArray[np.int32]"], Weights],
) -> Share:
    weights = weigh(group[trial])
    total = weights.sum(axis=1)
    known = total > 0
    limits = None
    if known.any():
        values = (weights @ hit[trial])[known] / total[known]
        low, high = np.percentile(values, (2.5, 97.5))
        limits = (float(low), float(high))
    return Share(int((hit & trial).sum()), int(trial.sum()), limits)
