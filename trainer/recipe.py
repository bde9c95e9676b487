"""A recipe: everything that decides what comes out of a training, as data. It goes into the bundle as it was resolved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError, field_validator, model_validator

from edge.contracts.base import Strict
from edge.contracts.cells import N_CLASSES
from edge.contracts.errors import ConfigError
from edge.contracts.user_paths import UserPathText, expanded_text
from edge.files import parse_yaml
from trainer.data.annotation import ClassNames
from trainer.data.compose.augment import AugmentSettings
from trainer.data.compose.composer import ComposeSettings
from trainer.data.source_files import read_text
from trainer.loop.best_so_far import ValidationSettings
from trainer.loop.optimiser import AdamW, Optimiser
from trainer.models.catalogue import ARCHITECTURES, build_detector
from trainer.models.detector import Detector
from trainer.models.style_mixing import StyleMixing
from trainer.overrides import complaint, merged, near_miss, with_value

RECIPES = Path(__file__).parent / "recipes"

DEFAULT_RECIPE = "shipped"

FIXED_SIZES_PX = {"ssd300": 300, "ssd512": 512}
"""Architectures whose layers end at one network size only (Liu et al. 2016, section 2.1)."""

STRIDE_PX = 32
"""Network sizes of the others are multiples of their coarsest stride."""


class FieldScale(Strict):
    """The field a model sees and the network's own size; the field is stretched to it."""

    um_per_px: float = Field(0.13, gt=0)
    width_px: int = Field(732, ge=64)
    height_px: int = Field(574, ge=64)
    network_width_px: int = Field(416, ge=32)
    network_height_px: int = Field(416, ge=32)


class Phase(Strict):
    """A stretch of training.

    `batch_size` is the whole batch; it is computed in `subdivisions` equal parts to save memory. `field_fraction` < 1 trains on
    smaller fields at the same scale: cheaper steps, same cells.
    """

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    subdivisions: int = Field(1, ge=1)
    field_fraction: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _divides(self) -> "Phase":
        if self.batch_size % self.subdivisions:
            raise ValueError(f"`batch_size` {self.batch_size} cannot be cut into {self.subdivisions} equal `subdivisions`")
        return self


class Init(Strict):
    """Pretrained weights of the trunk. Without a `path` the recipe only says what fits; name the file with `--init`."""

    format: Literal["darknet", "vgg16"]
    path: UserPathText | None = None


class Recipe(Strict):
    """One training."""

    name: str
    architecture: str
    options: dict[str, Any] = Field(default_factory=dict, description="passed to the detector")
    scale: FieldScale = FieldScale()
    top_k: int = Field(256, ge=1)
    seed: int = Field(0, ge=0, lt=2**32)
    init: Init | None = None
    phases: tuple[Phase, ...] = Field(min_length=1)
    optimiser: Annotated[Optimiser, Field(discriminator="name")] = AdamW()
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="of the network's arithmetic; weights and losses stay float32"
    )
    statistics: Literal["batch", "fixed"] = Field(
        "batch", description="that normalisations use: each batch's own, or fixed as the weights it started from have them"
    )
    colours: Literal["own", "moved"] = Field(
        "own", description="of the images: as their cameras gave them, or moved to their middle as `--colours` measures them"
    )
    style_mixing: StyleMixing | None = None
    leave_out: ClassNames = Field(
        (), description="classes whose photographs are ignored, to see what they are then called; drawn cells of them stay"
    )
    compose: ComposeSettings = ComposeSettings()
    augment: AugmentSettings = AugmentSettings()
    validation: ValidationSettings = ValidationSettings()
    checkpoint_every_steps: int = Field(
        200, ge=1, description="what a kill (SIGKILL, power) loses at most; a signal loses none"
    )
    workers: int = Field(1, ge=0, description="processes that prepare samples; 0 prepares them in the training process")

    @field_validator("optimiser", mode="before")
    @classmethod
    def _adamw_unless_named(cls, value: object) -> object:
        return {"name": "adamw", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits_the_architecture(self) -> "Recipe":
        if self.architecture not in ARCHITECTURES:
            near = near_miss(self.architecture, ARCHITECTURES)
            raise ValueError(f"`architecture` {self.architecture!r} is not one of {', '.join(sorted(ARCHITECTURES))}{near}")
        size = (self.scale.network_width_px, self.scale.network_height_px)
        fixed = FIXED_SIZES_PX.get(self.architecture)
        if fixed and (size != (fixed, fixed) or any(phase.field_fraction < 1 for phase in self.phases)):
            raise ValueError(
                f"{self.architecture} works at {fixed}x{fixed} only; set `scale.network_width_px` and "
                f"`scale.network_height_px` to {fixed} and every `field_fraction` to 1"
            )
        if not fixed and (size[0] % STRIDE_PX or size[1] % STRIDE_PX):
            raise ValueError(f"the network size {size[0]}x{size[1]} of {self.architecture} is not a multiple of {STRIDE_PX} px")
        if self.style_mixing and self.architecture.startswith("ssd"):
            raise ValueError("`style_mixing` is for networks of Darknet's blocks, which SSD is not; leave it out")
        fitting = "vgg16" if self.architecture.startswith("ssd") else "darknet"
        if self.init and self.init.format != fitting:
            raise ValueError(f"`init.format` {self.init.format} does not fit {self.architecture}, which takes {fitting}")
        if self.options.get("normalisation") == "group" and (self.init or self.statistics == "fixed"):
            raise ValueError("`options.normalisation` group has no statistics, which `init` and `statistics` are about")
        return self

    def detector(self) -> Detector:
        """The architecture with random weights, for the recipe's network size."""
        size = (self.scale.network_width_px, self.scale.network_height_px)
        return build_detector(self.architecture, N_CLASSES, size, self.options, self.seed)

    @property
    def total_steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def phase_sizes_px(self, phase: Phase) -> tuple[int, int, int, int]:
        """Field width, height and network width, height of a phase; a smaller network stays a multiple of 32."""
        scale = self.scale
        if phase.field_fraction == 1:
            return scale.width_px, scale.height_px, scale.network_width_px, scale.network_height_px
        network_w = max(STRIDE_PX, round(scale.network_width_px * phase.field_fraction / STRIDE_PX) * STRIDE_PX)
        network_h = max(STRIDE_PX, round(scale.network_height_px * phase.field_fraction / STRIDE_PX) * STRIDE_PX)
        width = round(scale.width_px * network_w / scale.network_width_px)
        height = round(scale.height_px * network_h / scale.network_height_px)
        return width, height, network_w, network_h


DESCRIPTIONS = ("datasets", "laboratories", "untaught")
"""Files beside the recipes that describe images."""


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    files = (path for path in RECIPES.rglob("*.yaml") if path.stem not in DESCRIPTIONS)
    return sorted(path.relative_to(RECIPES).as_posix().removesuffix(".yaml") for path in files)


def load_recipe(name_or_path: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe by the name of a shipped one or by path; `overrides` set values by dotted key (`phases.0.steps`).

    A file may say `based_on: RECIPE` (a shipped one, or a file by its path from this file) and state only what differs. Raises
    `ConfigError` for an unknown recipe, an unknown key, a value out of range or values that do not go together.
    """
    content = _content(name_or_path, ())
    for key, value in (overrides or {}).items():
        content = with_value(content, key, value)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as problem:
        where = "the file or what was set over it" if overrides else "the file"
        what = complaint(problem, Recipe, content)
        raise ConfigError(f"recipe {name_or_path} cannot be used: {what}; correct {where}.") from problem
    if recipe.options:
        # Only the architecture knows its options; without memory for the weights this takes no time.
        with torch.device("meta"):
            recipe.detector()
    return recipe


def _content(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = RECIPES / f"{name_or_path}.yaml"
    if not path.is_file():
        near = near_miss(name_or_path, shipped_recipes())
        shipped = ", ".join(shipped_recipes())
        raise ConfigError(f"recipe {name_or_path!r} is neither a file nor a shipped recipe{near}; shipped are: {shipped}.")
    if name_or_path in seen:
        raise ConfigError(f"recipe {name_or_path} is based on itself ({' -> '.join([*seen, name_or_path])}); cut the circle.")
    content = parse_yaml(read_text(path, ConfigError), f"recipe {path}", ConfigError)
    if not isinstance(content, dict):
        raise ConfigError(f"recipe {path} holds no keys; it must be a YAML mapping.")
    if "based_on" not in content:
        return content
    base = str(content.pop("based_on"))
    if base.endswith((".yaml", ".yml")):
        base = str((path.parent / expanded_text(base)).resolve())
    return merged(_content(base, (*seen, name_or_path)), content)
