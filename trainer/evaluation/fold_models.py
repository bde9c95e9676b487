"""Models that are there already, for folds of a cross-validation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from edge.contracts.bundle import Thresholds
from edge.contracts.errors import ConfigError, DataError
from trainer.checkpoint import CHOSEN, ENDED_EARLY, require_same
from trainer.data.annotation import Annotation
from trainer.data.provenance import data_sha256
from trainer.data.split_plan import parse_plan
from trainer.evaluation.target import Target, target_of
from trainer.overrides import complaint
from trainer.recipe import Recipe


def parse_models(words: Sequence[str], folds: int) -> dict[int, Path]:
    """Fold number -> path. Raises `ConfigError` for a word that is not K=PATH, or a fold that is not or is named twice."""
    result: dict[int, Path] = {}
    for word in words:
        number, equals, path = word.partition("=")
        if not (equals and path and number.isdecimal()) or int(number) >= folds or int(number) in result:
            raise ConfigError(
                f"--model {word!r} names no fold, or one that has a model; write K=PATH, K from 0 to {folds - 1}."
            )
        result[int(number)] = Path(path)
    return result


def model_of_fold(
    path: Path,
    plan: str,
    recipe: Recipe,
    rows: Sequence[Annotation],
    held: Sequence[int],
    device: str = "auto",
    *,
    mirrored: bool = False,
) -> Target:
    """The model in `path`, which must be what a training by `recipe` on `rows` without `held` (row numbers) gives.

    Raises `DataError` when it was trained otherwise or does not count at the default thresholds, and what `target_of` raises.
    """
    target = target_of(path, device=device, mirrored=mirrored)
    if target.look_images:
        raise DataError(
            f"{path} has a second look, which the trained folds have not; give its detector alone, as `leuko-train second-look "
            "--remove` writes it."
        )
    if other := _differing(target.thresholds):
        # Recall and counts of all folds are pooled: they mean something at one operating point only.
        raise DataError(
            f"{path} does not count at the default thresholds that the trained folds are measured at ({other}); give its "
            "checkpoint, or a bundle exported without --detect, --identify and --margin."
        )
    if parse_plan(target.split_by) != parse_plan(plan):
        raise DataError(f"{path} was trained under --split-by {target.split_by}, not {plan}; name the fold it belongs to.")
    if "stopped_after_step" in target.data:
        raise DataError(f"the training of {path} did not finish; go on with it (`leuko-train fit --resume`) first.")
    if CHOSEN in target.data or ENDED_EARLY in target.data:
        raise DataError(
            f"{path} has weights that were chosen by what its fold holds back, which would be measured on its own choice; give "
            "last.pt of a training without `validation.patience`, or a bundle exported from one."
        )
    try:
        trained_by = Recipe.model_validate(target.recipe)
    except ValidationError as problem:
        raise DataError(
            f"the recipe in {path} is not one of this version ({complaint(problem, Recipe, target.recipe)}); train it anew."
        ) from problem
    require_same(trained_by, recipe, path, "give the recipe it was trained by, another model or another --out")
    out = set(held)
    trained = [replace(row, split="train") for number, row in enumerate(rows) if number not in out]
    if target.data.get("sha256") != data_sha256(trained):
        raise DataError(
            f"{path} was trained on other images or annotations than the rest of fold {plan}; restore them, or give another "
            "model or another --out."
        )
    if caution := target.caution([rows[number].path for number in held], target.split_by, ("test",)):
        raise DataError(f"{path} cannot stand for its fold. {caution}")
    return target


def _differing(thresholds: Thresholds) -> str:
    """What differs from the defaults; empty when nothing does."""
    there, default = thresholds.model_dump(), Thresholds().model_dump()
    names = [name for name in there if there[name] != default[name]]
    return ", ".join(f"`{name}` {there[name]} there, {default[name]} by default" for name in names)
