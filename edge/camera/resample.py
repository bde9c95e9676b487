"""The fit of a camera's frame to a bundle's physical scale, and the way back for boxes.

Within 2 % in scale and size a frame passes untouched. Otherwise it is resampled to the bundle's um/px, a smaller field is
centred on background, a larger one is cut into overlapping tiles. Pixel coordinates count from the outer corner of the
top-left pixel, so resampling is a plain factor, without half-pixel offsets.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.camera.correction import Correction
from edge.contracts.detections import Float32, Image
from edge.contracts.errors import ConfigError

TOLERANCE = 0.02
"""Scale and size of a frame may differ from the bundle's by this share before it is resampled, padded or tiled."""

LARGEST_CELL_UM = 20.0
"""Tiles overlap by at least this much, so that a cell cut by one tile is whole in its neighbour."""

MAX_TILES = 64
SMALLEST_FIELD_UM = 10.0
"""A leukocyte is 8 to 20 um across: a smaller field could not hold one."""
_BACKGROUND_STEP_PX = 16
_BACKGROUND_PERCENTILE = 75.0


@dataclass(frozen=True, slots=True)
class Axis:
    """Everything in pixels. `camera` resampled is `scaled`; `graph` is the graph's frame; tile k starts at `starts[k]` of the
    scaled image, or the scaled image starts at `pad` of the only tile."""

    camera: int
    scaled: int
    graph: int
    starts: tuple[int, ...]
    pad: int

    @property
    def scale(self) -> float:
        """Graph pixels per camera pixel, as really resampled (whole pixels)."""
        return self.scaled / self.camera


class FitPlan:
    """How every frame of one run is written into slots. Made by `plan_fit`; used by one thread, as it keeps a scratch image.

    With a `correction` what a slot shows is corrected on the way, whatever the engine.

    `engine_width_px`, `engine_height_px` is the frame size the engine is compiled for. Tiles are numbered row by row.
    """

    def __init__(self, x: Axis, y: Axis, correction: Correction | None = None) -> None:
        self._x, self._y = x, y
        self.correction = correction
        self._gains = correction.gains(x.scaled, y.scaled) if correction else None
        self.width_px, self.height_px = x.camera, y.camera
        self.engine_width_px, self.engine_height_px = x.graph, y.graph
        self._origins = [(x0, y0) for y0 in y.starts for x0 in x.starts]
        self.n_tiles = len(self._origins)
        self.is_untouched = (x.scaled, y.scaled) == (x.camera, y.camera) == (x.graph, y.graph)
        self._resamples = (x.scaled, y.scaled) != (x.camera, y.camera)
        self._shrinks = x.scaled < x.camera
        self._scratch = np.empty((y.scaled, x.scaled, 3), np.uint8) if self._resamples and self.n_tiles > 1 else None
        self._scale = np.array([x.scale, y.scale, x.scale, y.scale], np.float32)

    def with_correction(self, correction: Correction | None) -> "FitPlan":
        """The same fit with another correction, or none."""
        return FitPlan(self._x, self._y, correction)

    @property
    def summary(self) -> str:
        """What happens to every frame of the run, in one sentence."""
        frame = f"frames of {self.width_px} x {self.height_px} px"
        if self.is_untouched:
            return f"{frame} pass untouched."
        how = f"are resampled to {self._x.scaled} x {self._y.scaled} px" if self._resamples else "keep their scale"
        if self.n_tiles > 1:
            return f"{frame} {how} and are cut into {self.n_tiles} tiles of {self._x.graph} x {self._y.graph} px."
        return f"{frame} {how} in a graph frame of {self._x.graph} x {self._y.graph} px."

    def write(self, image: Image, slots: Sequence[Image]) -> None:
        """Write tile k of `image` [height_px, width_px, 3] into `slots[k]` [engine_height_px, engine_width_px, 3] in place."""
        if self.n_tiles == 1:
            self._write_whole(image, slots[0])
            return
        scaled = image if self._scratch is None else self._resample(image, self._scratch)
        for (x0, y0), slot in zip(self._origins, slots, strict=True):
            self._write_tile(scaled, (x0, y0), slot, image)

    def correct(self, slot: Image) -> None:
        """Correct a slot in which an untouched frame's pixels are already, in place."""
        if self.correction is not None:
            self.correction.apply(slot, slot, self._gains)

    def to_frame(self, boxes: Float32, tile: int) -> Float32:
        """Boxes [n, 4] (x1 y1 x2 y2) in pixels of tile `tile` to pixels of the original frame, float32. Not clipped."""
        x0, y0 = self._origins[tile]
        shift = np.array([x0 - self._x.pad, y0 - self._y.pad] * 2, np.float32)
        return np.asarray((boxes + shift) / self._scale, np.float32)

    def to_tile(self, boxes: Float32, tile: int) -> Float32:
        """The way there: boxes [n, 4] in pixels of the original frame to pixels of tile `tile`, float32. Not clipped."""
        x0, y0 = self._origins[tile]
        shift = np.array([x0 - self._x.pad, y0 - self._y.pad] * 2, np.float32)
        return np.asarray(boxes * self._scale - shift, np.float32)

    def inner_borders(self, tile: int) -> tuple[bool, bool, bool, bool]:
        """Which sides (left, top, right, bottom) of a tile cut through the field: another tile goes on there."""
        x0, y0 = self._origins[tile]
        return (
            x0 > 0,
            y0 > 0,
            x0 + self._x.graph < self._x.scaled,
            y0 + self._y.graph < self._y.scaled,
        )

    def _write_whole(self, image: Image, slot: Image) -> None:
        inside = self._inside(slot)
        self._put(self._resample(image, inside) if self._resamples else image, inside, self._gains)
        if inside.shape != slot.shape:
            self._fill_around(slot, background_of(image) if self.correction is None else background_of(inside))

    def _write_tile(self, scaled: Image, origin: tuple[int, int], slot: Image, image: Image) -> None:
        """One axis may be tiled while the other is smaller than the graph's frame and centred."""
        inside = self._inside(slot)
        height_px, width_px = inside.shape[:2]
        part = slice(origin[1], origin[1] + height_px), slice(origin[0], origin[0] + width_px)
        self._put(scaled[part], inside, None if self._gains is None else self._gains[part])
        if inside.shape != slot.shape:
            self._fill_around(slot, background_of(image) if self.correction is None else background_of(inside))

    def _put(self, pixels: Image, inside: Image, gains: Image | None) -> None:
        if self.correction is not None:
            self.correction.apply(pixels, inside, gains)
        elif pixels is not inside:
            inside[...] = pixels

    def _inside(self, slot: Image) -> Image:
        """The part of a slot that shows the image: all of it along a tiled axis."""
        x, y = self._x, self._y
        return slot[y.pad : y.pad + min(y.scaled, y.graph), x.pad : x.pad + min(x.scaled, x.graph)]

    def _fill_around(self, slot: Image, colour: Image) -> None:
        # Copying a row is ten times faster than repeating three bytes.
        row = np.tile(colour, (self._x.graph, 1))
        top, left = self._y.pad, self._x.pad
        height_px, width_px = self._inside(slot).shape[:2]
        slot[:top] = slot[top + height_px :] = row
        slot[top : top + height_px, :left] = row[:left]
        slot[top : top + height_px, left + width_px :] = row[left + width_px :]

    def _resample(self, image: Image, into: Image) -> Image:
        size = (self._x.scaled, self._y.scaled)
        cv2.resize(image, size, dst=into, interpolation=cv2.INTER_AREA if self._shrinks else cv2.INTER_LINEAR)
        return into


def plan_fit(
    width_px: int,
    height_px: int,
    um_per_px: float,
    bundle_um_per_px: float,
    field_width_px: int,
    field_height_px: int,
    *,
    exactly: bool = False,
    correction: Correction | None = None,
) -> FitPlan:
    """Plan how frames of `width_px` x `height_px` at `um_per_px` reach a bundle's scale and field size.

    `exactly`: the engine's frame is what the field sizes say, also for an image that is nearly as large. `correction`: what is
    done to the pixels on their way.

    Raises `ConfigError` when the two scales are so far apart that one frame would need more than `MAX_TILES` tiles, and when a
    field could not hold a leukocyte: the stated um/px is then almost certainly wrong.
    """
    ratio = um_per_px / bundle_um_per_px
    if abs(ratio - 1.0) <= TOLERANCE:
        ratio = 1.0
    x = plan_axis(width_px, field_width_px, ratio, bundle_um_per_px, exactly=exactly)
    y = plan_axis(height_px, field_height_px, ratio, bundle_um_per_px, exactly=exactly)
    n_tiles = len(x.starts) * len(y.starts)
    if n_tiles > MAX_TILES or min(width_px, height_px) * um_per_px < SMALLEST_FIELD_UM:
        raise ConfigError(
            f"a frame of {width_px} x {height_px} px at {um_per_px:g} um/px is {width_px * um_per_px:.4g} x "
            f"{height_px * um_per_px:.4g} um, which does not fit a model for fields of "
            f"{field_width_px * bundle_um_per_px:.4g} x {field_height_px * bundle_um_per_px:.4g} um; check the um/px you gave."
        )
    return FitPlan(x, y, correction)


def plan_axis(camera: int, field: int, ratio: float, bundle_um_per_px: float, *, exactly: bool = False) -> Axis:
    """Lay `camera` pixels, resampled by `ratio`, into frames of `field` pixels.

    Within `TOLERANCE` of the field the graph's frame takes the image's own size. Overlap is never more than half a frame, so
    that frames smaller than two cells still make progress. `exactly`: the graph's frame is `field`.
    """
    scaled = max(1, round(camera * ratio))
    if scaled == field or (not exactly and abs(scaled - field) <= TOLERANCE * field):
        return Axis(camera, scaled, scaled, (0,), 0)
    if scaled < field:
        return Axis(camera, scaled, field, (0,), (field - scaled) // 2)
    overlap = min(math.ceil(LARGEST_CELL_UM / bundle_um_per_px), field // 2)
    n = math.ceil((scaled - overlap) / (field - overlap))
    return Axis(camera, scaled, field, tuple(round(k * (scaled - field) / (n - 1)) for k in range(n)), 0)


def background_of(image: Image) -> Image:
    """Colour [3] of the empty background of a smear: the median of its brighter quarter, on a coarse grid."""
    sample = image[::_BACKGROUND_STEP_PX, ::_BACKGROUND_STEP_PX].reshape(-1, 3)
    brightness = sample.sum(axis=1, dtype=np.int32)
    bright = sample[brightness >= np.percentile(brightness, _BACKGROUND_PERCENTILE)]
    return np.asarray(np.median(bright, axis=0), np.float32).astype(np.uint8)
