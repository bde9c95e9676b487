"""The architectures a recipe can name."""

from collections.abc import Mapping
from typing import Any

import torch

from edge.contracts.errors import ConfigError
from trainer.models.detector import Detector
from trainer.models.layers import normalise_by_groups
from trainer.models.ssd import Ssd300, Ssd512
from trainer.models.yolo_detector import YoloDetector
from trainer.models.yolov3 import YoloV3
from trainer.models.yolov3_tiny import YoloV3Tiny

ARCHITECTURES: dict[str, type[Detector]] = {
    "ssd300": Ssd300,
    "ssd512": Ssd512,
    "yolov3": YoloV3,
    "yolov3-tiny": YoloV3Tiny,
}


def build_detector(
    architecture: str, n_classes: int, network_size: tuple[int, int], options: Mapping[str, Any], seed: int
) -> Detector:
    """Make a detector for `network_size` (width, height in px) with random weights drawn from `seed`.

    `options` are the architecture's own. Raises `ConfigError` for an unknown name or option, or a size that does not fit.
    """
    if architecture not in ARCHITECTURES:
        raise ConfigError(f"architecture {architecture!r} is not known; choose one of {', '.join(sorted(ARCHITECTURES))}.")
    torch.manual_seed(seed)
    try:
        detector = ARCHITECTURES[architecture](n_classes, *network_size, **options)
    except TypeError as problem:
        raise ConfigError(f"`options` do not fit {architecture}: {problem}; correct the recipe.") from problem
    if isinstance(detector, YoloDetector) and detector.options.normalisation == "group":
        normalise_by_groups(detector)
    return detector
