"""Optimisers and learning rates, as a recipe states them and as torch runs them."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator

from edge.contracts.base import Strict
from trainer.models.detector import Detector


class Cosine(Strict):
    """Half a cosine from the peak down to `final_fraction` of it (Loshchilov and Hutter 2017)."""

    name: Literal["cosine"] = "cosine"
    final_fraction: float = Field(0.01, ge=0, le=1)

    def factor(self, step: int, warm_up: int, total: int) -> float:
        """Share of the peak at `step`."""
        done = (step - warm_up) / max(1, total - warm_up)
        return self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Steps(Strict):
    """The rate is multiplied by `scales[i]` once step `at[i]` is reached; one number scales by the same at each."""

    name: Literal["steps"] = "steps"
    at: tuple[int, ...] = Field(min_length=1)
    scales: tuple[float, ...] | float = 0.1

    @model_validator(mode="after")
    def _fit_together(self) -> "Steps":
        if list(self.at) != sorted(set(self.at)):
            raise ValueError(f"`schedule.at` {list(self.at)} does not rise from step to step")
        if not isinstance(self.scales, float) and len(self.scales) != len(self.at):
            raise ValueError(f"`schedule.scales` has {len(self.scales)} numbers for the {len(self.at)} steps of `schedule.at`")
        return self

    def factor(self, step: int, warm_up: int, total: int) -> float:
        """Share of the peak at `step`."""
        scales = [self.scales] * len(self.at) if isinstance(self.scales, float) else self.scales
        return math.prod(scale for at, scale in zip(self.at, scales, strict=True) if step >= at)


class AdamW(Strict):
    """AdamW with a linear warm-up and a cosine decay over all phases (Loshchilov and Hutter 2017, 2019)."""

    name: Literal["adamw"] = "adamw"
    peak_learning_rate: float = Field(1e-3, gt=0)
    final_fraction: float = Field(0.01, ge=0, le=1)
    warm_up_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    clip_gradient_norm: float | None = Field(10.0, gt=0)
    ema_decay: float = Field(0.998, ge=0, lt=1)

    @property
    def schedule(self) -> Cosine:
        return Cosine(final_fraction=self.final_fraction)


class Sgd(Strict):
    """Stochastic gradient descent with momentum, as Caffe and Darknet train the reference's systems: no gradient clipping and
    no averaged weights (`ema_decay` 0) unless asked for."""

    name: Literal["sgd"]
    peak_learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    schedule: Annotated[Cosine | Steps, Field(discriminator="name")] = Cosine()
    warm_up_steps: int = Field(0, ge=0)
    weight_decay: float = Field(5e-4, ge=0)
    clip_gradient_norm: float | None = Field(None, gt=0)
    ema_decay: float = Field(0.0, ge=0, lt=1)


Optimiser = AdamW | Sgd


def learning_rate(step: int, total: int, settings: Optimiser) -> float:
    """Rate of `step` (from 0) of `total`: a linear warm-up to the peak, then the schedule."""
    if step < settings.warm_up_steps:
        return settings.peak_learning_rate * (step + 1) / settings.warm_up_steps
    return settings.peak_learning_rate * settings.schedule.factor(step, settings.warm_up_steps, total)


def build_optimiser(model: Detector, settings: Optimiser) -> torch.optim.Optimizer:
    """Weight decay acts on kernels, not on biases and normalisation."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if isinstance(settings, Sgd):
        return torch.optim.SGD(groups, lr=settings.peak_learning_rate, momentum=settings.momentum)
    return torch.optim.AdamW(groups, lr=settings.peak_learning_rate)
