"""Batches of samples, cut into parts and shared between processes by sample number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from edge.contracts.detections import Float32, Image, Int32
from edge.contracts.errors import ConfigError
from trainer.data.compose.training_set import TrainingSet
from trainer.loop.sample_workers import end_workers, heed_the_trainer, room_to_share, samples_lost, undisturbed
from trainer.models.detector import Targets
from trainer.recipe import Phase, Recipe

Sample = tuple[int, Image, Float32, Int32]


@dataclass(frozen=True, slots=True)
class Part:
    """What one forward pass takes: uint8 BGR images [n, h, w, 3] at network size, their cells, their sample numbers."""

    images: Tensor
    targets: list[Targets]
    samples: list[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """This process's parts of one batch; `first_sample` is the whole batch's first."""

    phase: int
    first_sample: int
    parts: list[Part]


class _Samples(Dataset[Sample]):
    """`TrainingSet` as torch wants it; sample k depends on (seed, k) only, so a resumed run sees the same images."""

    def __init__(self, source: TrainingSet) -> None:
        self.source = source

    def __getitem__(self, index: int) -> Sample:
        return (index, *self.source.sample(index))


def cut(phase: Phase, processes: int) -> int:
    """Parts that each of `processes` computes of a batch: one batch is `processes` times that many equal parts.

    Raises `ConfigError` when the batch cannot be cut like that.
    """
    parts = -(-phase.subdivisions // processes)
    if phase.batch_size % (parts * processes):
        raise ConfigError(
            f"a batch of {phase.batch_size} cannot be shared by {processes} processes in {parts} equal parts each; start "
            f"another number of processes or set `phases.N.batch_size` to a multiple of {parts * processes}."
        )
    return parts


def shared_by(recipe: Recipe) -> list[int]:
    """Numbers of processes that can share every batch of a recipe."""
    most = min(phase.batch_size for phase in recipe.phases)
    return [processes for processes in range(1, most + 1) if all(_can_be_cut(phase, processes) for phase in recipe.phases)]


def _can_be_cut(phase: Phase, processes: int) -> bool:
    try:
        cut(phase, processes)
    except ConfigError:
        return False
    return True


def part_numbers(first: int, batch_size: int, parts: int, rank: int, processes: int) -> list[list[int]]:
    """Sample numbers of the parts that process `rank` computes of the batch that begins with sample `first`."""
    size = batch_size // (parts * processes)
    start = first + rank * parts * size
    return [list(range(start + k * size, start + (k + 1) * size)) for k in range(parts)]


def batches(
    recipe: Recipe, training_sets: Sequence[TrainingSet], done: int, rank: int = 0, processes: int = 1, pinned: bool = False
) -> Iterator[Batch]:
    """All batches after the first `done` steps, phase by phase, as process `rank` of `processes` sees them.

    Raises `SamplesLost` when a process that prepares samples dies.
    """
    # Before the workers are forked: their picture operations must not take the cores that train, and OpenCV's pool of threads
    # does not survive a fork.
    cv2.setNumThreads(1)
    for number, (phase, source) in enumerate(zip(recipe.phases, training_sets, strict=True)):
        skip = min(done, phase.steps)
        done -= skip
        firsts = range(skip * phase.batch_size, phase.steps * phase.batch_size, phase.batch_size)
        if not firsts:
            continue
        parts = cut(phase, processes)
        # At least two batches ahead: all parts of a batch are asked for at once.
        ahead = max(4, -(-2 * parts // recipe.workers)) if recipe.workers else 0
        size = phase.batch_size // (parts * processes) * int(np.prod(recipe.phase_sizes_px(phase)[2:])) * 3
        # Drawn as it is needed: the reference's trainings have millions of samples.
        order = (row for first in firsts for row in part_numbers(first, phase.batch_size, parts, rank, processes))
        loader = DataLoader(
            _Samples(source),
            batch_sampler=order,
            num_workers=recipe.workers,
            collate_fn=_stacked if room_to_share(ahead * recipe.workers * size) else _stacked_unshared,
            prefetch_factor=ahead if recipe.workers else None,
            worker_init_fn=heed_the_trainer,
            # The decoded images are mapped, not copied: only a fork inherits them. Python's own choice differs by version.
            multiprocessing_context="fork" if recipe.workers else None,
            pin_memory=pinned,
        )
        with undisturbed():
            stream = iter(loader)
        try:
            for first in firsts:
                yield Batch(number, first, [_part(*_next(stream)) for _ in range(parts)])
        finally:
            end_workers(stream)


Stacked = tuple[Tensor | Image, list[tuple[int, Float32, Int32]]]


def _stacked(samples: list[Sample]) -> Stacked:
    # Only the images are tensors here: each tensor that leaves a worker is a file in shared memory.
    images, rest = _stacked_unshared(samples)
    return torch.as_tensor(images), rest


def _stacked_unshared(samples: list[Sample]) -> Stacked:
    """Goes through a pipe as a whole, which is slower by its copies."""
    images = np.stack([image for _, image, _, _ in samples])
    return images, [(index, boxes, labels) for index, _, boxes, labels in samples]


def _part(images: Tensor | Image, rest: list[tuple[int, Float32, Int32]]) -> Part:
    targets = [Targets(torch.as_tensor(boxes), torch.as_tensor(labels).long()) for _, boxes, labels in rest]
    return Part(torch.as_tensor(images), targets, [index for index, _, _ in rest])


def _next(stream: Iterator[Stacked]) -> Stacked:
    try:
        return next(stream)
    except (RuntimeError, OSError, EOFError) as problem:
        lost = samples_lost(problem)
        if lost is None:
            raise
        raise lost from problem
