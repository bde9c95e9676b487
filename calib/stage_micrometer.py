"""The line spacing of a stage micrometer in pixels, whatever the scale's rotation, polarity and tick lengths."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.doubts import doubt
from calib.flicker import flicker
from calib.folding import Seen
from calib.illumination import Grey, Mask, flattened
from calib.lattice import Lattice, fitted, groups_of, rows_of
from calib.lines import MIN_LINES, Spacing, bright_lines, regular_spacing, without_odd_ends
from calib.turned import TALLER, Turned, directions
from edge.contracts.detections import Image
from edge.contracts.errors import DataError

SQUARE = 0.35
"""Of the best direction's ink: a second direction with more even lines makes the image a grid."""

UNEVEN = 0.5
"""A second direction with no even lines at all, but twice as many edges: what is even is not what the image shows."""

MAX_DRIFT_DEG = 2.0
"""Turned further, the lines are others than those that most edges belong to; 2 degrees change a spacing by 0.06 %."""

NEAR_PEAK = 0.3
"""Of the edges of a direction beside it: lines seen from askew are counted right and measured wrong."""

FAR, MAIN = 3, 0.75
"""Spacings; share of the lines that must stand together for a few others so far from them to be dirt."""

FEW = 0.1
"""Of the edges of the strongest direction: weaker ones are not worth a look once that has shown even lines."""

CROSSING_DEG = 45
"""The same lines are seen from directions nearer than this, too."""

BESIDE_FLICKER = 0.1
"""Of the ink of flickering light's bands: what is less is no scale beside them."""

MIN_HEIGHT = 0.06
"""Of the strongest even lines: fainter ones are no candidate for the scale."""


NO_DIRECTION = "the image has no single line direction; use the line scale of the stage micrometer, not a grid or text."


@dataclass(frozen=True, slots=True)
class Scale:
    """A measured scale; `normal_deg` is the direction across the lines, counter-clockwise from x, within +-90.

    `lines` holds each line that was found as x1, y1, x2, y2 in pixels of the image, float64 [n, 4].
    """

    spacing: Spacing
    normal_deg: float
    lines: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _View:
    """What stands upright in the image when it is turned by `angle`."""

    angle: float
    turned: Turned
    seen: Seen | None
    most_lines: int
    edges: float

    @property
    def ink(self) -> float:
        """How much even lines there are: length times height, summed."""
        if self.seen is None:
            return 0.0
        rows = TALLER if self.seen.lattice.rows[0].kind else 1
        return sum(line.n_bands * line.height * rows for line in self.seen.lattice.lines)


def measure_scale(image: Image) -> Scale:
    """Measure the spacing of the finest regular lines in a micrometer image, uint8 BGR [H, W, 3].

    Raises `DataError` when there are no lines, no single direction, too few lines, a line is missing, or any doubt is left
    whether the lines that were found are the scale's finest.
    """
    grey, field = flattened(image)
    views: list[_View] = []
    for angle, edges in directions(grey, field):
        if not (views and views[0].seen and edges < FEW * views[0].edges):
            views.append(_looked_at(grey, field, angle, edges))
    upright = sorted((view for view in views if view.seen), key=lambda view: -view.ink)
    if not upright:
        raise DataError(_nothing(views))
    lines = [view for view in upright if view.seen and not flicker(view.seen)]
    if lines and lines[0].ink < BESIDE_FLICKER * upright[0].ink:
        lines = []
    # With nothing but flicker the doubts say so.
    first = (lines or upright)[0]
    if first.edges < NEAR_PEAK * max(view.edges for view in views if _apart_deg(view, first) <= CROSSING_DEG):
        raise DataError(NO_DIRECTION)
    best = _settled(grey, field, first)
    assert best.seen is not None
    lean_deg = float(np.degrees(best.angle - first.angle + np.arctan(-best.seen.lattice.lean)))
    if abs(lean_deg) > MAX_DRIFT_DEG:
        raise DataError(NO_DIRECTION)
    for other in views:
        stronger = other.edges * UNEVEN > best.edges if other.seen is None else other in lines and other.ink > SQUARE * best.ink
        if _apart_deg(other, best) > CROSSING_DEG and stronger:
            raise DataError(NO_DIRECTION)
    lattice = _trimmed(best.seen.lattice)
    spacing = _spacing(lattice)
    if sentence := doubt(replace(best.seen, lattice=lattice)):
        raise DataError(sentence)
    normal = float(-np.degrees(best.angle + np.arctan(-lattice.lean)))
    return Scale(spacing, (normal + 90) % 180 - 90, _in_image(best.turned, lattice))


def _apart_deg(one: _View, other: _View) -> float:
    apart = abs(float(np.degrees(one.angle - other.angle))) % 180
    return min(apart, 180 - apart)


def _settled(grey: Grey, field: Mask, view: _View) -> _View:
    """The view once more, turned by what its lines still leaned."""
    for _ in range(2):
        if view.seen is None or abs(view.seen.lattice.lean) < 0.002:
            break
        again = _looked_at(grey, field, view.angle - float(np.arctan(view.seen.lattice.lean)), view.edges)
        if again.seen is None:
            break
        view = again
    return view


def _looked_at(grey: Grey, field: Mask, angle: float, edges: float) -> _View:
    turned = Turned(grey, field, angle)
    bands = turned.bands()
    best, most = None, 0
    for sign in (-1, 1):
        rows = rows_of(bands, sign)
        if not rows:
            continue
        groups = groups_of(rows)
        lattices = [lattice for lattice in map(fitted, groups) if lattice is not None]
        lattice = _finest(lattices)
        if lattice is None:
            continue
        seen = Seen(lattice, rows, bands, sign, float(np.degrees(angle)))
        # Both lines and gaps are even; lines are the narrower of the two, so more of them stand out sharply.
        if best is None or _sharpness(seen) > _sharpness(best):
            best = seen
    if best is None:
        most = max((len(bright_lines(sign * band.profile, band.noise).centre) for band in bands for sign in (-1, 1)), default=0)
    return _View(angle, turned, best, most, edges)


def _sharpness(seen: Seen) -> float:
    profiles = np.concatenate([band.profile for band in seen.bands]) * seen.sign
    return float(np.mean((profiles - np.median(profiles)) ** 3))


def _finest(lattices: list[Lattice]) -> Lattice | None:
    """The finest scale; of the two kinds of bands the one that shows more lines, then more of each."""
    if not lattices:
        return None
    strong = max(lattice.height for lattice in lattices)
    loud = [lattice for lattice in lattices if lattice.height >= MIN_HEIGHT * strong]
    finest = min(lattice.spacing_px for lattice in loud)
    same = [lattice for lattice in loud if lattice.spacing_px < 1.05 * finest]
    return max(same, key=lambda lattice: (len(lattice.lines), lattice.rows[0].kind, len(lattice.rows)))


def _spacing(lattice: Lattice) -> Spacing:
    """Raises `DataError` when lines are missing or not where they belong."""
    found = regular_spacing(np.array([line.x for line in lattice.lines]))
    shorten = lattice.normal_spacing / lattice.spacing_px
    return Spacing(found.spacing_px * shorten, found.standard_error_px * shorten, found.residual_px * shorten, found.lines)


def _trimmed(lattice: Lattice) -> Lattice:
    """Without odd ends, and without what lies far from all other lines: dirt is even there now and then, too."""
    number = np.array([line.number for line in lattice.lines])
    runs = np.split(np.arange(len(number)), np.flatnonzero(np.diff(number) > FAR) + 1)
    longest = max(runs, key=len)
    if len(longest) >= max(MIN_LINES, MAIN * len(number)):
        lattice = replace(lattice, lines=tuple(lattice.lines[at] for at in longest))
    kept = without_odd_ends(np.array([line.x for line in lattice.lines]))
    return replace(lattice, lines=tuple(line for line in lattice.lines if kept[0] <= line.x <= kept[-1]))


def _nothing(views: list[_View]) -> str:
    most = max((view.most_lines for view in views), default=0)
    if most < MIN_LINES:
        return (
            f"only {most} complete lines were found and at least {MIN_LINES} are needed; "
            "focus on the scale, or use a lower magnification or a finer scale."
        )
    return (
        "the image shows no lines that are evenly spaced, whole, and in a single line direction; focus on the line scale "
        "of the stage micrometer, clean it, and let at least five of its lines be seen."
    )


def _in_image(turned: Turned, lattice: Lattice) -> NDArray[np.float64]:
    ends = np.array([[line.x + lattice.lean * y, y] for line in lattice.lines for y in (line.top, line.bottom)])
    back = np.linalg.inv(turned.matrix[:, :2])
    return np.asarray(((ends - turned.matrix[:, 2]) @ back.T).reshape(-1, 4), np.float64)
