"""YOLO as tests want it: two small heads, cells and the perfect answer to them; whole networks as if trained."""

import torch

from trainer.models.catalogue import build_detector
from trainer.models.detector import Targets
from trainer.models.yolo_detector import YoloDetector
from trainer.models.yolo_head import YoloHead
from trainer.models.yolo_loss import assign
from trainer.weights.darknet_layout import darknet_sections

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
    _, priors, rows = assign(HEADS, GRIDS, [target])
    for p, k in zip(priors.tolist(), rows.tolist(), strict=True):
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


def spread(architecture: str, network_size: tuple[int, int], seed: int, n_classes: int = 15) -> YoloDetector:
    """As if trained: what the first layer sees decides what the last one says, and most objectness is over 0.5.

    A fresh network answers the same everywhere: its signal fades from layer to layer. Here each layer's statistics are those
    of a batch of noise, a little off.
    """
    detector = build_detector(architecture, n_classes, network_size, {}, seed)
    assert isinstance(detector, YoloDetector)
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in detector.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
            norm.weight.uniform_(0.7, 1.4, generator=generator)
            norm.bias.normal_(0, 0.3, generator=generator)
        detector.train()(torch.rand(4, 3, *network_size[::-1], generator=generator))
        for norm in norms:
            norm.running_mean += torch.randn(norm.num_features, generator=generator) * norm.running_var.sqrt() / 10
            norm.running_var *= torch.empty(norm.num_features).uniform_(0.8, 1.25, generator=generator)
        for section in darknet_sections(detector):
            if isinstance(section.layer, torch.nn.Conv2d):
                section.layer.weight.normal_(0, section.layer.in_channels**-0.5 / 2, generator=generator)
                section.layer.bias.normal_(0, 0.5, generator=generator)
                section.layer.bias.view(3, -1)[:, 4] += 2.0
    return detector.eval()
