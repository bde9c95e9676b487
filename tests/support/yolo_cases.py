"""A YOLO of two small heads, cells to put before it, and the answer that says exactly what those cells are."""

import torch

from leukostream.trainer.models.detector import Targets
from leukostream.trainer.models.yolo_assign import assign
from leukostream.trainer.models.yolo_head import YoloHead

HEADS = [YoloHead(16, [(20.0, 20.0), (40.0, 40.0), (60.0, 60.0)], 3), YoloHead(32, [(80.0, 80.0), (160.0, 160.0)], 3)]
GRIDS = [(4, 4), (2, 2)]


def cells(*rows: tuple[float, float, float, float, int]) -> Targets:
    """Rows of x1 y1 x2 y2 label."""
    data = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return Targets(data[:, :4], data[:, 4].long())


def place_of(prior: int) -> tuple[int, int, int, int]:
    """Head, anchor, row, column of a flat prior index."""
    head, local = (0, prior) if prior < 48 else (1, prior - 48)
    rows, columns = GRIDS[head]
    return head, local // (rows * columns), local // columns % rows, local % columns


def perfect(target: Targets, sharpness: float = 12.0) -> list[torch.Tensor]:
    """Logits that say exactly what `target` holds."""
    raw = [torch.zeros(1, len(h.anchors), *g, 8) for h, g in zip(HEADS, GRIDS, strict=True)]
    for x in raw:
        x[..., 4:] = -sharpness
    for p, k in zip(*(x.tolist() for x in assign(HEADS, GRIDS, target)), strict=True):
        head, a, row, column = place_of(p)
        x1, y1, x2, y2 = target.boxes[k].tolist()
        stride, anchor = HEADS[head].stride_px, HEADS[head].anchors[a]
        inside = torch.tensor([(x1 + x2) / 2 / stride - column, (y1 + y2) / 2 / stride - row]).clamp(1e-4, 1 - 1e-4)
        values = raw[head][0, a, row, column]
        values[:2] = inside.logit()
        values[2:4] = (torch.tensor([x2 - x1, y2 - y1]) / anchor).log()
        values[4] = sharpness
        if target.labels[k] >= 0:
            values[5 + int(target.labels[k])] = sharpness
    return raw
