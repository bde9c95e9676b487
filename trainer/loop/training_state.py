"""The state of a training: what a checkpoint keeps and a resumed run takes up again."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from edge.contracts.errors import ConfigError
from trainer.checkpoint import Checkpoint, load_weights
from trainer.loop.best_so_far import BestSoFar
from trainer.loop.optimiser import build_optimiser, learning_rate
from trainer.loop.optimiser_step import Stepper, move_average
from trainer.loop.ranks import Ranks
from trainer.models.detector import Detector
from trainer.models.style_mixing import mix_styles
from trainer.recipe import Recipe

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Pretrain = Callable[[Detector], dict[str, Any]]
"""Sets pretrained weights and says whose they are."""


def normalisations(model: nn.Module) -> list[nn.BatchNorm2d]:
    """The layers that have statistics of what they have seen."""
    return [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]


class TrainingState:
    """Model, averaged weights, optimiser, the number of steps done, and what validations have shown.

    `resume` continues a training of the same recipe; `start_from` only gives its weights, `pretrain` those of the trunk.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: dict[str, object],
        ranks: Ranks,
        resume: Checkpoint | None = None,
        start_from: Checkpoint | None = None,
        pretrain: Pretrain | None = None,
    ) -> None:
        if recipe.precision == "float16" and ranks.device.type == "cpu":
            raise ConfigError("`precision` float16 trains on a GPU only; use bfloat16 or float32 on a CPU.")
        self.recipe, self.data, self.ranks = recipe, dict(resume.data if resume else data), ranks
        self.step = resume.step if resume else 0
        self.seconds_before = resume.seconds if resume else 0.0
        self.so_far = BestSoFar.model_validate(resume.best_so_far if resume else {})
        model = recipe.detector()
        if start_from and not resume:
            whose = {"recipe": start_from.recipe.model_dump(mode="json"), "step": start_from.step, "data": start_from.data}
            origin = {**whose, **start_from.bundle}
            self.data["started_from"] = origin
        elif pretrain and not resume:
            self.data["pretrained"] = pretrain(model)
        source = resume or start_from
        self.look = dict(source.look) if source else {}
        if source and source.bundle and recipe.statistics == "batch" and normalisations(model):
            raise ConfigError(
                "a bundle's graph has its normalisations folded, and statistics of its batches would undo its weights; set "
                "`statistics` to fixed, as the recipe `adapt` has it."
            )
        if source:
            load_weights(model, source.model, f"the checkpoint of recipe `{source.recipe.name}`")
        model = model.to(device=ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model: Detector = model
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        if source:
            self.average.load_state_dict(source.ema)
        if recipe.style_mixing:
            mix_styles(self.model, recipe.style_mixing)
        optimiser = build_optimiser(self.model, recipe.optimiser)
        scaler = torch.amp.GradScaler(ranks.device.type, enabled=recipe.precision == "float16")
        if resume:
            optimiser.load_state_dict(resume.optimiser)
            if resume.scaler:
                scaler.load_state_dict(resume.scaler)
        precision, clip_norm = PRECISIONS[recipe.precision], recipe.optimiser.clip_gradient_norm
        self.stepper = Stepper(self.model, ranks.share(self.model), optimiser, scaler, ranks, precision, clip_norm)
        self.model.train()
        if recipe.statistics == "fixed":
            for layer in normalisations(self.model):
                layer.eval()

    def set_learning_rate(self) -> float:
        """Of the step that comes now."""
        rate = learning_rate(self.step, self.recipe.total_steps, self.recipe.optimiser)
        for group in self.stepper.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def count_step(self) -> None:
        """A step is done: its weights go into the average, which at first follows the model closely."""
        if self.ranks.first:
            move_average(self.average, self.model, min(self.recipe.optimiser.ema_decay, (1 + self.step) / (10 + self.step)))
        self.step += 1

    def snapshot(self, seconds: float) -> Checkpoint:
        """The state now; `seconds` is the time of this run."""
        return Checkpoint(
            self.recipe,
            self.step,
            self.model.state_dict(),
            self.average.state_dict(),
            self.stepper.optimiser.state_dict(),
            self.data,
            self.stepper.scaler.state_dict(),
            self.seconds_before + seconds,
            look=self.look,
            best_so_far=self.so_far.model_dump(mode="json"),
        )
