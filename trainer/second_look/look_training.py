"""The training loop of a second look. It keeps its state, so that a stopped one goes on to the same network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge.contracts.errors import DataError
from trainer.checkpoint import reason
from trainer.second_look.cell_crops import GROUP, CropSource, allowed_by
from trainer.second_look.look_network import LookNetwork, log_of_allowed
from trainer.second_look.look_recipe import OF_THE_GRAPH, LookRecipe

Told = Callable[[int, float], None]
"""Called with the step and the mean loss since the last call."""

KEPT_EVERY = 100
"""Steps between two states on disk, and between two words about the loss."""

CLIP_NORM = 5.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch: crops [n, 3, S, S] RGB in 0..1, allowed [n, N_OUTPUTS] bool."""

    crops: Tensor
    allowed: Tensor


class LookTraining:
    """Network, averaged weights, optimiser and the state of chance. The same recipe and places give the same network."""

    def __init__(self, recipe: LookRecipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.rng = np.random.default_rng(recipe.seed)
        self.network = LookNetwork(dropout=recipe.dropout, outputs=recipe.outputs).train()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        kernels = [p for p in self.network.parameters() if p.dim() > 1]
        others = [p for p in self.network.parameters() if p.dim() <= 1]
        groups = [{"params": kernels, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.peak_learning_rate)
        self.step = 0

    def advance(self, source: CropSource) -> float:
        """One step; its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_of(self.step, self.recipe)
        loss = self._loss(draw_batch(source, self.recipe, self.rng))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        self.optimiser.step()
        decay = min(self.recipe.ema_decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.averaged[name].lerp_(value, 1 - decay)
        self.step += 1
        return float(loss.detach())

    def _loss(self, batch: Drawn) -> Tensor:
        """Cross-entropy with what a label allows; in a share of the batches of blends of two crops (Zhang et al. 2018)."""
        crops, allowed = batch.crops, batch.allowed
        share, order = 1.0, torch.arange(len(crops))
        if self.rng.random() < self.recipe.mix_share:
            share = float(self.rng.beta(0.4, 0.4))
            order = torch.from_numpy(self.rng.permutation(len(crops)))
            crops = share * crops + (1 - share) * crops[order]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
            logits = self.network(crops.contiguous(memory_format=torch.channels_last))
        logits = logits.to(torch.float32)
        loss = share * log_of_allowed(logits, allowed)
        if share < 1.0:
            loss = loss + (1 - share) * log_of_allowed(logits, allowed[order])
        return -loss.mean()

    def result(self) -> LookNetwork:
        """The averaged weights, in inference mode."""
        network = LookNetwork(outputs=self.recipe.outputs)
        network.load_state_dict(self.averaged)
        return network.eval()

    def state(self, taught_on: str) -> dict[str, Any]:
        """Everything that the steps to come depend on; `taught_on` is the hash of the images."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "taught_on": taught_on,
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "optimiser": self.optimiser.state_dict(),
            "numpy": self.rng.bit_generator.state,
            "torch": torch.get_rng_state(),
        }

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.averaged = state["averaged"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["numpy"]
        torch.set_rng_state(state["torch"])
        self.step = state["step"]


def train_look(
    source: CropSource, recipe: LookRecipe, told: Told = lambda step, loss: None, keep: Path | None = None, taught_on: str = ""
) -> LookNetwork:
    """The averaged weights after all steps. Where `keep` holds the state of the same training, it goes on from there.

    Raises `DataError` when `keep` is of another recipe or of other images, or cannot be written.
    """
    training = LookTraining(recipe)
    if keep is not None and keep.is_file():
        training.go_on_from(_kept(keep, recipe, taught_on))
    losses: list[float] = []
    while training.step < recipe.steps:
        losses.append(training.advance(source))
        if training.step % KEPT_EVERY == 0 or training.step == recipe.steps:
            told(training.step, float(np.mean(losses)))
            losses.clear()
            if keep is not None:
                _keep(training.state(taught_on), keep)
    return training.result()


def _kept(path: Path, recipe: LookRecipe, taught_on: str) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        # Of keys that came later, the state is of a time when nothing was as they say that nothing is.
        there = LookRecipe.model_validate(state["recipe"]).model_dump(mode="json", exclude=OF_THE_GRAPH)
        same = (there, state["taught_on"]) == (recipe.model_dump(mode="json", exclude=OF_THE_GRAPH), taught_on)
    except Exception as problem:
        raise DataError(f"{path} is no readable state of a training ({type(problem).__name__}); delete it.") from problem
    if not same:
        raise DataError(f"{path} is of another recipe or of other images; delete it, or choose another --out.")
    return state


def _keep(state: dict[str, Any], path: Path) -> None:
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, part)
        part.replace(path)
    except (OSError, RuntimeError) as problem:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{path} could not be written ({reason(problem)}); free the disk, then repeat the command."
        ) from problem


def rate_of(step: int, recipe: LookRecipe) -> float:
    """A linear warm-up, then half a cosine."""
    if step < recipe.warm_up_steps:
        return recipe.peak_learning_rate * (step + 1) / recipe.warm_up_steps
    done = (step - recipe.warm_up_steps) / max(1, recipe.steps - recipe.warm_up_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return recipe.peak_learning_rate * (recipe.final_fraction + (1 - recipe.final_fraction) * cosine)


def draw_batch(source: CropSource, recipe: LookRecipe, rng: np.random.Generator) -> Drawn:
    """`recipe.batch_size` samples."""
    drawn = [sample for _ in range(recipe.batch_size // GROUP) for sample in source.draw_group(rng)]
    crops = torch.from_numpy(np.stack([crop[:, :, ::-1] for crop, _ in drawn]))
    allowed = torch.from_numpy(np.stack([allowed_by(label)[: recipe.outputs] for _, label in drawn]))
    return Drawn(crops.permute(0, 3, 1, 2).to(torch.float32) / 255.0, allowed)
