"""What a recipe may set in SSD."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edge.contracts.base import Strict
from edge.contracts.errors import ConfigError
from trainer.models.options import validated

Normalisation = Literal["imagenet", "caffe"]

# Mean and standard deviation of R, G, B in 0..1 that a trunk's pretrained weights were trained with.
NORMALISATIONS: dict[Normalisation, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": ((123 / 255, 117 / 255, 104 / 255), (1 / 255, 1 / 255, 1 / 255)),
}


class SsdOptions(Strict):
    """The key `options` of a recipe."""

    s_min: float = Field(0.2, gt=0, description="scale of fc7's default boxes; the reference compares 0.1 and 0.2")
    s_max: float = Field(0.9, le=1, description="scale of the last map's default boxes")
    normalisation: Normalisation = Field(
        "imagenet", description="mean and deviation, for torchvision's weights; or 0..255 less the mean, for Caffe's"
    )


def read_options(options: Mapping[str, object]) -> SsdOptions:
    """Validate `options`. Raises `ConfigError` for an unknown key or a value out of range."""
    read = validated(SsdOptions, options)
    if read.s_min >= read.s_max:
        raise ConfigError(f"`options.s_min` {read.s_min:g} is not below `options.s_max` {read.s_max:g}; correct the recipe.")
    return read
