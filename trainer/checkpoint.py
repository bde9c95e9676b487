"""Checkpoints: written to a temporary file and renamed, so that a full disk or a crash never costs the previous one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from edge.contracts.errors import DataError
from trainer.loop.best_so_far import BestSoFar
from trainer.models.detector import Detector
from trainer.overrides import complaint
from trainer.recipe import Recipe

SCHEMA = 1

LAST, BEST = "last.pt", "best.pt"
"""Files of a training: its newest state, and the weights that did best on images held back."""

VALIDATED_ON, CHOSEN, ENDED_EARLY = "validated_on", "chosen", "ended_early_after_step"
"""Keys of `data`: which images the training looked at to choose (`HeldBack.about`); how these weights were chosen by them; and
after which step patience ended the training."""

WITHOUT_EFFECT = {
    *("workers", "checkpoint_every_steps", "init.path"),
    *(f"validation.{key}" for key in ("every_steps", "images", "best_by", "patience")),
}
"""Keys of a recipe that may change when a training goes on: no weights that are still to be computed depend on them."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a training after `step` optimiser steps. `ema` are the weights that are exported.

    `seconds` is the time the training took so far, over all its runs; `scaler` is the state of the loss scale in float16.
    `bundle` says which bundle the weights were taken from, if any; it is not kept. `look` is the second look that came with
    it, as `Look.as_kept` has it, and goes with the detector untouched. `best_so_far` is what validations have shown, as a
    `BestSoFar`.
    """

    recipe: Recipe
    step: int
    model: dict[str, Any]
    ema: dict[str, Any]
    optimiser: dict[str, Any]
    data: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    bundle: dict[str, Any] = field(default_factory=dict)
    look: dict[str, Any] = field(default_factory=dict)
    best_so_far: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the training did all its steps, or ended itself for want of better weights."""
        return self.step == self.recipe.total_steps or self.ended_early

    @property
    def ended_early(self) -> bool:
        """Whether the training ended itself before its last step."""
        return bool(self.best_so_far.get("ended")) and self.step < self.recipe.total_steps

    @property
    def history(self) -> dict[str, Any]:
        """`data` with, where the weights are not those after the last step, the step after which they were taken; weights that
        were chosen say it themselves."""
        if self.step == self.recipe.total_steps or CHOSEN in self.data:
            return self.data
        return {**self.data, ENDED_EARLY if self.ended_early else "stopped_after_step": self.step}

    def detector(self) -> Detector:
        """The averaged weights as a detector in inference mode. Raises `DataError` when they do not fit the architecture."""
        detector = self.recipe.detector()
        load_weights(detector, self.ema, "the checkpoint")
        return detector.eval()


def load_weights(detector: Detector, weights: dict[str, Any], whose: str) -> None:
    """Set all weights of `detector`. Raises `DataError` that names the first that does not fit; `whose` begins its sentence."""
    own = detector.state_dict()
    wrong = [name for name in sorted(own.keys() | weights.keys()) if name not in own or name not in weights]
    wrong += [name for name in own if name in weights and own[name].shape != weights[name].shape]
    if wrong:
        raise DataError(
            f"{whose} does not fit {type(detector).__name__}: {len(wrong)} weights are missing, unknown or of another shape, "
            f"first `{wrong[0]}`; use a checkpoint of the same architecture."
        )
    detector.load_state_dict(weights)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically. Raises `DataError` when the disk is full or not writable; an older checkpoint stays as it was."""
    part = path.with_suffix(".part")
    names = ("step", "model", "ema", "optimiser", "data", "scaler", "seconds", "look", "best_so_far")
    content = {
        "schema": SCHEMA,
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        **{name: getattr(checkpoint, name) for name in names},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as problem:
        part.unlink(missing_ok=True)
        what = reason(problem)
        raise DataError(
            f"checkpoint {path} could not be written ({what}); the one before it is untouched: free the disk, then "
            "go on with --resume."
        ) from problem


def reason(problem: BaseException) -> str:
    """Why a file could not be written: torch reports its own trouble with the archive; what the system said is behind it."""
    behind: BaseException | None = problem
    while behind is not None:
        if isinstance(behind, OSError):
            return behind.strerror or str(behind)
        behind = behind.__cause__ or behind.__context__
    return str(problem).splitlines()[0]


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises `DataError` for a missing, damaged or foreign file."""
    if not path.is_file():
        folder = path if path.is_dir() else path.parent
        there = [name for name in (BEST, LAST) if (folder / name).is_file()]
        instead = f"{folder} holds {' and '.join(there)}" if there else "train one with `leuko-train fit`"
        raise DataError(f"checkpoint {path} is not there; {instead}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["schema"] != SCHEMA:
            raise DataError(f"checkpoint {path} has schema {content['schema']}, this version reads {SCHEMA}; train anew.")
        recipe = Recipe.model_validate(content["recipe"])
        # The first checkpoints kept neither time nor loss scale; second look and validations came later.
        optional = {name: content[name] for name in ("scaler", "seconds", "look", "best_so_far") if name in content}
        required = {name: content[name] for name in ("step", "model", "ema", "optimiser", "data")}
        return Checkpoint(recipe, **required, **optional)
    except DataError:
        raise
    except ValidationError as problem:
        what = complaint(problem, Recipe, content["recipe"])
        raise DataError(f"the recipe in checkpoint {path} is not one of this version ({what}); train anew.") from problem
    except Exception as problem:
        raise DataError(f"{path} is not a readable checkpoint ({type(problem).__name__}); use another one.") from problem


def better_beside(path: Path, checkpoint: Checkpoint) -> str:
    """What to say of last weights beside which better ones are kept; empty of all others."""
    so_far = BestSoFar.model_validate(checkpoint.best_so_far)
    beside = path.with_name(BEST)
    if CHOSEN in checkpoint.data or path.name == BEST or not beside.is_file() or not (words := so_far.better_than_last()):
        return ""
    return f"{beside} is there, too: on the images that the training was validated on, {words}."


RESUME = "resume with the same recipe, take only its weights with --start-from, or choose another --out"


def require_same(trained: Recipe, recipe: Recipe, path: Path, advice: str = RESUME) -> None:
    """Raises `DataError` that names what differs between `recipe` and the one that the model in `path` was trained by."""
    there, here = dict(_flat(trained.model_dump(mode="json"))), dict(_flat(recipe.model_dump(mode="json")))
    differing = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    rows = [f"`{key}` {there.get(key)} there, {here.get(key)} here" for key in differing if key not in WITHOUT_EFFECT]
    if rows:
        more = f" and {len(rows) - 4} more" if len(rows) > 4 else ""
        raise DataError(f"{path} was trained by another recipe ({'; '.join(rows[:4])}{more}); {advice}.")


def _flat(content: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, content
