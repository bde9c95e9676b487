"""The processes of one training: alone, or several that torchrun started."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from edge.contracts.errors import ConfigError, LeukoError
from trainer.models.detector import Detector

WAIT = timedelta(minutes=10)
"""How long a process waits for the others; they read the same images, so they are about equally fast."""

LOST = ("connection closed by peer", "connection reset by peer", "timed out", "nccl", "broken pipe", "connection refused")


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among `count`. Each computes its share of every batch; only the first one writes."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def __str__(self) -> str:
        if self.device.type == "cuda":
            return f"{self.count} x {torch.cuda.get_device_name(self.device)}"
        threads = self.count * torch.get_num_threads()
        return f"CPU, {threads} thread{'s' if threads > 1 else ''}"

    def share(self, model: Detector) -> nn.Module:
        """`model` with gradients averaged over the processes by its backward pass."""
        if self.count == 1:
            return model
        # Buffers are not taken from the first process: `average_statistics` says what becomes of them.
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices, forward_sync_buffers=False)

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over the processes, in double precision."""
        if self.count == 1:
            return list(values)
        everywhere = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(everywhere)
        return [float(value) for value in everywhere.tolist()]

    def any(self, here: bool) -> bool:
        """Whether it is so in any of the processes, or, of what only the first one knows, in that one."""
        return self.total([float(here)])[0] > 0

    def gathered(self, items: list[Item]) -> list[Item]:
        """Those of all processes, one process's after another's."""
        if self.count == 1:
            return items
        everywhere: list[list[Item]] = [[] for _ in range(self.count)]
        distributed.all_gather_object(everywhere, items)
        return [item for part in everywhere for item in part]

    @torch.no_grad()
    def give(self, model: Detector) -> None:
        """Give every process the first one's weights and statistics of `model`."""
        values = [value for value in model.state_dict().values() if value.dtype.is_floating_point]
        if self.count == 1 or not values:
            return
        flat = torch.cat([value.flatten() for value in values])
        distributed.broadcast(flat, 0)
        for value, part in zip(values, torch.split(flat, [value.numel() for value in values]), strict=True):
            value.copy_(part.view(value.shape))

    @torch.no_grad()
    def average_statistics(self, model: Detector) -> None:
        """Give every process the mean of all processes' running statistics of the normalisation.

        Each process normalises by its own images, as one process does with each part of a batch. Without this the statistics
        would be those of the first process's images alone.
        """
        statistics = [buffer for buffer in model.buffers() if buffer.dtype.is_floating_point]
        if self.count == 1 or not statistics:
            return
        flat = torch.cat([buffer.flatten() for buffer in statistics])
        distributed.all_reduce(flat)
        flat /= self.count
        means = torch.split(flat, [buffer.numel() for buffer in statistics])
        for buffer, mean in zip(statistics, means, strict=True):
            buffer.copy_(mean.view_as(buffer))


def choose_device(wanted: str) -> torch.device:
    """`auto`, `cpu` or `cuda`; of several GPUs the one of this process. Raises `ConfigError` when it is not there."""
    if wanted not in {"auto", "cpu", "cuda"}:
        raise ConfigError(f"device {wanted!r} is not known; use auto, cpu or cuda.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no GPU that torch can use; install torch for your CUDA version, or use --device cpu.")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    index = int(os.environ.get("LOCAL_RANK", "0"))
    if index >= torch.cuda.device_count():
        raise ConfigError(f"process {index} has no GPU, this machine has {torch.cuda.device_count()}; start fewer processes.")
    return torch.device("cuda", index)


class ProcessLost(LeukoError):
    """Another process of the training is gone. What was asked of it still waits in torch, whose end would wait for that."""

    ends_at_once = True


@contextmanager
def joined(wanted_device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started, or be alone. Raises `ProcessLost` when another one is lost."""
    device = choose_device(wanted_device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True  # shapes never change within a phase
    if count == 1:
        yield Ranks(device)
        return
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT)
        yield Ranks(device, distributed.get_rank(), count)
    except RuntimeError as problem:
        if not any(sign in str(problem).lower() for sign in LOST):
            raise
        raise ProcessLost(
            "another process of this training ended or cannot be reached; what it said is above or in its own log. The last "
            "checkpoint is good: go on with --resume."
        ) from problem
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
