"""Class scores to probabilities: how often cells of such a score are what they are called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from edge.contracts.errors import DataError

Method = Literal["none", "temperature", "isotonic"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Curve = Callable[[Floats], Floats]

MIN_EITHER = 20
"""Right and wrong cells each, below which a curve would follow chance."""
_BINS = 10
_MAX_KNOTS = 33
_EDGE = 1e-3
"""Scores and probabilities are kept this far from 0 and 1: a single cell must not weigh without limit."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cells of neighbouring scores: their mean score or probability, the share that is right, how many."""

    mean: float
    right: float
    cells: int


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """`knots`: rising scores with their probabilities, straight lines between. Errors are expected calibration errors, before
    and after, on cells that each curve had not seen."""

    method: Method
    knots: tuple[tuple[float, float], ...]
    error_before: float
    error_after: float
    before: tuple[ReliabilityBin, ...]
    after: tuple[ReliabilityBin, ...]
    cells: int


def calibrate(scores: Floats, right: Bools, folds: Sequence[Bools]) -> ScoreCalibration:
    """The best of temperature scaling (Guo et al. 2017, section 4.2), isotonic regression and the score as it is, by log loss
    on unseen cells.

    `scores` [n], `right` [n]; `folds` are masks [n] that divide the cells by whole groups. Raises `DataError` for too few.
    """
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if min(n_right, n_wrong) < MIN_EITHER:
        raise DataError(
            f"{n_right} cells are typed rightly and {n_wrong} wrongly; probabilities need at least {MIN_EITHER} of each."
        )
    fits: dict[Method, Callable[[Floats, Bools], Curve]] = {
        "none": _as_it_is,
        "temperature": _temperature,
        "isotonic": _isotonic,
    }
    unseen: dict[Method, Floats] = {}
    for method, fit in fits.items():
        guessed = np.empty(len(scores))
        for fold in folds:
            guessed[fold] = fit(scores[~fold], right[~fold])(scores[fold])
        unseen[method] = guessed
    method = min(fits, key=lambda name: _log_loss(unseen[name], right))
    curve = fits[method](scores, right)
    before, after = reliability(scores, right), reliability(unseen[method], right)
    return ScoreCalibration(
        method=method,
        knots=_knots(curve, scores),
        error_before=expected_error(before),
        error_after=expected_error(after),
        before=before,
        after=after,
        cells=len(scores),
    )


def reliability(guessed: Floats, right: Bools) -> tuple[ReliabilityBin, ...]:
    """Bins of equally many cells, by rising value."""
    order = np.argsort(guessed, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    return tuple(ReliabilityBin(float(guessed[part].mean()), float(right[part].mean()), len(part)) for part in bins)


def expected_error(bins: Sequence[ReliabilityBin]) -> float:
    """Mean distance between what was said and what was so, over all cells (Guo et al. 2017, equation 3, with equal bins)."""
    total = sum(one.cells for one in bins)
    return sum(one.cells * abs(one.mean - one.right) for one in bins) / total


def _as_it_is(scores: Floats, right: Bools) -> Curve:
    return lambda values: values


def _temperature(scores: Floats, right: Bools) -> Curve:
    logits = _logit(scores)
    found = minimize_scalar(
        lambda log_t: _log_loss(_sigmoid(logits / np.exp(log_t)), right), bounds=(-3.0, 3.0), method="bounded"
    )
    temperature = float(np.exp(found.x))
    return lambda values: _sigmoid(_logit(values) / temperature)


def _isotonic(scores: Floats, right: Bools) -> Curve:
    fit = IsotonicRegression(y_min=_EDGE, y_max=1 - _EDGE, out_of_bounds="clip").fit(scores, right.astype(np.float64))
    return lambda values: np.asarray(fit.predict(values), np.float64)


def _knots(curve: Curve, scores: Floats) -> tuple[tuple[float, float], ...]:
    """Closest where the scores are, and never falling."""
    at = np.unique(np.concatenate(([0.0, 1.0], np.quantile(scores, np.linspace(0, 1, _MAX_KNOTS - 2)))).round(4))
    values = np.maximum.accumulate(np.clip(curve(at), 0, 1)).round(4)
    return tuple(zip(at.tolist(), values.tolist(), strict=True))


def _log_loss(guessed: Floats, right: Bools) -> float:
    safe = np.clip(guessed, _EDGE, 1 - _EDGE)
    return float(-np.where(right, np.log(safe), np.log(1 - safe)).mean())


def _logit(values: Floats) -> Floats:
    safe = np.clip(values, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(safe / (1 - safe)), np.float64)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), np.float64)
