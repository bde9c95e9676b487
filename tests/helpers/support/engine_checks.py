"""What an accelerator's engine must keep, whatever it runs on: the same checks on a GPU and, small, on the emulated device."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from builder.executors import EngineExecutor
from builder.images import FieldImages
from builder.parity import compare, find_cells
from edge.camera.resample import plan_fit
from edge.contracts.bundle import Bundle
from edge.contracts.detections import Cells
from edge.contracts.engine_files import ParityResult
from edge.engine.pipelined import PipelinedEngine
from edge.pipeline.field_work import rows_of
from edge.postprocess import OperatingPoint, ious, postprocess

CERTAIN = 0.1
"""Cells nearer to the threshold than this may come and go with the rounding of a batch size."""


@dataclass(frozen=True)
class Rig:
    """An engine, frames, and the cells that the bundle's FP32 graph finds on them."""

    engine: PipelinedEngine
    free_bytes: Callable[[], int]
    """device memory that nobody uses"""
    bundle: Bundle
    images: FieldImages
    reference: list[Cells]


class _Batches(EngineExecutor):
    """Runs batches of one size."""

    def __init__(self, engine: PipelinedEngine, n: int) -> None:
        super().__init__(engine)
        self.max_batch = n


def parity_per_batch(rig: Rig) -> dict[int, ParityResult]:
    """The engine against the reference at every batch size; a batch that no graph was captured for is among them."""
    thresholds, frames, names = rig.bundle.manifest.thresholds, rig.images.frames, rig.images.names
    results = {}
    for n in range(1, rig.engine.info.max_batch + 1):
        found = find_cells(_Batches(rig.engine, n), frames, names, thresholds)
        results[n] = compare(rig.reference, found, str(rig.engine.info), is_emulation=False)
    return results


@dataclass
class Tally:
    """What random batches gave."""

    batches: int = 0
    cells: int = 0
    lost: int = 0
    phantom: int = 0


def random_batches(rig: Rig, n_batches: int, seed: int = 0) -> Tally:
    """Batches of random size, content and depth in flight; each frame must give the cells that it gives alone."""
    frames, engine = rig.images.frames, rig.engine
    alone = find_cells(_Batches(engine, 1), frames, rig.images.names, rig.bundle.manifest.thresholds)
    rng, tally, flying = np.random.default_rng(seed), Tally(), deque[tuple[int, list[int]]]()
    free = deque(range(engine.info.slots))
    for _ in range(n_batches):
        while not free or (flying and rng.random() < 0.4):
            _collect(rig, *flying.popleft(), alone, tally, free)
        slot, n = free.popleft(), int(rng.integers(1, engine.info.max_batch + 1))
        chosen = rng.integers(0, len(frames), n).tolist()
        engine.slot(slot)[:n] = frames[chosen]
        engine.submit(slot, n)
        flying.append((slot, chosen))
        tally.batches += 1
    while flying:
        _collect(rig, *flying.popleft(), alone, tally, free)
    return tally


def _collect(rig: Rig, slot: int, chosen: list[int], alone: list[Cells], tally: Tally, free: deque[int]) -> None:
    raw = rig.engine.collect(slot)
    # Whatever the next batch writes must not reach what was collected.
    rig.engine.slot(slot)[...] = 255
    free.append(slot)
    height, width = rig.images.frames.shape[1:3]
    plan, point = plan_fit(width, height, 1.0, 1.0, width, height), OperatingPoint.of(rig.bundle.manifest.thresholds)
    for row, frame in enumerate(chosen):
        found = postprocess(rows_of(raw, row, 1), plan, point)
        tally.cells += len(found)
        tally.lost += _unmatched(alone[frame], found, rig)
        tally.phantom += _unmatched(found, alone[frame], rig)


def _unmatched(these: Cells, those: Cells, rig: Rig) -> int:
    """Certain cells of `these` that have no counterpart at all."""
    certain = these.presence >= rig.bundle.manifest.thresholds.detect + CERTAIN
    if not certain.any():
        return 0
    if not len(those):
        return int(certain.sum())
    return int((ious(these.boxes_px[certain], those.boxes_px).max(axis=1) < 0.5).sum())


def memory_growth(rig: Rig, n_batches: int) -> int:
    """Bytes of device memory that are gone after so many batches, counted from after the first hundred."""
    before = 0
    for number in range(n_batches + 100):
        if number == 100:
            before = rig.free_bytes()
        rig.engine.submit(number % rig.engine.info.slots, 1 + number % rig.engine.info.max_batch)
        rig.engine.collect(number % rig.engine.info.slots)
    return before - rig.free_bytes()


def first_after_idle_ms(rig: Rig, pause_s: float, *, keep_warm: bool) -> float:
    """Milliseconds of the first batch of one after a pause, during which the loop does or does not keep the device warm."""
    until_s = time.monotonic() + pause_s
    while time.monotonic() < until_s:
        if keep_warm:
            rig.engine.keep_warm()
        time.sleep(0.05)
    begun_s = time.perf_counter()
    rig.engine.submit(0, 1)
    rig.engine.collect(0)
    return (time.perf_counter() - begun_s) * 1e3


def addresses(rig: Rig) -> list[int]:
    """Where the slots lie."""
    return [rig.engine.slot(index).ctypes.data for index in range(rig.engine.info.slots)]
