"""um/px from images taken at known stage positions: how far the picture moved in pixels against how far the stage did in um.

The shift of each pair is found as in a grid of moves (`field_shifts`), and again in each quarter of what both images show:
quarters that disagree mean a turning, a distortion or a wrong match. The shifts of all pairs are then one matrix times the
stage's moves, by least squares; what it leaves over is the stage's own error.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from calib.field_shifts import ShiftedImages
from edge.contracts.detections import Image
from edge.contracts.errors import DataError

MIN_MOVE, MAX_MOVE = 0.08, 0.7
"""Of the field's shorter and longer side: a smaller move is told too coarsely, after a larger one too little is seen twice."""

LEAST_DETAIL = 0.003
"""Standard deviation in natural logarithms of grey: less is an empty field."""

MAX_ERROR = 0.005
"""Of the um/px: what quarters, pairs and directions may differ by."""


LEAST_QUARTERS = 3
"""In which what moved can be seen again; a quarter may lie on empty slide."""


@dataclass(frozen=True, slots=True)
class StageImage:
    """One image, BGR uint8 [H, W, 3], and where the stage stood."""

    name: str
    image: Image
    x_um: float
    y_um: float


@dataclass(frozen=True, slots=True)
class MovedScale:
    """um/px, its standard error, pairs of images that it rests on, and the root mean square off the moves in um."""

    um_per_px: float
    standard_error: float
    pairs: int
    residual_um: float


def measure_moves(images: list[StageImage]) -> MovedScale:
    """Raises `DataError` where the moves, the images or their agreement do not allow half a per cent."""
    if len(images) < 2:
        raise DataError("one position is no move; give two images or more, each with its stage position.")
    sizes = {each.image.shape for each in images}
    if len(sizes) > 1:
        raise DataError("the images have different sizes; take all of them with the camera's full field.")
    shifted = ShiftedImages([each.image for each in images], [(each.x_um, each.y_um) for each in images])
    for at, each in enumerate(images):
        if shifted.detail(at) < LEAST_DETAIL:
            raise DataError(
                f"{each.name} shows no detail (it is nearly uniform); take a specimen with detail all over it, in focus."
            )
    shifts, moves, errors = [], [], []
    said = ""
    for one, other in combinations(range(len(images)), 2):
        first, second = images[one], images[other]
        move = np.array((second.x_um - first.x_um, second.y_um - first.y_um))
        if not np.hypot(*move):
            raise DataError(f"{first.name} and {second.name} have one stage position; give the position of each image.")
        try:
            shift, error = _shift(shifted, one, other, f"{first.name} and {second.name}", first.image.shape[:2])
        except DataError as problem:
            said = said or str(problem)
            continue
        shifts.append(shift)
        moves.append(move)
        errors.append(error)
    if not shifts:
        raise DataError(said)
    return _fitted(np.array(shifts), np.array(moves), np.array(errors))


def _shift(
    images: ShiftedImages, one: int, other: int, pair: str, size_px: tuple[int, ...]
) -> tuple[NDArray[np.float64], float]:
    """Pixels by which the picture moved, and their standard error. Raises `DataError`."""
    found = images.find(one, other)
    if found is None:
        raise DataError(
            f"{pair} do not show one another's specimen beyond doubt; move by a tenth to a half of the field, over a specimen "
            "with detail all over it, in focus, that nowhere repeats itself as a ruler or a grid does."
        )
    at = np.array((found.x_px, found.y_px))
    far, least, most = float(np.hypot(*at)), MIN_MOVE * min(size_px), MAX_MOVE * max(size_px)
    if not least <= far <= most:
        raise DataError(
            f"{pair} are {far:.0f} px apart, and a move must be between {least:.0f} and {most:.0f} px to be told well; move "
            "the stage further or less far."
        )
    quarters = images.quarters(one, other, found)
    spread = quarters - np.median(quarters, axis=0)
    error = float(np.sqrt((spread**2).sum(axis=1).mean()) / 2)
    if len(quarters) < LEAST_QUARTERS or error > MAX_ERROR * far:
        raise DataError(
            f"parts of {pair} moved differently (by {100 * error / far:.1f} % of the move); the image is turned, distorted or "
            "out of focus, or something in it moves."
        )
    return at, max(error, 0.02)


def _fitted(shifts: NDArray[np.float64], moves: NDArray[np.float64], errors: NDArray[np.float64]) -> MovedScale:
    lengths_um, lengths_px = np.hypot(*moves.T), np.hypot(*shifts.T)
    singular = np.linalg.svd(moves / lengths_um[:, None])[1]
    most = least = um_per_px = float((lengths_um * lengths_px).sum() / (lengths_px**2).sum())
    off_um = (lengths_um - um_per_px * lengths_px)[:, None]
    if len(singular) > 1 and singular[-1] > 0.2 * singular[0]:
        # Moves in two directions give a whole matrix, whose two scales must be one.
        matrix = np.linalg.lstsq(shifts, moves, rcond=None)[0]
        most, least = (float(each) for each in np.linalg.svd(matrix)[1])
        um_per_px = float(np.sqrt(most * least))
        off_um = moves - shifts @ matrix
    residual_um = float(np.sqrt((off_um**2).sum(axis=1).mean()))
    noise_px = np.hypot(errors, residual_um / um_per_px)
    error = float(np.sqrt((noise_px**2).sum()) / len(moves) / np.sqrt((lengths_px**2).mean()) * um_per_px)
    if residual_um > 2 * MAX_ERROR * float(lengths_um.mean()) or error > MAX_ERROR / 2 * um_per_px:
        raise DataError(
            f"the moves do not agree with one another: {residual_um:.2f} um off (rms) in moves of {lengths_um.mean():.0f} um; "
            "the stage has backlash, or a position is wrong, so approach all positions from one side."
        )
    if most > (1 + 2 * MAX_ERROR) * least:
        raise DataError(
            f"in one direction a pixel is {most:.4f} um and in another {least:.4f}; the stage's axes have different scales, "
            "the positions are mixed up, or the camera's pixels are not square."
        )
    return MovedScale(um_per_px, error, len(moves), residual_um)
