"""The interface of every engine, and what all of them keep: what a graph promises, and which slots are in flight.

One thread owns an engine: open, submit, collect and close are called from that thread only. Outputs are checked at opening and
values on every result: a broken engine must never look like an empty field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from edge.contracts.cells import N_CLASSES
from edge.contracts.choices import HintTaken
from edge.contracts.detections import Image, RawDetections
from edge.contracts.engine_files import Gate, GateSight
from edge.contracts.errors import EngineError

INPUT = "frames"

Parity = Literal["not_needed", "passed", "waived", "failed"]
"""Whether an engine agreed with the bundle's graph: not needed when it is that graph; waived or failed when it was started on
demand although nobody compared them, or although they differ."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs: `precision` is what the engine really computes in, read back after compilation, not what was asked for."""

    runtime: str
    version: str
    device: str
    precision: str
    frame_width_px: int
    frame_height_px: int
    max_batch: int
    slots: int
    top_k: int
    key: str | None = None
    """of the compiled engine; None when the bundle's graph itself is run"""
    plan_sha256: str | None = None
    hint: HintTaken | None = None
    """of OpenVINO; None of every other"""
    streams: int = 1
    """frames that are computed side by side"""
    parity: Parity = "not_needed"
    precision_gate: Gate | None = None
    """of OpenVINO: what bf16's parity gate says on this processor; None where nobody would compute in bf16"""
    gate_saw: GateSight | None = None
    """how the fields were corrected on which it passed its gate; None where it has not, or needed none"""

    @property
    def name(self) -> str:
        """The compiled engine's key, or what runs the graph."""
        return f"engine {self.key}" if self.key else str(self)

    def __str__(self) -> str:
        return f"{self.runtime} {self.version} on {self.device}, {self.precision}"


class Engine(Protocol):
    """Runs the self-describing graph on preallocated slots.

    A slot is uint8 [max_batch, H, W, 3]; its address never changes. Write frames into `slot(i)`, `submit(i, n)` the first n,
    then `collect(i)`; several slots may be in flight. Failures raise `EngineError`; there is no empty result on failure.
    """

    @property
    def info(self) -> EngineInfo: ...

    def slot(self, index: int) -> Image:
        """The writable slot, uint8 [max_batch, H, W, 3]. Must not be written between submit and collect."""
        ...

    def submit(self, index: int, n: int) -> None:
        """Start inference on the first `n` frames of a slot and return at once."""
        ...

    def collect(self, index: int) -> RawDetections:
        """Wait for the slot's inference. The arrays are the caller's own (copies), [n, K, ...]."""
        ...

    def keep_warm(self) -> None:
        """Called again and again while there is nothing to do, so that the first batch after a pause is not a slow one."""
        ...

    def close(self) -> None:
        """Give everything back. Safe to repeat."""
        ...


class ChangingEngine(Protocol):
    """An engine that another one may stand in for."""

    def notes(self) -> list[str]:
        """What has changed since it was asked last, a sentence each: a run puts it on record."""
        ...


class SlotBook:
    """Which slots are in flight, and with how many frames.

    Raises ValueError on every call that would mix two batches: these are mistakes of the caller, never of a user."""

    def __init__(self, info: EngineInfo) -> None:
        self._max_batch = info.max_batch
        self._running = [0] * info.slots

    def submit(self, index: int, n: int) -> None:
        if not 1 <= n <= self._max_batch:
            raise ValueError(f"{n} frames do not fit a slot of {self._max_batch}")
        if self._running[index]:
            raise ValueError(f"slot {index} was submitted again before it was collected")
        self._running[index] = n

    def collect(self, index: int) -> int:
        """The number of frames that were submitted; the slot is free from now on."""
        n, self._running[index] = self._running[index], 0
        if not n:
            raise ValueError(f"slot {index} was not submitted")
        return n

    def in_flight(self) -> list[int]:
        """Slots that were submitted and not collected."""
        return [index for index, n in enumerate(self._running) if n]


def expected_outputs(top_k: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape of one frame's outputs (without N) and their element type."""
    return {"boxes": ((top_k, 4), "float32"), "scores": ((top_k,), "float32"), "labels": ((top_k,), "int32")}


def check_outputs(found: Mapping[str, tuple[tuple[int, ...], str]], top_k: int, bundle: str) -> None:
    """Compare a compiled graph's outputs (shape without N, element type) with the contract. Raises `EngineError`."""
    for name, (shape, kind) in expected_outputs(top_k).items():
        if name not in found:
            raise EngineError(
                f"the graph of bundle {bundle} has no output {name!r}, only {sorted(found)}; "
                "export it with `leuko-train export`."
            )
        if found[name] != (shape, kind):
            has_shape, has_kind = found[name]
            raise EngineError(
                f"output {name!r} of bundle {bundle} is {has_kind} {list(has_shape)} per frame, not {kind} {list(shape)}; "
                "export it with `leuko-train export`."
            )


def check_values(raw: RawDetections) -> None:
    """Raises `EngineError` when scores or boxes are not finite or a label names no class."""
    if not (np.isfinite(raw.scores).all() and np.isfinite(raw.boxes).all()):
        raise EngineError(
            "the engine returned scores or boxes that are not finite numbers; do not use this run's model, check its bundle."
        )
    if raw.labels.size and not 0 <= int(raw.labels.min()) <= int(raw.labels.max()) < N_CLASSES:
        raise EngineError(
            f"the engine returned a label outside 0 to {N_CLASSES - 1}; check that bundle and engine belong together."
        )
