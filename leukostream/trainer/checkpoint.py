"""Checkpoints: written to a temporary file and renamed, so that a full disk or a crash never costs the previous one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.models.detector import Detector
from leukostream.trainer.recipe import Recipe

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a training after `step` optimiser steps. `ema` are the weights that are exported."""

    recipe: Recipe
    step: int
    model: dict[str, Any]
    ema: dict[str, Any]
    optimiser: dict[str, Any]
    data: dict[str, Any]

    def detector(self) -> Detector:
        """The averaged weights as a detector in inference mode."""
        detector = self.recipe.detector()
        detector.load_state_dict(self.ema)
        return detector.eval()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically. Raises `DataError` when the disk is full or not writable; an older checkpoint stays as it was."""
    part = path.with_suffix(".part")
    content = {
        "schema": SCHEMA,
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        **{name: getattr(checkpoint, name) for name in ("step", "model", "ema", "optimiser", "data")},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, part)
        part.replace(path)
    except (OSError, RuntimeError) as problem:
        part.unlink(missing_ok=True)
        raise DataError(f"checkpoint {path} could not be written ({problem}); free the disk and resume from it.") from problem


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises `DataError` for a missing, damaged or foreign file."""
    if not path.is_file():
        raise DataError(f"checkpoint {path} is not there; train one with `leuko-train fit`.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["schema"] != SCHEMA:
            raise DataError(f"checkpoint {path} has schema {content['schema']}, this version reads {SCHEMA}; train anew.")
        recipe = Recipe.model_validate(content["recipe"])
        return Checkpoint(recipe, *(content[name] for name in ("step", "model", "ema", "optimiser", "data")))
    except DataError:
        raise
    except Exception as problem:
        raise DataError(f"{path} is not a readable checkpoint ({type(problem).__name__}); use another one.") from problem
