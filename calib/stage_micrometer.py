"""The line spacing of a stage micrometer in pixels, whatever the scale's rotation, polarity and tick lengths."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calib.doubts import Seen, doubt
from calib.illumination import Grey, Mask, flattened
from calib.lattice import Lattice, fitted, groups_of, rows_of
from calib.lines import MIN_LINES, Spacing, bright_lines, regular_spacing, without_odd_ends
from calib.turned import TALLER, Turned, directions
from edge.contracts.detections import Image
from edge.contracts.errors import DataError

SQUARE = 0.35
"""Of the best direction's ink: a second direction with more even lines makes the image a grid."""

CROSSING_DEG = 45
"""The same lines are seen from directions nearer than this, too."""

MIN_HEIGHT = 0.06
"""Of the strongest even lines: fainter ones are no candidate for the scale."""


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
    views = [_looked_at(grey, field, angle) for angle in directions(grey, field)]
    upright = sorted((view for view in views if view.seen), key=lambda view: -view.ink)
    if not upright:
        raise DataError(_nothing(views))
    best = _settled(grey, field, upright[0])
    for other in upright[1:]:
        apart = abs(np.degrees(other.angle - best.angle)) % 180
        if min(apart, 180 - apart) > CROSSING_DEG and other.ink > SQUARE * best.ink:
            raise DataError(
                "the image has no single line direction; use the line scale of the stage micrometer, not a grid or text."
            )
    assert best.seen is not None
    lattice = _trimmed(best.seen.lattice)
    spacing = _spacing(lattice)
    if sentence := doubt(replace(best.seen, lattice=lattice)):
        raise DataError(sentence)
    normal = float(-np.degrees(best.angle + np.arctan(-lattice.lean)))
    return Scale(spacing, (normal + 90) % 180 - 90, _in_image(best.turned, lattice))


def _settled(grey: Grey, field: Mask, view: _View) -> _View:
    """The view once more, turned by what its lines still leaned."""
    for _ in range(2):
        if view.seen is None or abs(view.seen.lattice.lean) < 0.002:
            break
        again = _looked_at(grey, field, view.angle - float(np.arctan(view.seen.lattice.lean)))
        if again.seen is None:
            break
        view = again
    return view


def _looked_at(grey: Grey, field: Mask, angle: float) -> _View:
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
    return _View(angle, turned, best, most)


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
    """Without odd ends."""
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
