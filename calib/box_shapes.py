"""The boxes that a network starts from, and how well they can meet the cells of a data set by their shape alone."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

FIELD_UM_PER_PX, FIELD_PX = 0.13, (732, 574)
"""The field that every recipe stretches to its network's size, unless its `scale` says otherwise."""

DARKNET_ANCHORS_PX = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
"""Redmon and Farhadi 2018, section 2.1; for everyday photographs at 416 px."""
DARKNET_TINY_ANCHORS_PX = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
"""Of the authors' configuration of the small network, at 416 px."""
SSD_S_MIN, SSD_S_MAX = 0.2, 0.9
"""Liu et al. 2016, section 2.2; Wang et al. 2019 also trained with 0.1."""


@dataclass(frozen=True, slots=True)
class System:
    """A network whose boxes can be fitted: anchors (YOLO), or aspect ratios per map (SSD, besides 1)."""

    recipe: str
    size_px: int
    default_anchors_px: tuple[tuple[float, float], ...] = ()
    ratios: tuple[tuple[float, ...], ...] = ()


def _yolo(recipe: str, size_px: int, anchors: tuple[tuple[int, int], ...]) -> System:
    return System(recipe, size_px, tuple((float(w), float(h)) for w, h in anchors))


_MIDDLE = (2.0, 3.0)
SYSTEMS = {
    system.recipe: system
    for system in (
        _yolo("yolov3-320", 320, DARKNET_ANCHORS_PX),
        _yolo("yolov3-416", 416, DARKNET_ANCHORS_PX),
        _yolo("yolov3-608", 608, DARKNET_ANCHORS_PX),
        _yolo("yolov3-tiny-416", 416, DARKNET_TINY_ANCHORS_PX),
        System("ssd300-smin0.2", 300, ratios=((2.0,), _MIDDLE, _MIDDLE, _MIDDLE, (2.0,), (2.0,))),
        System("ssd512-smin0.2", 512, ratios=((2.0,), _MIDDLE, _MIDDLE, _MIDDLE, _MIDDLE, (2.0,), (2.0,))),
    )
}


def ssd_shapes_px(system: System, s_min: float, s_max: float) -> Float64:
    """Width and height [n, 2] of SSD's default boxes, as Liu et al. 2016 (section 2.2) compute them; conv4_3's scale is half of
    `s_min`, as section 3.1 has it in numbers."""
    n_maps = len(system.ratios)
    step = (s_max - s_min) / (n_maps - 2)
    scale = [s_min / 2, *(s_min + step * k for k in range(n_maps))]
    shapes: list[tuple[float, float]] = []
    for k, ratios in enumerate(system.ratios):
        shapes += [(scale[k], scale[k]), (math.sqrt(scale[k] * scale[k + 1]),) * 2]
        for ratio in ratios:
            long, short = scale[k] * math.sqrt(ratio), scale[k] / math.sqrt(ratio)
            shapes += [(long, short), (short, long)]
    return np.asarray(shapes) * system.size_px


def best_overlap(sizes_px: Float64, shapes_px: Float64) -> Float64:
    """For each cell [n, 2] (width, height) the best IoU with a shape [m, 2] on the same centre: the best that a network starts
    from."""
    common = np.minimum(sizes_px[:, None], shapes_px).prod(-1)
    either = sizes_px.prod(-1)[:, None] + shapes_px.prod(-1) - common
    return np.asarray((common / either).max(axis=1), np.float64)


def fit_anchors(sizes_px: Float64, n: int, seed: int = 0, starts: int = 8) -> Float64:
    """`n` anchors [n, 2], smallest first, by k-means with 1 - IoU as the distance (Redmon and Farhadi 2017, section 2).

    The middle of a group is its median: single cells as large as a clump do not move it. The best of several starts, each
    spread out as k-means++ does.
    """
    rng = np.random.default_rng(seed)
    fits = [_k_means(sizes_px, _spread(sizes_px, n, rng)) for _ in range(starts)]
    best = max(fits, key=lambda anchors: float(best_overlap(sizes_px, anchors).mean()))
    return np.asarray(best[np.argsort(best.prod(axis=1))], np.float64)


def fit_scales(sizes_px: Float64, system: System) -> tuple[float, float]:
    """The `s_min` and `s_max`, in hundredths, whose default boxes overlap the cells best on average."""
    tried = [(s_min / 100, s_max / 100) for s_min in range(4, 41) for s_max in range(s_min + 5, 96, 5)]
    return max(tried, key=lambda s: float(best_overlap(sizes_px, ssd_shapes_px(system, *s)).mean()))


def _spread(sizes_px: Float64, n: int, rng: np.random.Generator) -> Float64:
    chosen = sizes_px[rng.integers(len(sizes_px))][None]
    while len(chosen) < n:
        far = 1 - best_overlap(sizes_px, chosen)
        share = far / far.sum() if far.sum() > 0 else np.full(len(far), 1 / len(far))
        chosen = np.vstack((chosen, sizes_px[rng.choice(len(sizes_px), p=share)]))
    return np.asarray(chosen, np.float64)


def _k_means(sizes_px: Float64, anchors: Float64, rounds: int = 100) -> Float64:
    for _ in range(rounds):
        common = np.minimum(sizes_px[:, None], anchors).prod(-1)
        nearest = (common / (sizes_px.prod(-1)[:, None] + anchors.prod(-1) - common)).argmax(axis=1)
        moved = np.array(
            [np.median(sizes_px[nearest == k], axis=0) if (nearest == k).any() else anchors[k] for k in range(len(anchors))]
        )
        if np.allclose(moved, anchors):
            break
        anchors = moved
    return anchors
