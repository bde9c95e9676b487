"""The engine on an accelerator: copies in, inference and copies out of different slots run side by side.

    stream "in"     | slot 0 | slot 1 | slot 2 | slot 0 |
    stream "run"             | slot 0 | slot 1 | slot 2 |
    stream "out"                      | slot 0 | slot 1 |

Each slot has page-locked arrays that are written and read in place, device memory of its own, and for every batch size in
`batch_ladder` a context bound to that memory and captured as one graph. Inference is one stream, so that all contexts share one
scratch memory and batches finish in the order in which they were submitted.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError
from edge.engine.base import INPUT, EngineInfo, SlotBook, check_values, expected_outputs
from edge.engine.gpu.base import CaptureRefused, Device, Event, Graph, Stream

KEEP_WARM_S = 1.0
"""After so long without work a frame is run for nothing: GPUs clock down, and the first batch after a pause took 18 to 92 ms
where one takes 1 ms (reports of frigate and roboflow/inference users)."""

DEADLINE_S = 10.0
"""A batch takes milliseconds; an accelerator that gives no answer for so long will give none."""

_SPIN_S = 0.001
_NAP_S = 0.00005

_log = logging.getLogger(__name__)


class Network(Protocol):
    """A loaded network, which runs on addresses of the device."""

    @property
    def scratch_bytes(self) -> int: ...

    def bind(self, n: int, addresses: Mapping[str, int], scratch: int) -> Callable[[int], None]:
        """Prepare `n` frames at these addresses; call the result with a stream's handle to enqueue one inference."""
        ...

    def close(self) -> None:
        """Give everything back. Only when nothing of it runs any more."""
        ...


@dataclass(frozen=True, slots=True)
class _Slot:
    frames: Image
    outputs: dict[str, NDArray[Any]]
    addresses: dict[str, int]
    copied_in: Event
    computed: Event
    copied_out: Event
    runs: dict[int, Callable[[Stream], None]]


def batch_ladder(max_batch: int) -> list[int]:
    """Batch sizes that are prepared: 1, 2, 4, 8, ... and `max_batch`. A batch runs at the next size, its last rows unused."""
    return sorted({size for size in (2**power for power in range(9)) if size < max_batch} | {max_batch})


class PipelinedEngine:
    """`Engine` on a `Device`. Once a call to the device failed or a deadline passed, every further call says so.

    Raises `EngineError` when memory is short or the network does not run. Takes over `device` and `network` and closes
    them, also on failure.
    """

    def __init__(
        self,
        device: Device,
        network: Network,
        info: EngineInfo,
        *,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device, self._network, self._info = device, network, info
        self._deadline_s, self._clock = deadline_s, clock
        self._broken: EngineError | None = None
        self._is_closed = False
        self._graphs: list[Graph] = []
        self._refusals: list[str] = []
        self._slots: list[_Slot] = []
        try:
            self._in, self._run, self._out = device.stream(), device.stream(), device.stream()
            scratch = device.allocate(max(1, network.scratch_bytes))
            for _ in range(info.slots):
                self._slots.append(self._new_slot(scratch))
        except BaseException:
            self._release()
            raise
        if self._refusals:
            n_refused, n_prepared = len(self._refusals), len(self._refusals) + len(self._graphs)
            _log.warning(
                "%d of %d prepared batches run without a CUDA graph, which takes the processor longer: %s",
                n_refused,
                n_prepared,
                self._refusals[0],
            )
        self._book = SlotBook(info)
        self._last_work_s = clock()

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def graphs(self) -> int:
        """How many of the prepared batches run as one captured graph; the others are enqueued piece by piece."""
        return len(self._graphs)

    def slot(self, index: int) -> Image:
        return self._slots[index].frames

    def submit(self, index: int, n: int) -> None:
        self._check_alive()
        self._book.submit(index, n)
        slot = self._slots[index]
        rows = next(size for size in slot.runs if size >= n)
        with self._breaking():
            self._device.copy_in(slot.addresses[INPUT], slot.frames[:n], self._in)
            self._device.record(slot.copied_in, self._in)
            self._device.wait(self._run, slot.copied_in)
            slot.runs[rows](self._run)
            self._device.record(slot.computed, self._run)
            self._device.wait(self._out, slot.computed)
            for name, target in slot.outputs.items():
                self._device.copy_out(target[:n], slot.addresses[name], self._out)
            self._device.record(slot.copied_out, self._out)
        self._last_work_s = self._clock()

    def collect(self, index: int) -> RawDetections:
        n = self._book.collect(index)
        self._check_alive()
        slot = self._slots[index]
        with self._breaking():
            self._await(slot.copied_out)
        self._last_work_s = self._clock()
        raw = RawDetections(*(slot.outputs[name][:n].copy() for name in ("boxes", "scores", "labels")))
        check_values(raw)
        return raw

    def keep_warm(self) -> None:
        """Run one frame for nothing when the last work was long ago and nothing is in flight."""
        if self._broken or self._book.in_flight() or self._clock() - self._last_work_s < KEEP_WARM_S:
            return
        slot = self._slots[0]
        with self._breaking():
            slot.runs[1](self._run)
            self._device.record(slot.computed, self._run)
            self._await(slot.computed)
        self._last_work_s = self._clock()

    def inference_only_ms(self, n: int, repeats: int) -> float:
        """Milliseconds of one batch of `n` frames, one after the other without copies: what a loop can reach at best.

        By the device's own clock. Nothing may be in flight. Raises `EngineError`.
        """
        self._check_alive()
        if flying := self._book.in_flight():
            raise ValueError(f"slots {flying} are in flight, and the time of their batches would be counted too")
        slot = self._slots[0]
        run = slot.runs[next(size for size in slot.runs if size >= n)]
        start, end = self._device.event(timed=True), self._device.event(timed=True)
        with self._breaking():
            self._device.record(start, self._run)
            for _ in range(repeats):
                run(self._run)
            self._device.record(end, self._run)
            self._await(end, batches=repeats)
            return self._device.elapsed_ms(start, end) / repeats

    def close(self) -> None:
        """Wait for what is in flight, then give everything back. A broken device is left as it is: freeing waits for ever.

        Safe to repeat: another engine may be open on this device by then."""
        if self._is_closed:
            return
        self._is_closed = True
        for index in self._book.in_flight():
            try:
                self.collect(index)
            except EngineError as problem:
                _log.debug("a batch in flight at the end was lost", exc_info=problem)
        self._release()

    def _new_slot(self, scratch: int) -> _Slot:
        device, info = self._device, self._info
        frames = device.pinned((info.max_batch, info.frame_height_px, info.frame_width_px, 3), np.uint8)
        outputs = {
            name: device.pinned((info.max_batch, *shape), kind) for name, (shape, kind) in expected_outputs(info.top_k).items()
        }
        addresses = {name: device.allocate(array.nbytes) for name, array in {INPUT: frames, **outputs}.items()}
        slot = _Slot(frames, outputs, addresses, device.event(), device.event(), device.event(), {})
        for n in batch_ladder(info.max_batch):
            slot.runs[n] = self._prepare(self._network.bind(n, addresses, scratch), slot.computed)
        return slot

    def _prepare(self, enqueue: Callable[[int], None], event: Event) -> Callable[[Stream], None]:
        """Capture one inference as a graph; where that is refused it stays an enqueue, which takes the processor longer."""

        def plain(stream: Stream) -> None:
            enqueue(stream.handle)

        self._once(plain, event)  # the first run may allocate, and nothing may be allocated during a capture
        run: Callable[[Stream], None] = plain
        try:
            graph = self._device.capture(self._run, lambda: enqueue(self._run.handle))
        except CaptureRefused as problem:
            self._refusals.append(f"{problem}")
        else:
            self._graphs.append(graph)
            run = graph.launch
        self._once(run, event)
        return run

    def _once(self, run: Callable[[Stream], None], event: Event) -> None:
        with self._breaking():
            run(self._run)
            self._device.record(event, self._run)
            self._await(event)

    def _await(self, event: Event, batches: int = 1) -> None:
        """Poll: a wait inside the driver has no deadline. First without sleeping, as long as a batch usually takes."""
        begun_s = time.monotonic()
        while not event.is_done():
            waited_s = time.monotonic() - begun_s
            if waited_s > self._deadline_s * batches:
                raise EngineError(
                    f"{self._device.name} did not finish a batch within {self._deadline_s:g} s; restart the edge, and see the "
                    "kernel's log for Xid messages if it happens again."
                )
            time.sleep(_NAP_S if waited_s > _SPIN_S else 0)  # either way other threads may run

    def _check_alive(self) -> None:
        if self._broken is not None:
            raise EngineError(str(self._broken)) from self._broken

    @contextmanager
    def _breaking(self) -> Iterator[None]:
        try:
            yield
        except EngineError as problem:
            self._broken = problem
            raise

    def _release(self) -> None:
        if self._broken is not None:
            self._device.abandon(self._network, self._graphs)
            return
        for graph in self._graphs:
            graph.close()
        self._graphs.clear()
        for slot in self._slots:
            slot.runs.clear()
        self._network.close()
        self._device.close()
