"""The bundle's graph on OpenVINO with nothing around it, as OpenVINO's own benchmark_app runs it: the yardstick of every loop.

Asynchronous, with OpenVINO's own number of requests for the throughput and for the latency hint; the precision and the threads
of the engine that it is compared with. Once whole, once with the resize on the host, where it costs less than in the graph.
"""

import time
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np

from edge.bench.rounds import Contestant, Turn
from edge.contracts.bundle import Bundle
from edge.contracts.detections import Image
from edge.contracts.errors import EngineError
from edge.engine.base import INPUT
from edge.engine.openvino import hint_of, loaded_openvino, thread_settings, use_thread_stack_for_signals

Hint = Literal["THROUGHPUT", "LATENCY"]


class BareGraph:
    """One compiled graph and its requests. `images` are fields as the engine gets them, all of one size."""

    def __init__(
        self, bundle: Bundle, images: Sequence[Image], precision: str, threads: int | None, hint: Hint, *, resize_outside: bool
    ) -> None:
        asked = bundle.manifest
        self._images = images
        self._size = (asked.network_width_px, asked.network_height_px) if resize_outside else None
        height_px, width_px = (self._size[1], self._size[0]) if self._size else images[0].shape[:2]
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint_of(precision), "PERFORMANCE_HINT": hint}
        settings |= thread_settings(threads)
        try:
            core = loaded_openvino().Core()
            model = core.read_model(bundle.read_model())
            model.reshape({INPUT: [1, height_px, width_px, 3]})
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as problem:
            raise EngineError(f"OpenVINO cannot compile the bare graph of bundle {bundle.path}: {problem}") from problem
        self._buffers = [
            np.zeros((1, height_px, width_px, 3), np.uint8)
            for _ in range(int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")))
        ]
        self._requests = [self._bound(nth, buffer) for nth, buffer in enumerate(self._buffers)]
        use_thread_stack_for_signals()

    @property
    def n_requests(self) -> int:
        """How many are in flight at a time."""
        return len(self._requests)

    def run(self, n_fields: int) -> Turn:
        """`n_fields` inferences, as many in flight as there are requests."""
        began_ns = time.monotonic_ns()
        ends_ns: list[int] = []
        starts_ns = [0] * n_fields
        for index in range(n_fields + self.n_requests):
            nth = index % self.n_requests
            if 0 <= index - self.n_requests < n_fields:
                self._requests[nth].wait()
                ends_ns.append(time.monotonic_ns())
            if index < n_fields:
                starts_ns[index] = time.monotonic_ns()
                if self._size is not None:
                    cv2.resize(self._images[index % len(self._images)], self._size, dst=self._buffers[nth][0])
                self._requests[nth].start_async()
        calls_ms = [(end - start) / 1e6 for start, end in zip(starts_ns, ends_ns, strict=True)]
        return Turn((ends_ns[-1] - began_ns) / 1e6 / n_fields, calls_ms, [end / 1e6 for end in ends_ns])

    def _bound(self, nth: int, buffer: Image) -> Any:  # noqa: ANN401 OpenVINO has no types
        image = self._images[nth % len(self._images)]
        buffer[0] = image if self._size is None else cv2.resize(image, self._size)
        request = self._compiled.create_infer_request()
        request.set_tensor(INPUT, loaded_openvino().Tensor(buffer, shared_memory=True))
        return request


def bare_contestants(
    bundle: Bundle, images: Sequence[Image], precision: str, threads: int | None, *, outside: bool = True
) -> list[Contestant]:
    """Both hints, each with the resize inside the graph and, unless not `outside`, on the host. Raises `EngineError`."""
    found = []
    for resize_outside in (False, True) if outside else (False,):
        for hint, word in (("THROUGHPUT", "throughput"), ("LATENCY", "latency")):
            graph = BareGraph(bundle, images, precision, threads, hint, resize_outside=resize_outside)  # type: ignore[arg-type]
            where = "resize on the host" if resize_outside else "whole"
            name = f"bare_{word}" + ("_resize_outside" if resize_outside else "")
            what = f"bare graph, {where}, {word} hint, {graph.n_requests} in flight"
            found.append(Contestant(name, what, graph.run))
    return found
