"""Everything of a GPU engine but TensorRT: PyCUDA's buffers, streams, events, slots and graphs, with torch for network.

    python tests/gpu/stand_in_checks.py        # prints what it found as one JSON object

Run by `make gpu-test` where no TensorRT loads. What the stand-in computes is a checksum of each frame, where boxes, scores and
labels go, so that a frame in the wrong slot, a copy that came too late and an output read too early are seen. It says
nothing about the detector, nor about any speed. Nobody has run it on a GPU yet.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULUS, TOP_K = 997, 64
WIDTH_PX, HEIGHT_PX, MAX_BATCH, SLOTS = 732, 574, 8, 3
BATCHES = 500


class OnDevice:
    """An address as torch takes it (the CUDA array interface)."""

    def __init__(self, address: int, shape: tuple[int, ...], dtype: str) -> None:
        self.__cuda_array_interface__ = {"data": (address, False), "shape": shape, "typestr": dtype, "version": 3}


def answer_into(torch: Any, frames: Any, boxes: Any, scores: Any, labels: Any, sums: Any) -> None:  # noqa: ANN401 torch may be missing
    """Row 0 of each output from the checksum of its frame; nothing is allocated, so that a graph can hold it."""
    torch.sum(frames.view(frames.shape[0], -1), dim=1, dtype=torch.int64, out=sums)
    sums.remainder_(MODULUS)
    boxes.zero_()
    scores.zero_()
    labels.zero_()
    scores[:, 0].copy_(sums).div_(MODULUS)
    boxes[:, 0, 2:].copy_(sums[:, None])
    labels[:, 0].copy_(sums).remainder_(2)


class TorchNetwork:
    """`Network` of the pipelined engine."""

    scratch_bytes = 256

    def __init__(self, torch: Any) -> None:  # noqa: ANN401
        self._torch = torch
        self._kept: list[Any] = []

    def bind(self, n: int, addresses: Mapping[str, int], scratch: int) -> Callable[[int], None]:
        torch = self._torch

        def at(name: str, shape: tuple[int, ...], dtype: str) -> Any:  # noqa: ANN401
            return torch.as_tensor(OnDevice(addresses[name] if name else scratch, shape, dtype), device="cuda")

        given = (
            at("frames", (n, HEIGHT_PX, WIDTH_PX, 3), "|u1"),
            at("boxes", (n, TOP_K, 4), "<f4"),
            at("scores", (n, TOP_K), "<f4"),
            at("labels", (n, TOP_K), "<i4"),
            at("", (n,), "<i8"),
        )
        self._kept.append(given)

        def enqueue(stream_handle: int) -> None:
            with torch.cuda.stream(torch.cuda.ExternalStream(stream_handle)):
                answer_into(torch, *given)

        return enqueue

    def close(self) -> None:
        self._kept.clear()


def on_cuda() -> dict[str, Any]:
    """Raises as `run`, and what opening the GPU raises."""
    import torch

    from edge.engine.gpu.cuda import CudaDevice

    return run(CudaDevice(), TorchNetwork(torch), f"torch {torch.__version__} in TensorRT's place")


def run(device: Any, network: Any, by: str, batches: int = BATCHES) -> dict[str, Any]:  # noqa: ANN401
    """Raises what the device raises, and AssertionError when a frame's answer is not its own."""
    from edge.engine.base import EngineInfo
    from edge.engine.pipelined import PipelinedEngine, batch_ladder

    name = f"{device.name}, {by}"
    info = EngineInfo("stand-in", "1", name, "checksum", WIDTH_PX, HEIGHT_PX, MAX_BATCH, SLOTS, TOP_K)
    engine = PipelinedEngine(device, network, info)
    generator = np.random.default_rng(1)
    fields = generator.integers(0, 256, (32, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    expected = fields.reshape(32, -1).sum(1, dtype=np.int64) % MODULUS
    addresses = [engine.slot(slot).ctypes.data for slot in range(SLOTS)]
    wrong = frames = 0
    flying: list[tuple[int, Any]] = []
    try:
        for batch in range(batches + SLOTS):
            if len(flying) == SLOTS or batch >= batches:
                if not flying:
                    break
                slot, chosen = flying.pop(0)
                found = engine.collect(slot)
                wrong += int((np.rint(found.scores[:, 0] * MODULUS) != expected[chosen]).sum())
                frames += len(chosen)
            if batch < batches:
                slot, chosen = batch % SLOTS, generator.integers(0, 32, generator.integers(1, MAX_BATCH + 1))
                engine.slot(slot)[: len(chosen)] = fields[chosen]
                engine.submit(slot, len(chosen))
                flying.append((slot, chosen))
        moved = sum(engine.slot(slot).ctypes.data != addresses[slot] for slot in range(SLOTS))
        graphs = f"{engine.graphs} of {SLOTS * len(batch_ladder(MAX_BATCH))}"
    finally:
        engine.close()
    found_here = {"device": name, "frames": frames, "wrong answers": wrong, "slots that moved": moved, "graphs": graphs}
    if wrong or moved or not frames:
        raise AssertionError(json.dumps(found_here))
    return found_here


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2]))
    print(json.dumps(on_cuda()))
