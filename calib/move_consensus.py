"""Which shifts go together: the matrix, and the backlash, that most pairs agree with (Fischler and Bolles 1981)."""

import numpy as np
from numpy.typing import NDArray

from calib.stage_fit import Floats, Pair, approaches

OFF_SHARE, OFF_PX = 0.25, 6.0
"""What a shift may be off before the stage's own error is known: of its length, and at least so many pixels."""

_FLATTEST = 0.2
"""Smaller to larger singular value of what can be a matrix of a camera over a stage."""

_DRAWS = 600
_ENOUGH = 0.9
"""Share of agreement from which backlash need not be tried."""


def find_consensus(pairs: list[Pair], commanded_um: Floats) -> tuple[Floats | None, list[Pair]]:
    """The matrix [2, 2] (px per um, of the camera's way over the slide) that most pairs agree with, and those pairs.

    First without backlash, by every two pairs; where that explains too little, with one, by many draws of four.
    """
    moved = np.array([commanded_um[other] - commanded_um[one] for one, other, _ in pairs])
    shifts = -np.array([(shift.x_px, shift.y_px) for _, _, shift in pairs])
    turned = _turned(pairs, commanded_um)
    twos = [(one, other) for one in range(len(pairs)) for other in range(one)]
    best = _best(moved, shifts, [np.array(two) for two in twos])
    if best.sum() < _ENOUGH * len(pairs) and np.abs(turned).any():
        draws = np.random.default_rng(0)
        fours = [draws.choice(len(pairs), 4, replace=False) for _ in range(_DRAWS)]
        with_backlash = _best(np.hstack([moved, turned]), shifts, fours)
        if with_backlash.sum() > best.sum():
            best, moved = with_backlash, np.hstack([moved, turned])
    if best.sum() < 3:
        return None, []
    matrix = np.linalg.lstsq(moved[best], shifts[best], rcond=None)[0].T
    best = _agreeing(matrix, moved, shifts)
    if best.sum() < 3:
        return None, []
    return matrix[:, :2], [pair for pair, agrees in zip(pairs, best, strict=True) if agrees]


def _turned(pairs: list[Pair], commanded_um: Floats) -> Floats:
    """Per pair and axis: 1 where the second image was approached rising and the first falling, -1 the other way about."""
    came = np.nan_to_num(np.stack([approaches(commanded_um[:, axis], 0.0) for axis in (0, 1)], axis=1))
    return np.array([came[other] - came[one] for one, other, _ in pairs])


def _best(known: Floats, shifts: Floats, draws: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    best: NDArray[np.bool_] = np.zeros(len(known), bool)
    for draw in draws:
        basis = known[draw]
        length = np.hypot(*basis[:, :2].T)
        if length.min() == 0 or np.linalg.svd(basis[:, :2] / length[:, None], compute_uv=False)[1] < 0.1:
            continue
        matrix = np.asarray(np.linalg.lstsq(basis, shifts[draw], rcond=None)[0].T, np.float64)
        agree = _agreeing(matrix, known, shifts)
        if agree.sum() > best.sum():
            best = agree
    return best


def _agreeing(matrix: Floats, known: Floats, shifts: Floats) -> NDArray[np.bool_]:
    singular = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if singular[1] < _FLATTEST * singular[0]:
        return np.zeros(len(known), bool)
    wanted = known @ matrix.T
    allowed = np.maximum(OFF_PX, OFF_SHARE * np.hypot(*(known[:, :2] @ matrix[:, :2].T).T))
    return np.asarray(np.hypot(*(wanted - shifts).T) <= allowed)
