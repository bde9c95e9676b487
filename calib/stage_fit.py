"""From shifts between images to the stage: where each image really was, the way from pixels to micrometres, and backlash.

Content that moves by d pixels from image i to image j says A d = P_i - P_j for their true positions P. The shifts of all pairs
give every image's place q in pixels by least squares; commanded positions C are then a linear function of q: C = A q + B u + t,
with u = 1/2 where an axis was approached rising and -1/2 where it was approached falling, so that B is the backlash.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from calib.field_shifts import Shift
from edge.contracts.errors import DataError

Floats = NDArray[np.float64]
Pair = tuple[int, int, Shift]

_STILL_UM = 1e-4
_ROUNDS = 20
_SOMETHING_NEW = 0.2
"""Of one image that was approached from the other side than all others, squared."""

_FAR_OFF = 6.0
"""Robust standard deviations from which an image is not where the stage was told to be, or a shift not what it seems."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where images are, in pixels of the first image of their connected group: `q_px` [n, 2]; `group` [n], -1 for none."""

    q_px: Floats
    group: NDArray[np.int64]
    pairs: list[Pair]


@dataclass(frozen=True, slots=True)
class StageFit:
    """`um_per_px` [2, 2] and what else the regression says, by axis; `off_um` [n, 2], NaN where an image is not used."""

    um_per_px: Floats
    covariance: Floats
    """[2, 2, 2]: of each row of `um_per_px`"""
    backlash_um: tuple[float | None, float | None]
    sigma_um: tuple[float, float]
    repeatability_um: tuple[float | None, float | None]
    off_um: Floats
    far_off: list[int]

    @property
    def pixel_um(self) -> float:
        return float(np.sqrt(abs(np.linalg.det(self.um_per_px))))

    @property
    def pixel_error_um(self) -> float:
        """Standard error of `pixel_um`: d ln |det A| = trace(A^-1 dA), and the rows of A are independent."""
        back = np.linalg.inv(self.um_per_px)
        variance = sum(float(back[:, axis] @ self.covariance[axis] @ back[:, axis]) for axis in (0, 1))
        return self.pixel_um * 0.5 * float(np.sqrt(variance))

    def error_nm(self, width_px: int, height_px: int) -> float:
        """Standard error of a place in a field, rms over the field."""
        spread = np.diag([width_px**2 / 12, height_px**2 / 12])
        return 1000 * float(np.sqrt(sum(np.trace(self.covariance[axis] @ spread) for axis in (0, 1))))

    @property
    def residual_nm(self) -> float:
        used = self.off_um[np.isfinite(self.off_um).all(axis=1)]
        return 1000 * float(np.sqrt((used**2).sum(axis=1).mean()))


def place_images(n: int, pairs: list[Pair]) -> Places:
    """Least squares over all shifts, without those that the others contradict."""
    kept = list(pairs)
    while True:
        group = _groups(n, kept)
        q_px, off_px = _solved(n, kept, group)
        loops = 2 * (len(kept) - sum(int((group == one).sum()) - 1 for one in set(group.tolist()) - {-1}))
        typical = 1.48 * float(np.median(np.abs(off_px))) if loops > 0 else 0.0
        worst = int(np.abs(off_px).max(axis=1).argmax())
        if loops <= 0 or np.abs(off_px[worst]).max() <= max(1.0, _FAR_OFF * typical):
            return Places(q_px, group, kept)
        del kept[worst]


def _groups(n: int, pairs: list[Pair]) -> NDArray[np.int64]:
    ones, others = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    _, group = connected_components(coo_matrix((np.ones(len(pairs)), (ones, others)), shape=(n, n)), directed=False)
    sizes = np.bincount(group)
    return np.where(sizes[group] > 1, group, -1).astype(np.int64)


def _solved(n: int, pairs: list[Pair], group: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Places [n, 2], and what each shift is off them [pairs, 2]; a shift of which the others say otherwise weighs little."""
    design = np.zeros((len(pairs), n))
    for row, (one, other, _) in enumerate(pairs):
        design[row, one], design[row, other] = 1, -1
    for one in set(group.tolist()) - {-1}:
        design[:, int(np.flatnonzero(group == one)[0])] = 0  # one image of each group is its origin
    shifts = np.array([(shift.x_px, shift.y_px) for _, _, shift in pairs])
    weight = np.ones(len(pairs))
    for _ in range(_ROUNDS):
        q_px = np.linalg.lstsq(design * weight[:, None], shifts * weight[:, None], rcond=None)[0]
        off = shifts - design @ q_px
        scale = max(0.05, 2 * float(np.median(np.abs(off))))
        weight = 1 / np.sqrt(1 + (np.abs(off).max(axis=1) / scale) ** 2)
    return np.asarray(q_px, np.float64), np.asarray(off, np.float64)


def fit_stage(commanded_um: Floats, places: Places) -> StageFit:
    """`commanded_um` [n, 2] in the order of the moves. Raises `DataError` when they leave scale and backlash mixed up."""
    used = places.group >= 0
    rows, covariances, backlashes, sigmas = [], [], [], []
    off_um = np.full(commanded_um.shape, np.nan)
    for axis in (0, 1):
        backlash_um: float | None = 0.0
        for _ in range(_ROUNDS):
            before = backlash_um
            came = approaches(commanded_um[:, axis], backlash_um or 0.0)
            matrix, backlash_um, covariance, off, sigma = _regressed(commanded_um[:, axis], came, places, used)
            if backlash_um is None or abs(backlash_um - (before or 0.0)) < _STILL_UM:
                break
        rows.append(matrix)
        covariances.append(covariance)
        backlashes.append(backlash_um)
        sigmas.append(sigma)
        off_um[used, axis] = off
    limit = _FAR_OFF * np.maximum(1.48 * np.nanmedian(np.abs(off_um), axis=0), 0.05)
    far = np.flatnonzero((np.abs(off_um) > limit).any(axis=1))
    return StageFit(
        np.array(rows),
        np.array(covariances),
        (backlashes[0], backlashes[1]),
        (sigmas[0], sigmas[1]),
        _repeated(commanded_um, off_um, places.group),
        off_um,
        [int(at) for at in far],
    )


def approaches(commanded_um: Floats, backlash_um: float) -> Floats:
    """How each position was approached on one axis: 1/2 rising, -1/2 falling, between them after a turn shorter than the
    backlash, NaN before the axis first moved.
    """
    came, now = [], np.nan
    for at, step in enumerate(np.diff(commanded_um, prepend=commanded_um[:1])):
        if at and abs(step) > _STILL_UM:
            if np.isnan(now) or abs(step) >= backlash_um:
                now = np.copysign(0.5, step) if abs(step) >= backlash_um else np.nan
            else:
                now = float(np.clip(now + step / backlash_um, -0.5, 0.5))
        came.append(now)
    return np.array(came)


def _regressed(
    commanded: Floats, came: Floats, places: Places, used: NDArray[np.bool_]
) -> tuple[Floats, float | None, Floats, Floats, float]:
    """Row of the matrix, backlash, the row's covariance [2, 2], residuals [used], their standard deviation."""
    groups = sorted(set(places.group[used].tolist()))
    member = np.array([(places.group[used] == one).astype(float) for one in groups]).T
    unknown = np.isnan(came[used]).astype(float)[:, None]
    columns = [places.q_px[used], member]
    turned = np.nan_to_num(came[used])[:, None]
    if unknown.sum() > 0 and _is_new(unknown, np.hstack(columns)):
        columns.append(unknown)
    has_backlash = _is_new(turned, np.hstack(columns[1:]))
    if has_backlash and not _is_new(turned, np.hstack(columns)):
        raise DataError(
            "backlash cannot be told from the scale: along one axis each position was approached from one side alone, some "
            "from below and some from above; take at least 3 x 3 positions in rows, and then go back the same way."
        )
    if has_backlash:
        columns.append(turned)
    design = np.hstack(columns)
    weight = np.ones(len(design))
    for _ in range(_ROUNDS):
        found = np.linalg.lstsq(design * weight[:, None], commanded[used] * weight, rcond=None)[0]
        off = commanded[used] - design @ found
        scale = max(0.01, 3 * 1.48 * float(np.median(np.abs(off))))
        weight = np.sqrt(np.minimum(1, scale / np.maximum(np.abs(off), 1e-12)))  # Huber's
    freedom = max(1, len(design) - design.shape[1])
    sigma = float(np.sqrt((off**2).sum() / freedom))
    inlying = float(np.sqrt(((weight * off) ** 2).sum() / freedom))
    covariance = inlying**2 * np.linalg.pinv((design * weight[:, None]).T @ (design * weight[:, None]))[:2, :2]
    row, turn = np.asarray(found[:2], np.float64), float(found[-1]) if has_backlash else None
    return row, turn, np.asarray(covariance, np.float64), np.asarray(off, np.float64), sigma


def _is_new(column: Floats, others: Floats) -> bool:
    """Whether a column says what the others together do not."""
    left = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
    return bool((left**2).sum() > _SOMETHING_NEW)


def _repeated(commanded_um: Floats, off_um: Floats, group: NDArray[np.int64]) -> tuple[float | None, float | None]:
    """Standard deviation between visits to one commanded position, from at least three that are not the first."""
    keys = [(int(one), *np.round(place, 3).tolist()) for one, place in zip(group, commanded_um, strict=True)]
    squares, freedom = np.zeros(2), 0
    for key in set(keys):
        visits = off_um[[at for at, other in enumerate(keys) if other == key and other[0] >= 0]]
        if len(visits) > 1:
            squares += ((visits - visits.mean(axis=0)) ** 2).sum(axis=0)
            freedom += len(visits) - 1
    if freedom < 3:
        return None, None
    found = np.sqrt(squares / freedom)
    return float(found[0]), float(found[1])
