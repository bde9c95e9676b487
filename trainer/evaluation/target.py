"""What can be evaluated: a bundle on the edge's engine, or a checkpoint of a training on torch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from edge.contracts.bundle import Bundle, SecondLook, Thresholds, load_bundle
from edge.contracts.cells import NAMES
from edge.contracts.choices import EngineChoice, Precision
from edge.contracts.colours import ReferenceColours
from edge.contracts.errors import ConfigError
from edge.engine import open_engine
from edge.engine.base import Engine
from trainer.checkpoint import CHOSEN, ENDED_EARLY, LAST, VALIDATED_ON, Checkpoint, better_beside, load_checkpoint
from trainer.data.provenance import image_key, keys_of
from trainer.evaluation.mirrored import Mirrored
from trainer.evaluation.summary import MeasuredModel
from trainer.evaluation.torch_engine import TorchEngine
from trainer.second_look.carried_look import Look

OF_NO_USE = "such figures say nothing about new slides."


def taught_classes(data: Mapping[str, Any], look: SecondLook | None = None) -> frozenset[str] | None:
    """Classes of which the networks that name cells saw annotated photographs; None where nobody wrote it down.

    `data` is what the detector's training said of its images. A second look that leaves the detector no word in the type is
    the only one that names cells.
    """
    own = None if look is None or not look.taught else frozenset(look.taught) & frozenset(NAMES)
    if look is not None and own is not None and look.type_share == 1.0:
        return own
    if "train_cells" not in data:
        return None
    return frozenset(name for name in NAMES if data["train_cells"].get(name)) | (own or frozenset())


def division_of(data: Mapping[str, Any]) -> str:
    """How the images were divided for a training that says `data` of them: see `split_plan.HELP`."""
    return str(data.get("split_by", "given"))


@dataclass(frozen=True, slots=True)
class Target:
    """A model, its scale and its thresholds. `open` gives an engine of one slot and one frame for a width and height in px.

    `recipe` is what it was trained by, `data` what its training said of its images: see `describe` in `data.provenance`.
    """

    model: MeasuredModel
    um_per_px: float
    field_width_px: int
    field_height_px: int
    thresholds: Thresholds
    open: Callable[[int, int], Engine]
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    reference_colours: ReferenceColours | None = None
    """those that the model knows, where it says so"""
    look_images: str = ""
    """keys of the images that its second look was trained on, where it has one"""
    taught: frozenset[str] | None = None
    """classes of which it saw photographs, where that is known"""
    engine_options: tuple[str, ...] = ()
    """how the command line asked for its engine"""

    @property
    def split_by(self) -> str:
        """How the images were divided for its training: what it did not see is known only under the same division."""
        return division_of(self.data)

    def caution(self, images: Sequence[Path], split_by: str, splits: Collection[str]) -> str:
        """Why figures on `images`, of `splits` as `split_by` divides them, may be of images it was trained on; empty when its
        training, and those whose weights it started from, held them back."""
        keys = {image_key(path) for path in images} if "train_images" in self.data or self.look_images else set()
        if seen := len(keys & keys_of(self.look_images)):
            return f"Its second look was trained on {seen} of these {len(images)} images; {OF_NO_USE}"
        data = self.data
        while data:
            if words := _chosen_by(keys, data, len(images)):
                return words
            plan, trained = division_of(data), sorted(set(splits) & set(data.get("splits", ("train",))))
            if seen := len(keys & keys_of(data.get("train_images", ""))):
                return (
                    f"The model was trained on {seen} of these {len(images)} images; such figures say nothing about new slides."
                )
            if plan != split_by:
                return f"The model was trained under --split-by {plan} and measured under {split_by}: it may know these images."
            if trained:
                return f"The model was trained on images of {', '.join(trained)}; {OF_NO_USE}"
            data = data.get("started_from", {}).get("data", {})
        return ""


def _chosen_by(keys: set[str], data: Mapping[str, Any], images: int) -> str:
    """What to say when a training looked at some of these images, of these keys, to choose its weights or its end."""
    how = "chosen" if CHOSEN in data else "taken at their last step" if ENDED_EARLY in data else ""
    seen = len(keys & keys_of(data.get(VALIDATED_ON, {}).get("keys", ""))) if how else 0
    if not seen:
        return ""
    return (
        f"The weights were {how} by validations on {seen} of these {images} images, "
        "so that the figures are a little better than new images would give."
    )


def bundle_target(
    bundle: Bundle, precision: Precision = "auto", engine: EngineChoice = "auto", engine_dir: Path | None = None
) -> Target:
    """A bundle, on the engine that the edge opens for it on this machine. To measure one it need not have passed its gate."""
    manifest = bundle.manifest

    def opened(width_px: int, height_px: int) -> Engine:
        return open_engine(
            bundle,
            width_px,
            height_px,
            slots=1,
            engine=engine,
            engine_dir=engine_dir,
            allow_ungated=True,
            precision=precision,
        )

    training = manifest.training
    model = MeasuredModel(
        name=manifest.name,
        bundle_id=bundle.bundle_id,
        architecture=manifest.architecture,
        training_s=training.seconds,
        training_images_per_s=_images_per_s(training.recipe.get("phases", []), training.seconds),
        training_on=training.hardware,
    )
    scale = (manifest.um_per_px, manifest.field_width_px, manifest.field_height_px)
    options: tuple[str, ...] = ("--engine", engine) if engine != "auto" else ()
    options += ("--engine-dir", "ENGINES") if engine_dir is not None else ()
    known, look = manifest.reference_colours, manifest.second_look
    of_look = str(look.data.get("train_images", "")) if look else ""
    taught = taught_classes(training.data, look)
    return Target(model, *scale, manifest.thresholds, opened, training.recipe, training.data, known, of_look, taught, options)


def checkpoint_target(
    checkpoint: Checkpoint, thresholds: Thresholds | None = None, device: str = "auto", *, mirrored: bool = False
) -> Target:
    """The averaged weights of a training, as they would be exported but for FP16 storage; default thresholds when not given.

    `device` is where torch computes them: `auto`, `cpu` or `cuda`. `mirrored`: see `Mirrored`.
    """
    detector, recipe, look = checkpoint.detector(), checkpoint.recipe, Look.of_kept(checkpoint.look)
    detector = Mirrored(detector) if mirrored else detector

    def opened(width_px: int, height_px: int) -> Engine:
        return TorchEngine(detector, recipe.top_k, width_px, height_px, device=device, look=look)

    # Checkpoints of the first version do not know how long they took.
    seconds = checkpoint.seconds or None
    model = MeasuredModel(
        name=recipe.name,
        architecture=recipe.architecture,
        training_s=seconds,
        training_images_per_s=_images_per_s(
            [one.model_dump() for one in recipe.phases], seconds if checkpoint.step == recipe.total_steps else None
        ),
        training_on=checkpoint.data.get("hardware"),
    )
    scale = (recipe.scale.um_per_px, recipe.scale.width_px, recipe.scale.height_px)
    of_look = str(look.settings.data.get("train_images", "")) if look else ""
    stated = recipe.model_dump(mode="json")
    taught = taught_classes(checkpoint.data, look.settings if look else None)
    return Target(
        model, *scale, thresholds or Thresholds(), opened, stated, checkpoint.history, look_images=of_look, taught=taught
    )


def target_of(
    path: Path,
    precision: Precision = "auto",
    device: str = "auto",
    engine: EngineChoice = "auto",
    engine_dir: Path | None = None,
    *,
    mirrored: bool = False,
) -> Target:
    """A directory is a bundle, which runs on `engine`; a file is a checkpoint, which computes on `device`.

    Raises `BundleError`, `DataError`, or `ConfigError` for what a checkpoint has not: engines, and another precision; and for
    what a bundle has not: outputs that can be meant (`mirrored`).
    """
    if mirrored and not path.is_file():
        raise ConfigError(
            f"{path} is a bundle, whose graph gives boxes and no maps to be meant; --mirrored needs a checkpoint."
        )
    if not path.is_file():
        if path.suffix == ".pt" or (path / LAST).is_file():
            load_checkpoint(path)  # which says what is there
        return bundle_target(load_bundle(path), precision, engine, engine_dir)
    if engine != "auto" or engine_dir is not None:
        raise ConfigError(f"checkpoint {path} is computed by torch; export it and evaluate the bundle to measure an engine.")
    if precision == "bf16":
        raise ConfigError(f"checkpoint {path} is computed in f32; export it and evaluate the bundle to measure bf16.")
    checkpoint = load_checkpoint(path)
    if words := better_beside(path, checkpoint):
        Console(stderr=True, markup=False).print(words, soft_wrap=True)
    return checkpoint_target(checkpoint, device=device, mirrored=mirrored)


def _images_per_s(phases: Sequence[Mapping[str, Any]], seconds: float | None) -> float | None:
    images = sum(phase["steps"] * phase["batch_size"] for phase in phases)
    return images / seconds if seconds and images else None
