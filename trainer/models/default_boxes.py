"""SSD's default boxes: where they lie, and how a cell is written relative to one."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
"""Offsets are divided by these so that all four have about unit variance (the authors' published configuration)."""

MAX_LOG_SIZE = 3.0
"""A cell is never off its default box by more than a factor of e^3, and a wild logit must not become infinity."""


def scales(n_maps: int, s_min: float, s_max: float) -> list[float]:
    """One scale per map and one beyond the last, as fractions of the network's size: `n_maps` + 1 values.

    The maps after conv4_3 are spaced evenly, s_k = s_min + (s_max - s_min) (k - 1) / (m - 1) (Liu et al. 2016, equation 4).
    conv4_3 lies before them with a scale of its own, which section 3.1 only gives as numbers: 0.1 where s_min is 0.2 (SSD300)
    and 0.07 where it is 0.15 (SSD512). Both are about half of s_min, so half is the rule here: the reference varies s_min
    alone, and the smallest boxes follow it. The value beyond the last map only serves that map's second square.
    """
    step = (s_max - s_min) / (n_maps - 2)
    return [s_min / 2, *(s_min + step * k for k in range(n_maps))]


def default_boxes(
    grids: Sequence[int], ratios: Sequence[Sequence[float]], s_min: float, s_max: float, network_size_px: int
) -> Tensor:
    """All boxes of a square network, [P, 4] float32 centre x, centre y, width, height in network pixels.

    `grids` are the maps' sides, `ratios` the aspect ratios of each besides 1; every ratio is used upright and lying. Each cell
    of a map has a square of scale s_k, a square of scale sqrt(s_k s_(k+1)), and two boxes per ratio with width s_k sqrt(a) and
    height s_k / sqrt(a); centres are (i + 0.5) / side (Liu et al. 2016, section 2.2). The order is map, row, column, box. Boxes
    are not clipped at the border, so that a cell on it can still be matched by its shape.
    """
    scale = scales(len(grids), s_min, s_max)
    per_map = []
    for k, (side, extra) in enumerate(zip(grids, ratios, strict=True)):
        sizes = [(scale[k], scale[k]), (math.sqrt(scale[k] * scale[k + 1]),) * 2]
        for ratio in extra:
            long, short = scale[k] * math.sqrt(ratio), scale[k] / math.sqrt(ratio)
            sizes += [(long, short), (short, long)]
        centre = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        y, x = torch.meshgrid(centre, centre, indexing="ij")
        centres = torch.stack((x, y), dim=-1)[:, :, None, :].expand(side, side, len(sizes), 2)
        shapes = torch.tensor(sizes, dtype=torch.float64).expand(side, side, len(sizes), 2)
        per_map.append(torch.cat((centres, shapes), dim=-1).reshape(-1, 4))
    return (torch.cat(per_map) * network_size_px).float()


def corners(boxes: Tensor) -> Tensor:
    """Centre x, centre y, width, height [..., 4] -> x1 y1 x2 y2 [..., 4]."""
    half = boxes[..., 2:] / 2
    return torch.cat((boxes[..., :2] - half, boxes[..., :2] + half), dim=-1)


def encode(cells: Tensor, priors: Tensor) -> Tensor:
    """Offsets [n, 4] of cells (x1 y1 x2 y2, [n, 4]) from priors (centre and size, [n, 4]).

    ((c - p) / size / 0.1, log(size ratio) / 0.2): Liu et al. 2016, equation 2, with the variances of the published code.
    """
    centre, size = (cells[:, :2] + cells[:, 2:]) / 2, cells[:, 2:] - cells[:, :2]
    return torch.cat(
        (
            (centre - priors[:, :2]) / priors[:, 2:] / CENTRE_VARIANCE,
            (size / priors[:, 2:]).log() / SIZE_VARIANCE,
        ),
        dim=1,
    )


def decode(offsets: Tensor, priors: Tensor) -> Tensor:
    """The inverse of `encode`: offsets [N, P, 4] and priors [P, 4] -> x1 y1 x2 y2 [N, P, 4] in network pixels."""
    centre = priors[:, :2] + offsets[..., :2] * CENTRE_VARIANCE * priors[:, 2:]
    size = priors[:, 2:] * (offsets[..., 2:] * SIZE_VARIANCE).clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE).exp()
    return corners(torch.cat((centre, size), dim=-1))
