"""How far what one image shows has moved in another, in pixels: phase correlation for candidates, overlap for the choice.

A phase correlation knows a shift only up to the size of the image and is misled by all that stays with the camera: dust,
uneven light, the grid of JPEG. So what is common to all images is taken out first, each peak is read in all its ways, and the
one whose overlap agrees best is taken (after Preibisch et al. 2009); it is then refined on the overlap itself.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image

Plane = NDArray[np.float32]

WORKING_PX = 1000
"""Longest side of the images that are compared: a tenth of one of its pixels is far below what a stage does."""

COARSE_PX = 400
"""Longest side of the images that are searched."""

LEAST_OVERLAP = 0.12
"""Share of the image that has to be seen in both."""

AGREES, AGREES_ALONE = 0.4, 0.12
"""Correlation of the overlap, and how much better it must be than any other reading: a ruler looks the same every line."""

_RIVAL_SHARE = 0.5
"""Of the best reading's overlap that another one must have to cast doubt on it: one cell on another is soon alike."""

_PEAKS = 6
_APART_PX = 5
_REFINED_PX = 512
_QUARTER_OFF_PX = 10
"""What a quarter may be off the whole, in working pixels, and still be told."""
_LEAST_PATTERN = 5
"""Images of different places from which what is common to all can be told from what lies on the slide."""

_MOST_PATTERN = 41
_STANDS_OUT = 5.0


@dataclass(frozen=True, slots=True)
class Shift:
    """From one image to another: x to the right, y down; in pixels of the images as they were given."""

    x_px: float
    y_px: float
    correlation: float


class ShiftedImages:
    """A set of images of one size, ready to be compared; `places` is equal for images of one place."""

    def __init__(self, images: list[Image], places: list[object]) -> None:
        height, width = images[0].shape[:2]
        self._factor = max(1, round(max(height, width) / WORKING_PX))
        self._coarser = max(1, round(max(height, width) / self._factor / COARSE_PX))
        flat = [_flattened(_log_grey(image, self._factor)) for image in images]
        pattern = _common(flat, places)
        self.still = float(pattern.var() / max(1e-12, np.median([plane.var() for plane in flat])))
        """Share of what images show that is the same in all of them, wherever they were taken."""
        self._fine = [plane - pattern for plane in flat]
        self._coarse = [_shrunk(fine, self._coarser) for fine in self._fine]
        shape = self._coarse[0].shape
        taper = np.outer(*(_taper(n) for n in shape))
        self._spectra = [np.fft.rfft2(coarse * taper).astype(np.complex64) for coarse in self._coarse]
        frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
        self._weight = np.exp(-((frequency / 0.2) ** 2)).astype(np.float32)

    def __len__(self) -> int:
        return len(self._fine)

    def find(self, one: int, other: int, near_px: tuple[float, float] | None = None, within_px: float = 0.0) -> Shift | None:
        """Where image `one`'s content is in `other`: its way there, or None where nothing or more than one thing agrees.

        With `near_px` only shifts `within_px` of it are looked at.
        """
        scale = self._factor * self._coarser
        candidates = self._candidates(one, other)
        if near_px is not None:
            near = np.hypot(candidates[:, 0] - near_px[0] / scale, candidates[:, 1] - near_px[1] / scale)
            candidates = candidates[near <= within_px / scale + 1]
        judged = sorted(
            ((_overlap_correlation(self._coarse[one], self._coarse[other], x, y), x, y) for x, y in candidates.tolist()),
            reverse=True,
        )
        if not judged or judged[0][0] < AGREES:
            return None
        best, x, y = judged[0]
        least = _RIVAL_SHARE * self._shared(x, y)
        rivals = [
            found
            for found, at_x, at_y in judged
            if np.hypot(at_x - x, at_y - y) > _APART_PX and self._shared(at_x, at_y) >= least
        ]
        if rivals and rivals[0] > best - AGREES_ALONE:
            return None
        return self._refined(one, other, x * self._coarser, y * self._coarser)

    def _shared(self, x: int, y: int) -> float:
        """Share of the image that is seen in both at this shift, in coarse pixels."""
        height, width = self._coarse[0].shape
        return max(0.0, 1 - abs(x) / width) * max(0.0, 1 - abs(y) / height)

    def _candidates(self, one: int, other: int) -> NDArray[np.int64]:
        """Shifts [n, 2] x y in coarse pixels that leave enough overlap."""
        cross = np.conj(self._spectra[one]) * self._spectra[other]
        cross *= self._weight / np.maximum(np.abs(cross), 1e-9)
        height, width = self._coarse[0].shape
        surface = np.fft.irfft2(cross, s=(height, width))
        found = []
        for _ in range(_PEAKS):
            y, x = np.unravel_index(int(surface.argmax()), surface.shape)
            found += [(int(x) - a * width, int(y) - b * height) for a in (0, 1) for b in (0, 1)]
            rows = np.arange(y - _APART_PX, y + _APART_PX + 1) % height
            columns = np.arange(x - _APART_PX, x + _APART_PX + 1) % width
            surface[np.ix_(rows, columns)] = -np.inf
        shifts = np.array(found, np.int64)
        overlap = np.maximum(1 - np.abs(shifts) / (width, height), 0).prod(axis=1)
        return np.asarray(shifts[overlap >= LEAST_OVERLAP], np.int64)

    def detail(self, image: int) -> float:
        """How much an image shows: standard deviation in natural logarithms of grey, without uneven light."""
        return float(self._fine[image].std())

    def quarters(self, one: int, other: int, shift: Shift) -> NDArray[np.float64]:
        """The shift again [at most 4, 2], in each quarter of what both show; those on empty slide are left out."""
        x, y = round(shift.x_px / self._factor), round(shift.y_px / self._factor)
        here, there = _overlap(self._fine[one], self._fine[other], x, y)
        height, width = here.shape[0] // 2, here.shape[1] // 2
        found = []
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            part = slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)
            moved = _aligned(here[part], there[part], _QUARTER_OFF_PX)
            if moved is not None:
                found.append(((x + moved[0]) * self._factor, (y + moved[1]) * self._factor))
        return np.array(found, np.float64).reshape(-1, 2)

    def _refined(self, one: int, other: int, x: int, y: int) -> Shift | None:
        here, there = _overlap(self._fine[one], self._fine[other], x, y)
        moved = _aligned(here, there, 2 * self._coarser + 4)
        if moved is None:
            return None
        return Shift((x + moved[0]) * self._factor, (y + moved[1]) * self._factor, moved[2])


def _aligned(here: Plane, there: Plane, inner: int) -> tuple[float, float, float] | None:
    """How far the middle of `here` lies off in `there`, in pixels, and their correlation, which Gauss and Newton raise
    (Evangelidis and Psarakis 2008). None where they do not agree within `inner` pixels."""
    template = _middle(here, _REFINED_PX)
    room = (there.shape[0] - template.shape[0]) / 2, (there.shape[1] - template.shape[1]) / 2
    top, left = int(room[0]), int(room[1])
    template = template[inner:-inner, inner:-inner]
    if min(template.shape) < 24:
        return None
    start = np.array([[1, 0, left + inner], [0, 1, top + inner]], np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    try:
        correlation, warp = cv2.findTransformECC(
            template,
            there,
            start.copy(),
            cv2.MOTION_TRANSLATION,
            stop,
            None,
            3,  # type: ignore[call-overload]
        )
    except cv2.error:
        return None
    moved = warp[:, 2] - start[:, 2]
    if correlation < AGREES or np.abs(moved).max() > inner:
        return None
    return float(moved[0]), float(moved[1]), float(correlation)


def _log_grey(image: Image, factor: int) -> Plane:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.log(_shrunk(grey, factor) + 8).astype(np.float32)


def _shrunk(plane: Plane, factor: int) -> Plane:
    if factor == 1:
        return plane
    height, width = plane.shape[0] // factor, plane.shape[1] // factor
    whole = plane[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _common(flat: list[Plane], places: list[object]) -> Plane:
    """What stays with the camera: the median over different places, where it stands out of how much they differ there.

    Anywhere else it is the slide's own chance, and taking that out would pull every shift towards none at all.
    """
    first = [places.index(place) for place in dict.fromkeys(places)]
    pattern = np.zeros_like(flat[0])
    if len(first) < _LEAST_PATTERN:
        return pattern
    chosen = [first[at] for at in np.linspace(0, len(first) - 1, min(len(first), _MOST_PATTERN)).round().astype(int)]
    for row in range(pattern.shape[0]):
        values = np.stack([flat[at][row] for at in chosen])
        median = np.median(values, axis=0)
        spread = 1.86 * np.median(np.abs(values - median), axis=0)  # of a median, by 1 over the root of their number
        pattern[row] = np.where(np.abs(median) > _STANDS_OUT * spread / np.sqrt(len(chosen)), median, 0)
    return pattern


def _flattened(log: Plane) -> Plane:
    """Without what is wider than cells: light that differs from image to image."""
    return np.asarray(log - cv2.GaussianBlur(log, (0, 0), max(log.shape) / 25), np.float32)


def _taper(n: int) -> Plane:
    edge = np.clip(np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / (0.08 * n), 0, 1)
    return np.asarray(np.sin(edge * np.pi / 2) ** 2, np.float32)


def _overlap(one: Plane, other: Plane, x: int, y: int) -> tuple[Plane, Plane]:
    """The parts that show the same when content moved by x, y from `one` to `other`."""
    height, width = one.shape
    here = one[max(0, -y) : height - max(0, y), max(0, -x) : width - max(0, x)]
    there = other[max(0, y) : height - max(0, -y), max(0, x) : width - max(0, -x)]
    return here, there


def _overlap_correlation(one: Plane, other: Plane, x: int, y: int) -> float:
    here, there = _overlap(one, other, x, y)
    a, b = here - here.mean(), there - there.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 1e-9 else 0.0


def _middle(plane: Plane, size_px: int) -> Plane:
    top, left = max(0, plane.shape[0] - size_px) // 2, max(0, plane.shape[1] - size_px) // 2
    return plane[top : top + size_px, left : left + size_px]
