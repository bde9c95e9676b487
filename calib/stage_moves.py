"""um/px from images taken at known stage positions: how far the picture moved in pixels against how far the stage did in um.

The shift of each pair is found by phase correlation (`cv2.phaseCorrelate`), and again in each quarter of what both images show:
quarters that disagree mean a turning, a distortion or a wrong match. The shifts of all pairs are then one matrix times the
stage's moves, by least squares; what it leaves over is the stage's own error.
"""

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image
from edge.contracts.errors import DataError

MIN_MOVE, MAX_MOVE = 0.08, 0.7
"""Of the field's shorter side: a smaller move is told too coarsely, after a larger one too little is seen twice."""

MIN_LIKENESS = 0.5
"""Correlation of what both images show, once the one is laid over the other."""

REPEATS = 0.6
"""Of a pattern with itself when shifted: more, and it can be laid over itself in several ways."""

MAX_ERROR = 0.005
"""Of the um/px: what quarters, pairs and directions may differ by."""

_LARGEST_PX = 1400


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
    shifts, moves, errors = [], [], []
    said = ""
    for one, other in combinations(images, 2):
        move = np.array((other.x_um - one.x_um, other.y_um - one.y_um))
        if not np.hypot(*move):
            raise DataError(f"{one.name} and {other.name} have one stage position; give the position of each image.")
        try:
            shift, error = _shift(one, other)
        except DataError as problem:
            said = said or str(problem)
            continue
        shifts.append(shift)
        moves.append(move)
        errors.append(error)
    if not shifts:
        raise DataError(said)
    return _fitted(np.array(shifts), np.array(moves), np.array(errors))


def _shift(one: StageImage, other: StageImage) -> tuple[NDArray[np.float64], float]:
    """Pixels by which the picture moved, and their standard error. Raises `DataError`."""
    pair = f"{one.name} and {other.name}"
    first, second = (_flat(each.image) for each in (one, other))
    height, width = first.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(first, second, window)
    at = np.array((dx, dy))
    # Without a taper far shifts are seen better, and wrap round: both answers are tried.
    (dx, dy), _ = cv2.phaseCorrelate(first, second)
    tries = [at, *(np.array((dx - sx * width, dy - sy * height)) for sx in (-1, 0, 1) for sy in (-1, 0, 1))]
    tries = [each for each in tries if abs(each[0]) < 0.85 * width and abs(each[1]) < 0.85 * height]
    at = max(tries, key=lambda each: _alike(first, second, each))
    if _alike(first, second, at) < MIN_LIKENESS:
        raise DataError(
            f"{pair} do not show one another's specimen; move by a tenth to a half of the field, over a specimen with detail "
            "all over it, in focus."
        )
    far = float(np.hypot(*at))
    if not MIN_MOVE * min(height, width) <= far <= MAX_MOVE * max(height, width):
        raise DataError(
            f"{pair} are {far:.0f} px apart, and a move must be between {MIN_MOVE * min(height, width):.0f} and "
            f"{MAX_MOVE * max(height, width):.0f} px to be told well; move the stage further or less far."
        )
    for _ in range(2):
        whole = np.round(at).astype(int)
        a, b = _overlap(first, whole), _overlap(second, -whole)
        at = whole + np.array(cv2.phaseCorrelate(a, b, cv2.createHanningWindow(a.shape[::-1], cv2.CV_32F))[0])
    if _repeats(a):
        raise DataError(f"the specimen of {pair} repeats itself, so that its shift has several answers; use a smear or dust.")
    quarters = np.array([_quarter(a, b, row, column) for row in (0, 1) for column in (0, 1)])
    spread = quarters - np.median(quarters, axis=0)
    error = float(np.sqrt((spread**2).sum(axis=1).mean()) / 2)
    if error > MAX_ERROR * far:
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


def _flat(image: Image) -> NDArray[np.float32]:
    """Detail without light: what stands still with the lamp and the camera must not vote for no move."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), max(grey.shape) / 40)
    flat = cv2.GaussianBlur(grey, (0, 0), 1.0) / np.maximum(smooth, 1) - 1
    spread = float(flat.std())
    if spread < 0.003:
        raise DataError("an image shows no detail (it is nearly uniform); take a specimen with detail all over it, in focus.")
    return np.asarray(np.clip(flat, -4 * spread, 4 * spread), np.float32)


def _overlap(picture: NDArray[np.float32], shift: NDArray[np.int_]) -> NDArray[np.float32]:
    """The part of the first image that the second shows, too, when the picture moved by `shift`."""
    height, width = picture.shape
    dx, dy = int(shift[0]), int(shift[1])
    return np.ascontiguousarray(picture[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)])


def _alike(first: NDArray[np.float32], second: NDArray[np.float32], at: NDArray[np.float64]) -> float:
    whole = np.round(at).astype(int)
    a, b = _overlap(first, whole).ravel(), _overlap(second, -whole).ravel()
    if a.size < 64 * 64 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _quarter(a: NDArray[np.float32], b: NDArray[np.float32], row: int, column: int) -> tuple[float, float]:
    height, width = a.shape[0] // 2, a.shape[1] // 2
    part = (slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width))
    one, other = np.ascontiguousarray(a[part]), np.ascontiguousarray(b[part])
    dx, dy = cv2.phaseCorrelate(one, other, cv2.createHanningWindow((width, height), cv2.CV_32F))[0]
    return float(dx), float(dy)


def _repeats(picture: NDArray[np.float32]) -> bool:
    spectrum = np.fft.rfft2(picture - picture.mean())
    likeness = np.fft.irfft2(np.abs(spectrum) ** 2, picture.shape)
    likeness = np.fft.fftshift(likeness / likeness.flat[0])
    height, width = likeness.shape
    middle = likeness[height // 2, width // 2]
    near = max(12, min(height, width) // 20)
    likeness[height // 2 - near : height // 2 + near, width // 2 - near : width // 2 + near] = 0
    return bool(likeness.max() > REPEATS * middle)
