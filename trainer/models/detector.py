"""The interface of a detector, and how it reads the key `options` of a recipe."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError
from torch import Tensor, nn

from edge.contracts.base import Strict, explain
from edge.contracts.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Targets:
    """What one image holds, in network pixels.

    boxes [n, 4] float32 x1 y1 x2 y2; labels [n] int64: 0..C-1, or one of `annotation`'s special labels: -1 a leukocyte of
    unknown type (no class loss), -2 a region where nothing is trained, -3 a neutrophil, band or segmented. They may stay on the
    CPU, where a loss works out what depends on their number; a detector moves what it needs.
    """

    boxes: Tensor
    labels: Tensor


class Detector(nn.Module, ABC):
    """Takes RGB images in 0..1, float32 [N, 3, h, w]; everything is in network pixels.

    Whatever else a pretrained trunk wants of its input (means, channel order) is done inside, so that one graph fits all.
    """

    n_classes: int
    network_width_px: int
    network_height_px: int

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """Raw head outputs."""

    @abstractmethod
    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes [N, P, 4] x1 y1 x2 y2 and class scores [N, P, C] in 0..1, for all P priors."""

    @abstractmethod
    def positives(self, targets: Sequence[Targets]) -> int:
        """How many priors are matched to cells; it follows from the targets alone."""

    @abstractmethod
    def loss(self, raw: list[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Scalar sums by name; what is minimised is their sum over `positives` of the whole batch.

        A sum, so that a batch may be cut into parts (gradient accumulation, several processes) without changing the result.
        """


Options = TypeVar("Options", bound=Strict)


def validated(kind: type[Options], options: Mapping[str, object]) -> Options:
    """`options` as a `kind`. Raises `ConfigError` for an unknown key or a value out of range."""
    try:
        return kind.model_validate(dict(options))
    except ValidationError as problem:
        raise ConfigError(f"`options` cannot be used: {explain(problem)}; correct the recipe.") from problem
