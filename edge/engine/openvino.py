"""The embedded engine: OpenVINO on the CPU.

The graph is compiled once, for one frame. A batch is so many requests in a row: on a CPU a batched graph was at most 3 % faster
per frame (YOLOv3-tiny-416, two cores), while one graph per batch size costs its memory and compile time again.

All cores compute one frame after the other (`latency`), or several side by side, with fewer cores each (`throughput`): more per
second, each for itself later. Which of both is asked of a run's purpose; the results are the same to the last bit.
"""

import ctypes
import math
import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.bundle import Bundle
from edge.contracts.choices import HintTaken, Precision
from edge.contracts.detections import Image, RawDetections
from edge.contracts.engine_files import Gate, GateSight
from edge.contracts.errors import EngineError
from edge.engine.base import INPUT, EngineInfo, Parity, SlotBook, check_outputs, check_values, expected_outputs
from edge.engine.quantised_gate import INT8

# Imported as it comes, OpenVINO asks a public analytics server at every start, writes an id into the home directory, and waits
# seconds for an answer where packets are dropped. Without this package it takes a stand-in of its own that does nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402

_DEVICE = "CPU"
_HINT = "INFERENCE_PRECISION_HINT"
_TYPES = {"bf16": ov.Type.bf16, "f32": ov.Type.f32}
_NUMPY_NAMES = {"f32": "float32", "i32": "int32"}
_SS_DISABLE = 2  # signal.h on Linux


class OpenVinoEngine:
    """`Engine` on OpenVINO. Slots are preallocated and the requests read them in place, without a copy.

    Raises `EngineError` when the graph does not load or compile, breaks the contract, or `precision` is not to be had: "bf16"
    needs a CPU that computes it natively, "auto" takes bf16 there and f32 elsewhere. An int8 bundle computes in int8, and in
    f32 what is not quantised: its gate was passed with these. `parity` is what that gate said, for the caller to judge, and
    `gate_saw` how its fields were corrected. Without `slots` there are as many as keep every stream busy, and one more to write
    into.

    OpenCV works in one thread from then on: its own would wait for cores that this engine computes on (two cores, the shipped
    model: a look at a field took 1.6 ms instead of 0.5).
    """

    def __init__(
        self,
        bundle: Bundle,
        frame_width_px: int,
        frame_height_px: int,
        *,
        max_batch: int = 1,
        slots: int | None = None,
        precision: Precision = "auto",
        threads: int | None = None,
        hint: HintTaken = "latency",
        parity: Parity = "not_needed",
        precision_gate: Gate | None = None,
        gate_saw: GateSight | None = None,
    ) -> None:
        name, top_k = bundle.manifest.name, bundle.manifest.top_k
        core = ov.Core()
        wanted = _precision_of(bundle, precision, core)
        compiled = _compile(core, bundle, (1, frame_height_px, frame_width_px, 3), wanted, threads, hint)
        check_outputs(_outputs_of(compiled), top_k, name)
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        if slots is None:
            slots = 1 + math.ceil(streams / max_batch)
        self._slots: list[Image] = [np.zeros((max_batch, frame_height_px, frame_width_px, 3), np.uint8) for _ in range(slots)]
        self._requests = [[_bind(compiled, slot[k : k + 1]) for k in range(max_batch)] for slot in self._slots]
        self._info = EngineInfo(
            runtime="OpenVINO",
            version=_version(),
            device=_device_name(core),
            precision=wanted,
            frame_width_px=frame_width_px,
            frame_height_px=frame_height_px,
            max_batch=max_batch,
            slots=slots,
            top_k=top_k,
            hint=hint,
            streams=streams,
            parity=parity,
            precision_gate=precision_gate,
            gate_saw=gate_saw,
        )
        self._book = SlotBook(self._info)
        cv2.setNumThreads(1)
        # The first inference allocates and packs weights; a run must not begin with it.
        self.submit(0, 1)
        self._wait(0)
        use_thread_stack_for_signals()

    @property
    def info(self) -> EngineInfo:
        return self._info

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        self._book.submit(index, n)
        try:
            for request in self._requests[index][:n]:
                request.start_async()
        except RuntimeError as problem:
            raise EngineError(f"OpenVINO did not start an inference ({_reason(problem)}); restart the edge.") from problem

    def collect(self, index: int) -> RawDetections:
        raw = self._wait(index)
        check_values(raw)
        return raw

    def keep_warm(self) -> None:
        """A CPU needs none."""

    def close(self) -> None:
        """Wait for what is in flight, then give the requests and the compiled graph back."""
        for index in self._book.in_flight():
            self._wait(index)
        self._requests.clear()

    def _wait(self, index: int) -> RawDetections:
        n = self._book.collect(index)
        rows: dict[str, list[NDArray[Any]]] = {name: [] for name in expected_outputs(self._info.top_k)}
        failure: RuntimeError | None = None
        for request in self._requests[index][:n]:
            try:
                request.wait()
                for name, parts in rows.items():
                    parts.append(request.get_tensor(name).data)
            except RuntimeError as problem:
                # The other requests of this slot must end too before anyone writes into it again.
                failure = problem
        if failure is not None:
            raise EngineError(f"OpenVINO failed to run a frame ({_reason(failure)}); restart the edge.") from failure
        # concatenate copies: the requests' own arrays are overwritten by the next inference
        return RawDetections(*(np.concatenate(rows[name]) for name in ("boxes", "scores", "labels")))


def loaded_openvino() -> Any:  # noqa: ANN401 it has no types
    """OpenVINO itself, loaded as above: for whoever measures or inspects a graph."""
    return ov


def look_at_cpu() -> tuple[str, str, str]:
    """OpenVINO's version, the CPU's name, and what `precision` "auto" is on it. Raises RuntimeError when it has no CPU."""
    core = ov.Core()
    return _version(), _device_name(core), _choose("auto", core)


def _version() -> str:
    return str(ov.__version__).split("-")[0]


def _device_name(core: ov.Core) -> str:
    return str(core.get_property(_DEVICE, "FULL_DEVICE_NAME")).strip()


def _choose(precision: Precision, core: ov.Core) -> str:
    native = "BF16" in core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and not native:
        # OpenVINO would accept it all the same and emulate it, slowly.
        raise EngineError("precision bf16 was asked for but this CPU does not compute it natively; use f32 or auto.")
    if precision == "auto":
        return "bf16" if native else "f32"
    return precision


def hint_of(precision: str) -> str:
    """OpenVINO's hint for an `EngineInfo.precision`: beside its int8 layers an int8 graph computes in f32."""
    return "f32" if precision == INT8 else precision


def thread_settings(threads: int | None) -> dict[str, int | bool]:
    """OpenVINO's settings for so many threads; None: all cores.

    Who gives fewer has other work for the rest, often more of these processes: OpenVINO would tie the threads of each to the
    same first cores.
    """
    return {} if threads is None else {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}


def _precision_of(bundle: Bundle, asked: Precision, core: ov.Core) -> str:
    if bundle.manifest.quantisation is None:
        return _choose(asked, core)
    if asked != "auto":
        raise EngineError(
            f"bundle {bundle.manifest.name} is an int8 one and precision {asked} was asked for; leave it at auto, or run "
            "its parent."
        )
    return INT8


def _compile(
    core: ov.Core,
    bundle: Bundle,
    shape: tuple[int, int, int, int],
    precision: str,
    threads: int | None,
    hint: HintTaken,
) -> ov.CompiledModel:
    settings: dict[str, str | int] = {_HINT: hint_of(precision), "PERFORMANCE_HINT": hint.upper()}
    if hint == "latency":
        settings["NUM_STREAMS"] = 1  # all cores for one field, also where they are of several sockets
    settings |= thread_settings(threads)
    try:
        model = core.read_model(bundle.read_model())
        names = [name for port in model.inputs for name in port.get_names()]
        if names != [INPUT] or model.inputs[0].get_element_type() != ov.Type.u8:
            raise EngineError(
                f"the graph of bundle {bundle.manifest.name} must have one input {INPUT!r} of uint8, not {names}; "
                "export it with `leuko-train export`."
            )
        model.reshape({INPUT: list(shape)})
        compiled = core.compile_model(model, _DEVICE, settings)
    except RuntimeError as problem:
        raise EngineError(
            f"OpenVINO cannot use the graph of bundle {bundle.manifest.name} for frames of {shape[2]} x {shape[1]} px "
            f"({_reason(problem)}); export it again or give frames of another size."
        ) from problem
    got = compiled.get_property(_HINT)
    if got != _TYPES[hint_of(precision)]:
        raise EngineError(
            f"OpenVINO computes in {got.to_string()} although {precision} was asked for; choose another precision."
        )
    return compiled


def _outputs_of(compiled: ov.CompiledModel) -> dict[str, tuple[tuple[int, ...], str]]:
    found = {}
    for port in compiled.outputs:
        kind = port.get_element_type().get_type_name()
        shape = tuple(length.get_length() if length.is_static else -1 for length in port.get_partial_shape())
        for name in port.get_names():
            found[name] = (shape[1:], _NUMPY_NAMES.get(kind, kind))
    return found


def _bind(compiled: ov.CompiledModel, frame: Image) -> ov.InferRequest:
    request = compiled.create_infer_request()
    request.set_tensor(INPUT, ov.Tensor(frame, shared_memory=True))
    return request


def _reason(problem: RuntimeError) -> str:
    """The last line of OpenVINO's message: the ones before it are places in its source."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


class _Stack(ctypes.Structure):
    """`stack_t`."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack_size() -> int:
    """Bytes of the stack that signal handlers of this thread have for themselves; 0 when they run on the thread's own."""
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return 0 if stack.flags & _SS_DISABLE else int(stack.size)


def use_thread_stack_for_signals() -> None:
    """Run signal handlers of this thread on its own stack. Nothing to do on other systems than Linux.

    On a CPU with wide registers OpenVINO gives the thread that compiles a model a stack of its own for signal handlers, and
    puts the former one back when the model goes. Of two models that overlap, the second puts back the first one's, which is
    freed by then: the next signal, a SIGTERM that should end a run in order, is a segmentation fault. Python's handlers need
    no such stack.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(None, _SS_DISABLE, 0)), None)
