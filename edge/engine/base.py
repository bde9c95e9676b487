"""The interface of every engine. One thread owns it: open, submit, collect and close are called from that thread only."""

from dataclasses import dataclass
from typing import Literal, Protocol

from edge.contracts.detections import Image, RawDetections

EngineChoice = Literal["auto", "openvino", "tensorrt", "tensorrt_rtx"]
Precision = Literal["auto", "bf16", "f32"]
"""What OpenVINO may be asked to compute in; "auto" is the fastest the CPU has natively. A compiled engine has its own."""

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
    parity: Parity = "not_needed"

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

    def close(self) -> None: ...
