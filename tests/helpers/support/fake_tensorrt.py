"""EMULATION of TensorRT's module, as far as an engine uses it, that fails where it is told to: no plan is ever run by it."""

import enum
from dataclasses import dataclass, field
from typing import Any, ClassVar


class _Severity(enum.Enum):
    ERROR = 1
    INFO = 3


class FakeLogger:
    """TensorRT refuses a logger whose base was not initialised."""

    def __init__(self) -> None:
        self.ready = True

    def log(self, severity: object, msg: str) -> None:
        raise NotImplementedError


@dataclass
class FakeContext:
    """Remembers what it was given. `refuses` is the call that returns False."""

    module: "FakeTensorRt"
    given: dict[str, object] = field(default_factory=dict)

    def set_device_memory(self, memory: int, size: int) -> None:
        self.given["scratch"] = (memory, size)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.given[name] = shape
        return self.module.status("set_input_shape")

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.given[f"{name} at"] = memory
        return self.module.status("set_tensor_address")

    def infer_shapes(self) -> list[str]:
        return [] if self.module.status("infer_shapes") else ["um_per_px"]

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.given["stream"] = stream_handle
        return self.module.status("execute_async_v3")


@dataclass
class FakeEngine:
    """Ports as the graph's contract has them, changed by `module.ports`."""

    module: "FakeTensorRt"

    @property
    def num_io_tensors(self) -> int:
        return len(self.module.ports)

    @property
    def device_memory_size_v2(self) -> int:
        return 4096

    def get_tensor_name(self, index: int) -> str:
        return list(self.module.ports)[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "frames" else "out"

    def get_tensor_dtype(self, name: str) -> str:
        return self.module.ports[name][1]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.module.ports[name][0]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        _, height, width, channels = self.module.ports[name][0]
        return [(n, height, width, channels) for n in (1, 4, self.module.max_batch)]

    def create_execution_context(self, strategy: object) -> FakeContext | None:
        assert strategy == "user managed"
        if not self.module.status("create_execution_context"):
            return None
        self.module.contexts.append(FakeContext(self.module))
        return self.module.contexts[-1]


class FakeTensorRt:
    """Stands for the module `tensorrt`."""

    __version__ = "10.13.3.9"
    ILogger = FakeLogger

    class DataType:
        """Any values: the source must look them up."""

        FLOAT, HALF, INT32, UINT8 = "f", "h", "i", "u"

    class TensorIOMode:
        """Likewise."""

        INPUT, OUTPUT = "in", "out"

    class ExecutionContextAllocationStrategy:
        """Likewise."""

        USER_MANAGED = "user managed"

    PORTS: ClassVar[dict[str, tuple[tuple[int, ...], str]]] = {
        "frames": ((-1, 128, 160, 3), "u"),
        "boxes": ((-1, 256, 4), "f"),
        "scores": ((-1, 256), "f"),
        "labels": ((-1, 256), "i"),
    }

    def __init__(self, refuses: str = "", **ports: Any) -> None:  # noqa: ANN401 - shape and type
        self.refuses = refuses
        self.max_batch = 8
        self.ports = {name: port for name, port in (self.PORTS | ports).items() if port is not None}
        self.contexts: list[FakeContext] = []
        self.loaded: list[bytes] = []
        self._logger: FakeLogger | None = None

    def status(self, call: str) -> bool:
        """False, after a word to the logger, for the call that is to be refused."""
        if call != self.refuses:
            return True
        assert self._logger is not None
        self._logger.log(_Severity.INFO, "nothing to see here")
        self._logger.log(_Severity.ERROR, f"IExecutionContext::{call}: Error Code 3:\n  scripted refusal")
        return False

    def Runtime(self, logger: FakeLogger) -> Any:  # noqa: ANN401, N802 - TensorRT's name
        assert logger.ready
        self._logger = logger
        if not self.status("Runtime"):
            raise TypeError("pybind11::init(): factory function returned nullptr")  # as the real bindings do
        return self

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> FakeEngine | None:
        self.loaded.append(serialized_engine)
        return FakeEngine(self) if self.status("deserialize_cuda_engine") else None
