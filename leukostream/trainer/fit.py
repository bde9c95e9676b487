"""The training loop."""

import copy
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.checkpoint import Checkpoint, save_checkpoint
from leukostream.trainer.data.training_set import TrainingSet
from leukostream.trainer.models.detector import Detector, Targets
from leukostream.trainer.recipe import Optimiser, Phase, Recipe

Batch = tuple[Tensor, list[Targets]]


class _Samples(Dataset[tuple[Tensor, Targets]]):
    """`TrainingSet` as torch wants it; sample k depends on (seed, k) only, so a resumed run sees the same images."""

    def __init__(self, source: TrainingSet, first: int, count: int) -> None:
        self.source, self.first, self.count = source, first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Targets]:
        image, boxes, labels = self.source.sample(self.first + index)
        return torch.from_numpy(image), Targets(torch.from_numpy(boxes), torch.from_numpy(labels).long())


def _collate(samples: list[tuple[Tensor, Targets]]) -> Batch:
    return torch.stack([image for image, _ in samples]), [targets for _, targets in samples]


def learning_rate(step: int, total: int, settings: Optimiser) -> float:
    """Linear warm-up, then half a cosine down to `final_fraction` of the peak."""
    if step < settings.warm_up_steps:
        return settings.peak_learning_rate * (step + 1) / settings.warm_up_steps
    done = (step - settings.warm_up_steps) / max(1, total - settings.warm_up_steps)
    floor = settings.final_fraction
    return settings.peak_learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def fit(
    recipe: Recipe,
    training_sets: list[TrainingSet],
    folder: Path,
    data: dict[str, object],
    resume: Checkpoint | None = None,
    start_from: Checkpoint | None = None,
) -> Checkpoint:
    """Train by `recipe`, one training set per phase; checkpoints go to `folder`/last.pt.

    `resume` continues a training of the same recipe; `start_from` only takes its weights. `data` describes the data sets and
    is kept in the checkpoint. Raises `DataError` when the loss stops being finite.
    """
    model = recipe.detector().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(model, recipe.optimiser)
    step = 0
    if start_from:
        origin = {"recipe": start_from.recipe.model_dump(mode="json"), "step": start_from.step, "data": start_from.data}
        data = {**data, "started_from": origin}
    source = resume or start_from
    if source:
        model.load_state_dict(source.model)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    if source:
        average.load_state_dict(source.ema)
    if resume:
        optimiser.load_state_dict(resume.optimiser)
        step = resume.step

    def snapshot() -> Checkpoint:
        return Checkpoint(recipe, step, model.state_dict(), average.state_dict(), optimiser.state_dict(), data)

    path = folder / "last.pt"
    progress = tqdm(total=recipe.total_steps, initial=step, unit="step", desc=recipe.name, mininterval=2.0)
    model.train()
    for images, targets in _batches(recipe, training_sets, step):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, recipe.total_steps, recipe.optimiser)
        terms = train_step(model, images, targets, optimiser, recipe.optimiser.clip_gradient_norm)
        _move_average(average, model, min(recipe.optimiser.ema_decay, (1 + step) / (10 + step)))
        step += 1
        progress.update()
        progress.set_postfix({name: f"{value:.3f}" for name, value in terms.items()})
        if step % recipe.checkpoint_every_steps == 0:
            save_checkpoint(path, snapshot())
    progress.close()
    result = snapshot()
    save_checkpoint(path, result)
    return result


def train_step(
    model: Detector, images: Tensor, targets: list[Targets], optimiser: torch.optim.Optimizer, clip_norm: float
) -> dict[str, float]:
    """One optimiser step on uint8 BGR images [N, h, w, 3] at network size; returns the loss terms.

    Raises `DataError` when the loss is not finite; the weights are then still those before the step.
    """
    inputs = images.permute(0, 3, 1, 2).flip(1).float().div_(255.0).contiguous(memory_format=torch.channels_last)
    positives = max(1, model.positives(targets))
    terms = {name: value / positives for name, value in model.loss(model(inputs), targets).items()}
    total = torch.stack(list(terms.values())).sum()
    if not torch.isfinite(total):
        named = ", ".join(f"{name} {float(value.detach()):.3g}" for name, value in terms.items())
        raise DataError(f"the loss is no longer finite ({named}); lower `peak_learning_rate` and resume from the checkpoint.")
    optimiser.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimiser.step()
    return {name: float(value.detach()) for name, value in terms.items()}


def phase_field_size(recipe: Recipe, phase: Phase) -> tuple[int, int, int, int]:
    """Field width, height and network width, height of a phase in px; the network's size stays a multiple of 32."""
    scale = recipe.scale
    network_w = max(32, round(scale.network_width_px * phase.field_fraction / 32) * 32)
    network_h = max(32, round(scale.network_height_px * phase.field_fraction / 32) * 32)
    width = round(scale.width_px * network_w / scale.network_width_px)
    height = round(scale.height_px * network_h / scale.network_height_px)
    return width, height, network_w, network_h


def _batches(recipe: Recipe, training_sets: list[TrainingSet], done: int) -> Iterator[Batch]:
    """All batches after the first `done` steps, phase by phase."""
    # Before the workers are forked: their picture operations must not take the cores that train, and OpenCV's pool of threads
    # does not survive a fork.
    cv2.setNumThreads(1)
    for phase, source in zip(recipe.phases, training_sets, strict=True):
        skip = min(done, phase.steps)
        done -= skip
        samples = _Samples(source, skip * phase.batch_size, (phase.steps - skip) * phase.batch_size)
        if not len(samples):
            continue
        yield from DataLoader(
            samples,
            batch_size=phase.batch_size,
            num_workers=recipe.workers,
            collate_fn=_collate,
            prefetch_factor=4 if recipe.workers else None,
        )


def _optimiser(model: Detector, settings: Optimiser) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.peak_learning_rate)


@torch.no_grad()
def _move_average(average: Detector, model: Detector, decay: float) -> None:
    """Exponential moving average of weights; statistics of the normalisation are averaged alike."""
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
