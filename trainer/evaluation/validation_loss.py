"""The loss of a detector on annotated images, from the very inference that finds its cells."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from edge.camera.resample import FitPlan
from trainer.data.annotation import IGNORE, Annotation
from trainer.data.compose.field import cut_boxes
from trainer.data.compose.training_set import MIN_SIDE_PX
from trainer.evaluation.torch_engine import TorchEngine
from trainer.models.detector import Targets


class LossMeter:
    """Listens to what detectors say while images are measured, and holds it against the annotation.

    The loss is that of training, in float32 and with the statistics of normalisations fixed, as weights are exported.
    """

    def __init__(self) -> None:
        self._heard: list[list[Tensor]] = []

    def listen(self, engine: TorchEngine) -> None:
        """To all that `engine` computes from now on, frame by frame."""
        self._detector = engine.graph.detector

        def heard(_: nn.Module, given: tuple[Tensor, ...], raw: list[Tensor]) -> None:
            self._heard.append(raw)

        self._detector.register_forward_hook(heard)

    def take(self, row: Annotation, plan: FitPlan) -> tuple[dict[str, float], int]:
        """Terms of the loss on the image that was measured last, as sums, and its positives, for `plan`'s tiles together."""
        tiles, self._heard = self._heard, []
        size = (self._detector.network_width_px, self._detector.network_height_px)
        terms: dict[str, float] = {}
        positives = 0
        with torch.inference_mode():
            for tile, raw in enumerate(tiles):
                targets = [targets_of(row, plan, tile, size)]
                positives += self._detector.positives(targets)
                for name, value in self._detector.loss([x.float() for x in raw], targets).items():
                    terms[name] = terms.get(name, 0.0) + float(value)
        return terms, positives


def targets_of(row: Annotation, plan: FitPlan, tile: int, network_size_px: tuple[int, int]) -> Targets:
    """An image's cells as its tile `tile` shows them to a network of that width and height, as in training: what is mostly cut
    away, or too narrow there, is ignored."""
    width, height = plan.engine_width_px, plan.engine_height_px
    boxes, labels = cut_boxes(plan.to_tile(row.boxes_px, tile), row.labels, (0, 0, width, height))
    boxes = boxes * np.array([network_size_px[0] / width, network_size_px[1] / height] * 2, np.float32)
    narrow = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) < MIN_SIDE_PX
    return Targets(torch.as_tensor(boxes), torch.as_tensor(np.where(narrow, IGNORE, labels)).long())


def mean_terms(each: Sequence[tuple[dict[str, float], int]], fields: int) -> dict[str, float]:
    """Terms of many images per positive, or per field where there are more fields, as training has them for a batch."""
    total = max(fields, sum(positives for _, positives in each))
    sums: dict[str, float] = {}
    for terms, _ in each:
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: value / total for name, value in sums.items()}
