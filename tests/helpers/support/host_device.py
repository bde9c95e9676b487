"""EMULATION of an accelerator on the processor, for tests of everything around it: no figure of it says anything of a GPU.

Each stream is a thread that does its work in order and late; memory is bytes behind made-up addresses. As on the real one, a
copy reads its source when it is done and not when it was asked for, an output is old until its event, and streams run side by
side unless events order them. `hold` stops a kind of work until it is let go, `fail` makes it fail.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edge.contracts.detections import RawDetections
from edge.contracts.errors import EngineError
from edge.engine.gpu.base import CaptureRefused

Work = Callable[[], None]
LOST = "the emulated device was lost; restart the edge."


class HostEvent:
    """Done when the stream has come to its last mark."""

    def __init__(self, device: "HostDevice") -> None:
        self._device = device
        self.reached = threading.Event()
        self.at_s = 0.0

    def is_done(self) -> bool:
        if self._device.lost:
            raise EngineError(LOST)
        return self.reached.is_set()


class HostStream:
    """A thread that does its work in order."""

    def __init__(self, device: "HostDevice", handle: int) -> None:
        self.handle = handle
        self.captured: list[tuple[str, Work]] | None = None
        self._device = device
        self._work: queue.SimpleQueue[tuple[str, Work] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"emulated-stream-{handle}", daemon=True)
        self._thread.start()

    def give(self, kind: str, work: Work) -> None:
        if self.captured is not None:
            self.captured.append((kind, work))
        else:
            self._work.put((kind, work))

    def end(self) -> None:
        self._work.put(None)
        self._thread.join(10)
        assert not self._thread.is_alive(), "an emulated stream did not end"

    def _run(self) -> None:
        while (given := self._work.get()) is not None:
            kind, work = given
            self._device.may_run(kind)
            if not self._device.lost:
                work()
                self._device.done.append(kind)


@dataclass
class HostGraph:
    """Captured work."""

    work: list[tuple[str, Work]]
    closed: bool = False

    def launch(self, stream: HostStream) -> None:
        assert not self.closed, "a graph was launched after it was closed"
        stream.give("graph", self._replay)

    def _replay(self) -> None:
        for _, work in self.work:
            work()

    def close(self) -> None:
        self.closed = True


@dataclass
class HostDevice:
    """`Device` of this machine's processor. `done` is what was done, in order; `fail` names calls that raise."""

    name: str = "EMULATED device on the CPU"
    fail: dict[str, int] = field(default_factory=dict)
    """call name to how many of its calls still succeed before one raises"""
    refuse_capture: bool = False
    memory: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    streams: list[HostStream] = field(default_factory=list)
    graphs: list[HostGraph] = field(default_factory=list)
    lost: bool = False
    closed: bool = False
    abandoned: bool = False
    thread: int = field(default_factory=threading.get_ident)

    def __post_init__(self) -> None:
        self._addresses = itertools.count(0x1000, 0x100000000)
        self._held: dict[str, threading.Event] = {}

    def hold(self, kind: str) -> Callable[[], None]:
        """No work of this kind begins until the returned function is called."""
        gate = self._held[kind] = threading.Event()
        return gate.set

    def may_run(self, kind: str) -> None:
        if kind in self._held:
            self._held[kind].wait(20)

    def lose(self) -> None:
        """As when the cable is pulled: nothing is done any more, and every question about it fails."""
        self.lost = True
        for gate in self._held.values():
            gate.set()

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        self._called("pinned")
        return np.zeros(shape, dtype)

    def allocate(self, n_bytes: int) -> int:
        self._called("allocate")
        address = next(self._addresses)
        self.memory[address] = np.full(n_bytes, 0xA5, np.uint8)  # fresh memory holds anything but zeros
        return address

    def free_bytes(self) -> int:
        return 2**30 - sum(len(each) for each in self.memory.values())

    def stream(self) -> HostStream:
        self._called("stream")
        self.streams.append(HostStream(self, len(self.streams) + 1))
        return self.streams[-1]

    def event(self, *, timed: bool = False) -> HostEvent:
        return HostEvent(self)

    def elapsed_ms(self, start: HostEvent, end: HostEvent) -> float:
        assert start.reached.is_set() and end.reached.is_set()
        return (end.at_s - start.at_s) * 1e3

    def record(self, event: HostEvent, stream: HostStream) -> None:
        self._called("record")
        reached = event.reached = threading.Event()

        def mark() -> None:
            event.at_s = time.perf_counter()
            reached.set()

        stream.give("mark", mark)

    def wait(self, stream: HostStream, event: HostEvent) -> None:
        self._called("wait")
        reached = event.reached
        stream.give("wait", lambda: self._wait_for(reached))

    def copy_in(self, address: int, source: NDArray[Any], stream: HostStream) -> None:
        self._called("copy_in")
        assert source.flags.c_contiguous

        def copy() -> None:
            self.memory[address][: source.nbytes] = source.view(np.uint8).reshape(-1)

        stream.give("copy_in", copy)

    def copy_out(self, target: NDArray[Any], address: int, stream: HostStream) -> None:
        self._called("copy_out")

        def copy() -> None:
            target[...] = self.memory[address][: target.nbytes].view(target.dtype).reshape(target.shape)

        stream.give("copy_out", copy)

    def capture(self, stream: HostStream, work: Work) -> HostGraph:
        self._called("capture")
        if self.refuse_capture:
            raise CaptureRefused("the emulated driver refuses to capture")
        stream.captured = []
        try:
            work()
        finally:
            captured, stream.captured = stream.captured, None
        self.graphs.append(HostGraph(captured))
        return self.graphs[-1]

    def close(self) -> None:
        assert threading.get_ident() == self.thread, "closed by another thread than the one that opened it"
        for stream in self.streams:
            stream.end()
        self.memory.clear()
        self.closed = True

    def abandon(self, *users: object) -> None:
        self.abandoned = True

    def _wait_for(self, reached: threading.Event) -> None:
        while not reached.wait(0.01) and not self.lost:
            pass

    def _called(self, name: str) -> None:
        assert threading.get_ident() == self.thread, f"{name} was called by another thread than the one that opened it"
        if self.lost:
            raise EngineError(LOST)
        if name in self.fail:
            self.fail[name] -= 1
            if self.fail[name] < 0:
                raise EngineError(f"the emulated device failed at {name}; restart the edge.")


Answer = Callable[[NDArray[np.uint8]], RawDetections]


@dataclass
class HostNetwork:
    """`Network` whose inference is a Python function of the frames, run by the emulated stream on the emulated memory."""

    device: HostDevice
    frame_shape: tuple[int, int]
    answer: Answer
    scratch_bytes: int = 64
    fail_enqueue_after: int | None = None
    bound: list[int] = field(default_factory=list)
    scratches: set[int] = field(default_factory=set)
    running: int = 0
    closed: bool = False

    def bind(self, n: int, addresses: Mapping[str, int], scratch: int) -> Callable[[int], None]:
        self.bound.append(n)
        self.scratches.add(scratch)
        height_px, width_px = self.frame_shape

        def infer() -> None:
            assert self.running == 0, "two inferences shared one scratch memory at the same time"
            self.running += 1
            frames = self.device.memory[addresses["frames"]][: n * height_px * width_px * 3].reshape(n, height_px, width_px, 3)
            found = self.answer(frames)
            for name in ("boxes", "scores", "labels"):
                flat = np.ascontiguousarray(getattr(found, name)).view(np.uint8).reshape(-1)
                self.device.memory[addresses[name]][: len(flat)] = flat
            self.running -= 1

        def enqueue(stream_handle: int) -> None:
            if self.fail_enqueue_after is not None:
                self.fail_enqueue_after -= 1
                if self.fail_enqueue_after < 0:
                    raise EngineError("the emulated engine did not start a batch (scripted); restart the edge.")
            self.device.streams[stream_handle - 1].give("infer", infer)

        return enqueue

    def close(self) -> None:
        assert not self.device.closed, "a network must be given back while its device is still there"
        self.closed = True
