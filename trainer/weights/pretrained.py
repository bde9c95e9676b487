"""A recipe's `init`: which file gives the trunk its weights, and what a bundle says about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.contracts.bundle import sha256_of
from edge.contracts.errors import DataError
from trainer.models.detector import Detector
from trainer.recipe import Init
from trainer.weights.darknet_weights import load_darknet
from trainer.weights.vgg16_weights import load_vgg16

LOADERS: dict[str, Callable[[Detector, Path], list[str]]] = {"darknet": load_darknet, "vgg16": load_vgg16}


def pretrained(init: Init | None) -> Callable[[Detector], dict[str, Any]] | None:
    """A function that sets the trunk's weights and says where they come from; none when the recipe names no file.

    Raises `DataError` when the file is not there; the function raises it when the file does not fit the detector.
    """
    if init is None or init.path is None:
        return None
    path, load = Path(init.path), LOADERS[init.format]
    if not path.is_file():
        raise DataError(f"the pretrained weights {path} are not there; correct --init or `init.path`.")

    def apply(detector: Detector) -> dict[str, Any]:
        tensors = load(detector, path)
        sha256 = sha256_of(path)
        return {"format": init.format, "file": path.name, "sha256": sha256, "tensors": len(tensors)}

    return apply
