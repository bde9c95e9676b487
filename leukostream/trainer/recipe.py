"""A recipe: everything that decides what comes out of a training, as data. It goes into the bundle as it was resolved."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from leukostream.edge.contracts.base import Strict, explain
from leukostream.edge.contracts.cells import N_CLASSES
from leukostream.edge.contracts.errors import ConfigError
from leukostream.trainer.data.augment import AugmentSettings
from leukostream.trainer.data.compose import ComposeSettings
from leukostream.trainer.models.catalogue import build_detector
from leukostream.trainer.models.detector import Detector

RECIPES = Path(__file__).parent / "recipes"


class FieldScale(Strict):
    """The field a model sees and the network's own size; the field is stretched to it."""

    um_per_px: float = Field(0.13, gt=0)
    width_px: int = Field(732, ge=64)
    height_px: int = Field(574, ge=64)
    network_width_px: int = Field(416, ge=32)
    network_height_px: int = Field(416, ge=32)


class Phase(Strict):
    """A stretch of training. `field_fraction` < 1 trains on smaller fields at the same scale: cheaper steps, same cells."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    field_fraction: float = Field(1.0, gt=0, le=1)


class Optimiser(Strict):
    """AdamW with a linear warm-up and a cosine decay over all phases (Loshchilov and Hutter 2017, 2019)."""

    name: Literal["adamw"] = "adamw"
    peak_learning_rate: float = Field(1e-3, gt=0)
    final_fraction: float = Field(0.01, ge=0, le=1)
    warm_up_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    clip_gradient_norm: float = Field(10.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)


class Recipe(Strict):
    """One training."""

    name: str
    architecture: str
    options: dict[str, Any] = Field(default_factory=dict, description="passed to the detector")
    scale: FieldScale = FieldScale()
    top_k: int = Field(256, ge=1)
    seed: int = 0
    phases: tuple[Phase, ...]
    optimiser: Optimiser = Optimiser()
    compose: ComposeSettings = ComposeSettings()
    augment: AugmentSettings = AugmentSettings()
    checkpoint_every_steps: int = Field(200, ge=1)
    workers: int = Field(1, ge=0, description="processes that prepare samples; 0 prepares them in the training process")

    def detector(self) -> Detector:
        """The architecture with random weights, for the recipe's network size."""
        size = (self.scale.network_width_px, self.scale.network_height_px)
        return build_detector(self.architecture, N_CLASSES, size, self.options, self.seed)

    @property
    def total_steps(self) -> int:
        return sum(phase.steps for phase in self.phases)


def load_recipe(name_or_path: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe by the name of a shipped one or by path; `overrides` replace top-level keys.

    Raises `ConfigError` for an unknown recipe, unknown key or value out of range.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = RECIPES / f"{name_or_path}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml") if not p.stem.startswith("datasets")))
        raise ConfigError(f"recipe {name_or_path!r} is neither a file nor a shipped recipe; shipped are: {shipped}.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ConfigError(f"recipe {path} holds no keys; it must be a YAML mapping.")
        return Recipe.model_validate({**content, **(overrides or {})})
    except yaml.YAMLError as problem:
        raise ConfigError(f"recipe {path} is not YAML: {str(problem).splitlines()[0]}; correct the file.") from problem
    except ValidationError as problem:
        raise ConfigError(f"recipe {path} cannot be used: {explain(problem)}; correct the file.") from problem
