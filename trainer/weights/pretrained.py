"""A recipe's `init`: which file gives the trunk its weights, and what a bundle says about it."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from edge.contracts.bundle import sha256_of
from edge.contracts.errors import DataError
from trainer.models.detector import Detector
from trainer.recipe import Init
from trainer.weights.darknet_weights import load_darknet
from trainer.weights.vgg16_weights import load_vgg16

LOADERS: dict[str, Callable[[Detector, Path], list[str]]] = {"darknet": load_darknet, "vgg16": load_vgg16}

LAYERS_SHOWN = 6


def pretrained(init: Init | None, say: Callable[[str], None]) -> Callable[[Detector], dict[str, Any]] | None:
    """A function that sets the trunk's weights and returns where they come from; none when the recipe names no file.

    It gives `say` a sentence about what was set and what was not.
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
        say(_said(path, layers_of(tensors), layers_of(detector.state_dict())))
        return {"format": init.format, "file": path.name, "sha256": sha256, "tensors": len(tensors)}

    return apply


def layers_of(tensors: Iterable[str]) -> list[str]:
    """The layers that tensors belong to, each once and in order."""
    return list(dict.fromkeys(re.sub(r"(\.norm|\.conv)?\.[a-z_]+$", "", name) for name in tensors))


def _said(path: Path, chosen: list[str], every: list[str]) -> str:
    rest = [name for name in every if name not in set(chosen)]
    if not rest:
        return f"{path.name} has set all {len(every)} layers."
    some = ", ".join(rest[:LAYERS_SHOWN]) + (" and others" if len(rest) > LAYERS_SHOWN else "")
    return f"{path.name} has set {len(every) - len(rest)} of {len(every)} layers; {len(rest)} begin at random: {some}."
