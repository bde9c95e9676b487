"""A detector that looks at an image and its three mirror images and means its outputs: four times the work."""

import copy
from collections.abc import Sequence

from torch import Tensor

from edge.contracts.errors import ConfigError
from trainer.models.detector import Detector, Targets
from trainer.models.yolo_detector import YoloDetector

MIRRORED = ((), (3,), (2,), (2, 3))
"""Which dimensions of [N, 3, h, w], and so of a head's [N, 3, h, w, 5 + C], are turned around: width is 3, height 2."""


class Mirrored(Detector):
    """A YOLO's, whose cells lie on a grid that is its own mirror image. Raises `ConfigError` for another network."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        if not isinstance(detector, YoloDetector):
            raise ConfigError(
                f"--mirrored means the outputs of YOLO heads, and {type(detector).__name__} has none; leave it out."
            )
        self.detector = copy.deepcopy(detector).eval()
        self.n_classes = detector.n_classes
        self.network_width_px, self.network_height_px = detector.network_width_px, detector.network_height_px

    def forward(self, images: Tensor) -> list[Tensor]:
        """The mean of logits; the offset of a centre within its cell is turned around with the image."""
        looks = [[_turned_back(x, dims) for x in self.detector(images.flip(dims))] for dims in MIRRORED]
        return [sum(maps[1:], start=maps[0]) / len(MIRRORED) for maps in zip(*looks, strict=True)]

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """See `Detector.decode`."""
        boxes, scores = self.detector.decode(raw)
        return boxes, scores

    def positives(self, targets: Sequence[Targets]) -> int:
        """See `Detector.positives`."""
        return self.detector.positives(targets)

    def loss(self, raw: list[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """See `Detector.loss`."""
        return self.detector.loss(raw, targets)


def _turned_back(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """x, y, w, h, objectness, classes of each prior, in the places of the image that was not turned."""
    back = x.flip(dims)
    signs = back.new_ones(back.shape[-1])
    # sigmoid(-t) is 1 - sigmoid(t): the same centre, seen from the other side of its cell.
    signs[0], signs[1] = (-1.0 if 3 in dims else 1.0), (-1.0 if 2 in dims else 1.0)
    return back * signs
