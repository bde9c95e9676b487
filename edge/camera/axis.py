"""One axis of a fit: how a camera's pixels lie in the graph's frames."""

import math
from dataclasses import dataclass

TOLERANCE = 0.02
"""Scale and size of a frame may differ from the bundle's by this share before it is resampled, padded or tiled."""

LARGEST_CELL_UM = 20.0
"""Tiles overlap by at least this much, so that a cell cut by one tile is whole in its neighbour."""


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


def plan_axis(camera: int, field: int, ratio: float, bundle_um_per_px: float) -> Axis:
    """Lay `camera` pixels, resampled by `ratio`, into frames of `field` pixels.

    Within `TOLERANCE` of the field the graph's frame takes the image's own size. Overlap is never more than half a frame, so
    that frames smaller than two cells still make progress.
    """
    scaled = max(1, round(camera * ratio))
    if abs(scaled - field) <= TOLERANCE * field:
        return Axis(camera, scaled, scaled, (0,), 0)
    if scaled < field:
        return Axis(camera, scaled, field, (0,), (field - scaled) // 2)
    overlap = min(math.ceil(LARGEST_CELL_UM / bundle_um_per_px), field // 2)
    n = math.ceil((scaled - overlap) / (field - overlap))
    return Axis(camera, scaled, field, tuple(round(k * (scaled - field) / (n - 1)) for k in range(n)), 0)
