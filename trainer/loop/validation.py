"""Held-back images through the averaged weights while a training runs: shared by its processes, as figures and single errors.

Measured is what `evaluate` measures of the checkpoint: the graph as it is exported, through the edge's own fit and
post-processing. Each image is computed alone, so that figures do not depend on how many processes share them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.camera.correction import Correction
from edge.contracts.bundle import Thresholds
from edge.contracts.cells import CELLS
from edge.contracts.errors import DataError, EngineError
from edge.engine.base import Engine
from trainer.data.held_back import HeldBack
from trainer.evaluation.average_precision import class_curve, leukocyte_curve, mean_of_known
from trainer.evaluation.detect import NO_CORRECTIONS, ImageResult, Measurer
from trainer.evaluation.summary import MeasuredModel
from trainer.evaluation.target import Target
from trainer.evaluation.torch_engine import TorchEngine
from trainer.evaluation.validation_loss import LossMeter, mean_terms
from trainer.loop.best_so_far import ValidationFigures
from trainer.loop.ranks import Ranks
from trainer.models.detector import Detector
from trainer.recipe import Recipe
from trainer.second_look.carried_look import Look


@dataclass(frozen=True, slots=True)
class Validated:
    """One validation: its figures, and what was found on each image."""

    figures: ValidationFigures
    results: list[ImageResult]


@dataclass(frozen=True, slots=True)
class Validator:
    """What a training is validated on, with the correction of each source. Without `keeps_best` it is only looked at: another
    measurement has these images."""

    held_back: HeldBack
    thresholds: Thresholds = field(default_factory=Thresholds)
    keeps_best: bool = True
    corrections: Mapping[str, Correction] = field(default_factory=lambda: NO_CORRECTIONS)


@dataclass(frozen=True, slots=True)
class _Seen:
    number: int
    result: ImageResult
    loss: tuple[dict[str, float], int]
    fields: int


def validate(
    validator: Validator,
    average: Detector,
    look: Look | None,
    recipe: Recipe,
    step: int,
    ranks: Ranks,
    asked_to_stop: Callable[[], bool],
) -> Validated | None:
    """Measure the first process's `average` after `step`; every process takes its share of the images and gets all figures.

    None when any of them is asked to stop meanwhile. Raises `DataError` when the weights give no finite figures, and for want
    of memory.
    """
    try:
        return _validated(validator, average, look, recipe, step, ranks, asked_to_stop)
    except EngineError as problem:
        raise DataError(
            f"the weights after step {step} could not be validated: {problem} The last checkpoint is good; --resume goes on "
            "from it, and with --set validation.every_steps=0 does so without validations."
        ) from problem


def _validated(
    validator: Validator,
    average: Detector,
    look: Look | None,
    recipe: Recipe,
    step: int,
    ranks: Ranks,
    asked_to_stop: Callable[[], bool],
) -> Validated | None:
    ranks.give(average)
    meter = LossMeter()
    rows = validator.held_back.rows
    mine: list[_Seen] = []
    with Measurer(_target(validator, average, look, recipe, ranks, meter), validator.corrections) as measurer:
        for first in range(0, len(rows), ranks.count):
            if ranks.any(asked_to_stop()):
                return None
            number = first + ranks.rank
            if number < len(rows):
                row = rows[number]
                result = measurer.result(row, validator.held_back.image(row))
                plan = measurer.plan(row)
                mine.append(_Seen(number, result, meter.take(row, plan), plan.n_tiles))
    everything = sorted(ranks.gathered(mine), key=lambda seen: seen.number)
    results = [seen.result for seen in everything]
    terms = mean_terms([seen.loss for seen in everything], sum(seen.fields for seen in everything))
    loss = sum(terms.values())
    if not math.isfinite(loss):
        raise DataError(
            f"the weights after step {step} give no finite loss on the images held back; the last checkpoint is good: lower "
            "`peak_learning_rate` and start from it with --start-from."
        )
    typed = [result.typed for result in results]
    figures = ValidationFigures(
        step=step,
        images=len(results),
        wbc_ap=leukocyte_curve([result.cells for result in results]).ap,
        map=mean_of_known([class_curve(typed, label).ap for label in range(len(CELLS))]),
        loss=loss,
        terms=terms,
    )
    return Validated(figures, results)


def _target(
    validator: Validator, average: Detector, look: Look | None, recipe: Recipe, ranks: Ranks, meter: LossMeter
) -> Target:
    def opened(width_px: int, height_px: int) -> Engine:
        engine = TorchEngine(average, recipe.top_k, width_px, height_px, device=ranks.device.type, look=look)
        meter.listen(engine)
        return engine

    scale = (recipe.scale.um_per_px, recipe.scale.width_px, recipe.scale.height_px)
    model = MeasuredModel(name=recipe.name, architecture=recipe.architecture)
    return Target(model, *scale, validator.thresholds, opened, {}, {})
