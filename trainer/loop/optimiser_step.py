"""One optimiser step: a batch in parts, in mixed precision, on one or several processes."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edge.contracts.errors import DataError
from trainer.loop.batches import Part
from trainer.loop.ranks import Ranks
from trainer.models.detector import Detector


class NotFinite(DataError):
    """The loss or its gradient is not a number. `parts` are those of this process that are to blame, if any."""

    def __init__(self, message: str, parts: list[Part]) -> None:
        super().__init__(message)
        self.parts = parts


MAX_SKIPPED = 40
"""Steps in a row without a finite gradient that end a training with a scaled loss. A sound one skips a few at its start; after
so many the scale is down from 2**16 to 2**-23, where no gradient overflows that is finite by itself."""


@dataclass(slots=True)
class Stepper:
    """All that a step needs. `forward` is the model, or the model that shares gradients with other processes.

    `skipped` are the steps in a row up to now that the scaler left out.
    """

    model: Detector
    forward: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ranks: Ranks
    precision: torch.dtype = torch.float32
    clip_norm: float | None = None
    skipped: int = 0

    def step(self, parts: Sequence[Part]) -> dict[str, float]:
        """Train on one batch, this process's `parts` of it; returns the whole batch's loss terms per positive, or per image
        where there are more images.

        The result is that of the batch in one piece, but for the normalisation, whose statistics are each part's own. Raises
        `NotFinite` when a loss or gradient is not finite, or was not in `MAX_SKIPPED` steps in a row where the loss
        is scaled; the weights are then still those before the step.
        """
        counts = [sum(self.model.positives(part.targets) for part in parts), sum(len(part.targets) for part in parts)]
        # A batch of empty fields has no positives; all its background, divided by 1, would be one enormous step.
        positives = max(self.ranks.total(counts))
        self.optimiser.zero_grad(set_to_none=True)
        losses = []
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            with self.forward.no_sync() if isinstance(self.forward, DistributedDataParallel) and not last else nullcontext():
                terms = {name: value / positives for name, value in self._losses(part).items()}
                total = torch.stack(list(terms.values())).sum()
                # Gradients are averaged over the processes; the loss is a sum over them.
                self.scaler.scale(total * self.ranks.count).backward()  # type: ignore[no-untyped-call]
            losses.append(torch.stack(list(terms.values())).detach())
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm or torch.inf)
        result = self._checked(list(terms), torch.stack(losses).cpu(), float(norm), parts)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.ranks.average_statistics(self.model)
        return result

    def _losses(self, part: Part) -> dict[str, Tensor]:
        images = part.images.to(self.ranks.device, non_blocking=True)
        inputs = images.permute(0, 3, 1, 2).flip(1).float().div_(255.0).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.ranks.device.type, self.precision, enabled=self.precision != torch.float32):
            raw = self.forward(inputs)
        return self.model.loss([x.float() for x in raw], part.targets)

    def _checked(self, names: list[str], losses: Tensor, norm: float, parts: Sequence[Part]) -> dict[str, float]:
        """`losses` [parts, terms] of this process, summed over all."""
        sums = dict(zip(names, self.ranks.total(losses.double().sum(dim=0).tolist()), strict=True))
        whole = all(abs(value) < torch.inf for value in sums.values())
        # A scaled gradient may overflow: the scaler leaves such a step out and lowers its scale.
        self.skipped = 0 if abs(norm) < torch.inf else self.skipped + 1
        if whole and (not self.skipped or (self.scaler.is_enabled() and self.skipped < MAX_SKIPPED)):
            return sums
        finite = losses.isfinite().all(dim=1).tolist()
        blamed = [part for part, good in zip(parts, finite, strict=True) if not good]
        named = ", ".join(f"{name} {value:.3g}" for name, value in sums.items())
        since = f" since {self.skipped} steps" if self.skipped > 1 else ""
        what = (
            f"the gradient is no longer finite{since} (losses: {named})" if whole else f"the loss is no longer finite ({named})"
        )
        raise NotFinite(what, list(parts) if whole else blamed)


@torch.no_grad()
def move_average(average: Detector, model: Detector, decay: float) -> None:
    """Exponential moving average of weights; statistics of the normalisation are averaged alike."""
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
