"""A grid of stage moves: which pairs of its images overlap, and what their shifts say together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calib.field_shifts import ShiftedImages
from calib.image_table import Row, read_image_table
from calib.move_consensus import OFF_PX, OFF_SHARE, find_consensus
from calib.stage_fit import Floats, Pair
from edge.camera.decode import read_image
from edge.contracts.detections import Image
from edge.contracts.errors import DataError, FrameError

LEAST_IMAGES = 6
LEAST_AGREEMENT = 0.7
"""Share of the recognised pairs that one matrix has to explain; a table in another order than the images explains half."""

LEAST_SPAN = 0.1
"""Of the field's smaller side that positions must spread over, both ways: shorter moves say little of a whole field."""

_NEIGHBOURS = 3
_PARTNERS = 6
_GOOD_OVERLAP = 0.25
_MOST_STILL = 0.5
_STILL = (
    "the images do not move with the stage: nearly all they show is the same everywhere; look whether light was on, the slide "
    "under the objective, the stage moving, and whether each line of the table belongs to its image."
)

_ADVICE = (
    "take at least 3 x 3 positions in rows, each image sharing half of its field with its neighbours, full of single red cells"
)


@dataclass(frozen=True, slots=True)
class Moves:
    """Images in the order of time, and where the stage was told to be: `commanded_um` [n, 2]."""

    names: list[str]
    paths: list[Path]
    commanded_um: Floats


@dataclass(frozen=True, slots=True)
class PairsFound:
    """Pairs that agree with one matrix (`px_per_um`: shift = it times the move), and how many were recognised in all."""

    pairs: list[Pair]
    recognised: int
    px_per_um: Floats

    @property
    def agreement(self) -> float:
        return len(self.pairs) / max(1, self.recognised)


def read_moves(source: str, table: Path) -> Moves:
    """The moves of `table` (columns image, x_um, y_um; one line an image, in the order of time).

    Raises `DataError` for what `read_image_table` refuses, and for moves that cannot show two axes.
    """
    rows: list[Row] = read_image_table(source, table, ("x_um", "y_um"), "position")
    commanded = np.array([values for _, _, values in rows], np.float64).reshape(-1, 2)
    if len(rows) < LEAST_IMAGES:
        raise DataError(f"{table} has {len(rows)} positions and at least {LEAST_IMAGES} are needed; {_ADVICE}.")
    spread = np.linalg.svd(commanded - commanded.mean(axis=0), compute_uv=False)
    if spread[0] < 1e-6:
        raise DataError(f"all positions of {table} are the same; {_ADVICE}.")
    if spread[1] < 0.02 * spread[0]:
        raise DataError(f"all positions of {table} lie on one line, so the other axis stays unknown; {_ADVICE}.")
    return Moves([name for name, _, _ in rows], [path for _, path, _ in rows], commanded)


def images_of(moves: Moves) -> list[Image]:
    """All of them, uint8 BGR of one size. Raises `DataError` for one that is damaged, or of another size than the first."""
    images: list[Image] = []
    for name, path in zip(moves.names, moves.paths, strict=True):
        try:
            image, _ = read_image(path, name)
        except (FrameError, OSError) as problem:
            raise DataError(f"{problem} Take that image again, or take its line out of the table with it.") from problem
        if images and image.shape != images[0].shape:
            raise DataError(
                f"{name} is {image.shape[1]} x {image.shape[0]} px and the images before it {images[0].shape[1]} x "
                f"{images[0].shape[0]}; a grid of moves is of one camera, unchanged."
            )
        images.append(image)
    return images


def find_pairs(images: ShiftedImages, moves: Moves, size_px: tuple[int, int], um_per_px: float | None = None) -> PairsFound:
    """Shifts of overlapping images, first of neighbours, then of all that the matrix says overlap well.

    `um_per_px`, where known, only serves to say what is wrong. Raises `DataError` when too few pairs can be recognised, when no
    matrix explains them, or when what is seen does not move.
    """
    tried = _neighbours(moves.commanded_um)
    first = _shifts(images, tried)
    if len(first) < max(4, 0.3 * len(tried)):
        raise DataError(
            _STILL if images.still > _MOST_STILL else _unrecognised(len(first), len(tried), moves, size_px, um_per_px)
        )
    matrix, agree = find_consensus(first, moves.commanded_um)
    if matrix is None and np.median([np.hypot(shift.x_px, shift.y_px) for _, _, shift in first]) < 2:
        raise DataError(_STILL)
    if matrix is None or len(agree) < LEAST_AGREEMENT * len(first):
        raise DataError(_unexplained(len(agree), len(first)))
    recognised, agreeing = len(first), {(one, other): shift for one, other, shift in agree}
    for one, other in _overlapping(moves.commanded_um @ matrix.T, size_px):
        if (one, other) in agreeing:
            continue
        wanted = -matrix @ (moves.commanded_um[other] - moves.commanded_um[one])
        within = max(4 * OFF_PX, OFF_SHARE * float(np.hypot(*wanted)))
        shift = images.find(one, other, (float(wanted[0]), float(wanted[1])), within)
        if shift is not None:
            agreeing[one, other] = shift
            recognised += 1
    spread_px = np.ptp(moves.commanded_um @ matrix.T, axis=0)
    if spread_px.min() < LEAST_SPAN * min(size_px):
        raise DataError(
            f"the moves spread over {spread_px[0]:.0f} x {spread_px[1]:.0f} px of a field of {size_px[0]} x {size_px[1]} px, "
            f"which is too little to say where its corners are; {_ADVICE}."
        )
    return PairsFound([(one, other, shift) for (one, other), shift in agreeing.items()], recognised, matrix)


def _neighbours(commanded_um: Floats) -> list[tuple[int, int]]:
    """Each image with the next in time, and with the nearest at other positions."""
    n = len(commanded_um)
    pairs = {(at, at + 1) for at in range(n - 1)}
    apart = np.hypot(*(commanded_um[:, None] - commanded_um[None]).transpose(2, 0, 1))
    for at in range(n):
        others = [int(other) for other in np.argsort(apart[at], kind="stable") if apart[at, other] > 1e-3][:_NEIGHBOURS]
        pairs |= {(min(at, other), max(at, other)) for other in others}
    return sorted(pairs)


def _shifts(images: ShiftedImages, pairs: list[tuple[int, int]]) -> list[Pair]:
    found = [(one, other, images.find(one, other)) for one, other in pairs]
    return [(one, other, shift) for one, other, shift in found if shift is not None]


def _overlapping(q_px: Floats, size_px: tuple[int, int]) -> list[tuple[int, int]]:
    """For each image those that share most with it."""
    apart = np.abs(q_px[:, None] - q_px[None])
    shared = np.maximum(1 - apart / size_px, 0).prod(axis=2)
    np.fill_diagonal(shared, 0)
    pairs = set()
    for at, row in enumerate(shared):
        best = [int(other) for other in np.argsort(-row, kind="stable")[:_PARTNERS] if row[other] >= _GOOD_OVERLAP]
        pairs |= {(min(at, other), max(at, other)) for other in best}
    return sorted(pairs)


def _unrecognised(found: int, tried: int, moves: Moves, size_px: tuple[int, int], um_per_px: float | None) -> str:
    steps = np.hypot(*np.diff(moves.commanded_um, axis=0).T)
    step = float(np.median(steps[steps > 0]))
    known = ""
    if um_per_px is not None:
        field = size_px[0] * um_per_px, size_px[1] * um_per_px
        known = f" Steps are {step:.4g} um and a field is {field[0]:.4g} x {field[1]:.4g} um."
    return (
        f"only {found} of {tried} neighbouring pairs of images show the same place beyond doubt: the steps may be larger than "
        "half a field, the lines of the table in another order than the images, the fields empty, out of focus, or of "
        f"something that repeats, as a ruler does.{known} {_ADVICE[0].upper()}{_ADVICE[1:]}."
    )


def _unexplained(agree: int, recognised: int) -> str:
    return (
        f"{agree} of {recognised} recognised pairs of images agree with one way of the camera over the stage: the lines of the "
        "table may be in another order than the images were taken or belong to other images, the stage may have lost steps, or "
        "its backlash be larger than the steps; write the commanded position of each image, in the order of time."
    )
