"""Where in a z-stack a field is in focus, and how far from there it may be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contracts.errors import DataError

Float64 = NDArray[np.float64]

MIN_PLANES = 7
_MIN_INSIDE = 3
"""Planes within the usable range: with fewer, its ends are guessed."""
_SECOND_PEAK = 0.8
"""Of the peak's height: another maximum this high is another layer in focus, such as dirt on the cover glass."""
_DIP = 0.9
"""Of the lower maximum: what lies between two peaks must be lower than this to make them two; noise makes small dips."""

_JUMP, _MOST_JUMPS = 0.1, 2
"""Of the peak's height, above both neighbours; a focus is one such place, and another layer a second."""
_RISES_AGAIN = 0.95
"""Of the score at an end: less in between, and it is noise that counts there."""
_CLEAR_RISE, _CLEAR = 2.0, 0.1
"""Over the lowest score on the way to the peak, and of the peak's: a rise that is said, though the usable range stands."""
_LEAST_PEAK = 0.03
"""A score of nothing but noise, or of cells a few micrometres out of focus."""


@dataclass(frozen=True, slots=True)
class Focus:
    """A z-stack's result, heights in um; scores as `edge.quality.focus_score` gives them."""

    peak_z_um: float
    peak_score: float
    usable_um: tuple[float, float]
    min_score: float
    residual: float
    """Root mean square, in log score, of the planes around the peak against the parabola that found it."""
    rises: tuple[tuple[float, float], ...] = ()
    """Ends of the stack that are sharper than what lies between them and the focus: height in um, share of the peak's score."""


def find_focus(z_um: Sequence[float], scores: Sequence[float | None], usable_share: float) -> Focus:
    """The peak of `scores` over rising `z_um`, and where they are at least `usable_share` of it.

    Near the peak the logarithm of the score is taken as a parabola. Raises `DataError`, with what to do, when there are too few
    planes, nothing to see in one of them, nothing sharper than noise in all of them, no peak inside the stack, or two.
    """
    if len(z_um) < MIN_PLANES:
        raise DataError(
            f"a stack of {len(z_um)} images is too small; take at least {MIN_PLANES}, through the focus and out again."
        )
    seen = [at for at, score in enumerate(scores) if score is not None]
    # Faint cells are blurred away altogether at the ends. What is left has to fall to the usable share by itself.
    first, last = (seen[0], seen[-1] + 1) if len(seen) >= MIN_PLANES else (0, len(scores))
    z_um, scores = z_um[first:last], scores[first:last]
    if any(score is None for score in scores):
        blank = [z for z, score in zip(z_um, scores, strict=True) if score is None]
        raise DataError(
            f"the image at {blank[0]:g} um shows nothing that could be in focus; take a field that is full of cells."
        )
    z = np.asarray(z_um, np.float64)
    found = np.asarray(scores, np.float64)
    top = int(np.argmax(found))
    if found[top] < _LEAST_PEAK:
        raise DataError(
            f"none of the {len(z_um)} images shows anything finer than the camera's noise; take the stack through the focus, "
            "of a field that is full of cells, with less gain and more light."
        )
    floor = usable_share * found[top]
    for end, which, at in (("below", "lowest", 0), ("above", "highest", -1)):
        if found[at] < floor:
            continue
        if _rises_again(found if at == 0 else found[::-1]):
            raise DataError(
                f"the sharpness rises again {end} the focus, to {found[at]:.2f} at {z[at]:g} um: in images so blurred little "
                "is left but the camera's noise or the traces of JPEG; end the stack nearer to the focus, with less gain and "
                "more light, and save PNG or TIFF."
            )
        raise DataError(
            f"the sharpness has not fallen to {usable_share:.0%} of its peak at {z[at]:g} um, the {which} image's height; go "
            f"on {end} it, until the cells are blurred."
        )
    _refuse_jumps(found)
    _refuse_two(z, found, top)
    low, high = _crossing(z, found, top, floor, -1), _crossing(z, found, top, floor, 1)
    inside = (z >= low) & (z <= high)
    if inside.sum() < _MIN_INSIDE:
        raise DataError(
            f"only {inside.sum()} of {len(z_um)} images lie within the usable {high - low:.2f} um; take the stack in steps of"
            f" {(high - low) / 5:.2g} um or less."
        )
    parabola = np.polyfit(z[inside] - z[top], np.log(found[inside]), 2)
    off = float(np.sqrt(np.mean(np.square(np.polyval(parabola, z[inside] - z[top]) - np.log(found[inside])))))
    peak = z[top] - parabola[1] / (2 * parabola[0]) if parabola[0] < 0 else np.inf
    if not low <= peak <= high:
        raise DataError("the sharpness has no clear peak; take the stack again with the stage at rest at each height.")
    score = float(np.exp(np.polyval(parabola, peak - z[top])))
    ends = ((0, found[: top + 1]), (-1, found[top:][::-1]))
    rises = tuple(
        (float(z[at]), float(found[at] / found[top]))
        for at, inwards in ends
        if found[at] > max(_CLEAR_RISE * inwards.min(), _CLEAR * found[top])
    )
    return Focus(float(peak), score, (low, high), float(floor), off, rises)


def _rises_again(inwards: Float64) -> bool:
    """Whether the score falls from an end and then rises to what may be the focus; else the end may be."""
    dip = int(np.argmin(inwards))
    beyond = float(inwards[dip:].max())
    return bool(inwards[dip] < _RISES_AGAIN * inwards[0] and beyond > max(inwards[dip] / _RISES_AGAIN, inwards[0] / 2))


def _refuse_jumps(found: Float64) -> None:
    higher = found[1:-1] - np.maximum(found[:-2], found[2:])
    if np.count_nonzero(higher > _JUMP * found.max()) > _MOST_JUMPS:
        raise DataError(
            "the sharpness jumps from image to image: the cells are hardly stronger than the camera's noise; take a field with "
            "more cells or stain, with more light and less gain, or average several exposures at each height."
        )


def _refuse_two(z: Float64, found: Float64, top: int) -> None:
    for at in range(1, len(found) - 1):
        if at == top or found[at] < max(found[at - 1], found[at + 1], _SECOND_PEAK * found[top]):
            continue
        between = found[min(at, top) : max(at, top) + 1]
        if between.min() < _DIP * found[at]:
            raise DataError(
                f"the stack has two peaks, at {z[top]:g} and {z[at]:g} um; dirt on another surface is in focus at one of them:"
                " clean the slide, or take another field."
            )


def _crossing(
    z: Float64,
    found: Float64,
    top: int,
    floor: float,
    step: int,
) -> float:
    """Where the score, followed from the peak in one direction, first falls to `floor`; between two planes a straight line."""
    at = top
    while found[at + step] >= floor:
        at += step
    share = (found[at] - floor) / (found[at] - found[at + step])
    return float(z[at] + share * (z[at + step] - z[at]))
