"""All of TensorRT's API that the engine uses, as types: the same in 10.3 to 11.x and in TensorRT for RTX.

Names are TensorRT's own. mypy holds the source against this file, and a test holds this file against the real bindings: a name
that one of the runtimes lacks is found without a GPU. Values of enumerations differ between versions and are always looked up.
What only TensorRT for RTX has is in the types named Rtx, and is asked for before it is used.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class TensorIOMode(Protocol):
    """Whether a tensor goes in or out."""

    INPUT: Any


class DataType(Protocol):
    """Element types of this project's graphs."""

    FLOAT: Any
    INT32: Any
    UINT8: Any


class ExecutionContextAllocationStrategy(Protocol):
    """Who allocates a context's scratch memory."""

    USER_MANAGED: Any


class IExecutionContext(Protocol):
    """One way of running an engine: shapes, addresses, scratch memory."""

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...

    def infer_shapes(self) -> list[str]: ...

    def set_tensor_address(self, name: str, memory: int) -> bool: ...

    def set_device_memory(self, memory: int, size: int) -> None: ...

    def execute_async_v3(self, stream_handle: int) -> bool: ...


class ICudaEngine(Protocol):
    """A plan that was loaded."""

    @property
    def num_io_tensors(self) -> int: ...

    @property
    def device_memory_size_v2(self) -> int: ...

    def get_tensor_name(self, index: int) -> str: ...

    def get_tensor_mode(self, name: str) -> object: ...

    def get_tensor_dtype(self, name: str) -> object: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]: ...

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Sequence[Sequence[int]]: ...

    def create_execution_context(self, strategy: object) -> IExecutionContext | None: ...


class Runtime(Protocol):
    """Loads plans."""

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None: ...


class RtxDynamicShapesKernelSpecializationStrategy(Protocol):
    """When kernels for a shape are compiled."""

    EAGER: Any


class RtxIRuntimeConfig(Protocol):
    """How a context is made."""

    dynamic_shapes_kernel_specialization_strategy: Any

    def set_execution_context_allocation_strategy(self, strategy: object) -> None: ...


class RtxICudaEngine(Protocol):
    """A plan that was loaded, with what only TensorRT for RTX can do with it."""

    def create_runtime_config(self) -> RtxIRuntimeConfig: ...

    def create_execution_context(self, runtime_config: RtxIRuntimeConfig) -> IExecutionContext | None: ...


class RtxEngineModule(Protocol):
    """The module `tensorrt_rtx`."""

    DynamicShapesKernelSpecializationStrategy: RtxDynamicShapesKernelSpecializationStrategy


NewRuntime = Callable[[object], Runtime | None]


class EngineModule(Protocol):
    """The module `tensorrt` or `tensorrt_rtx`, as far as the engine uses it."""

    __version__: str
    ILogger: type[Any]
    DataType: DataType
    TensorIOMode: TensorIOMode
    ExecutionContextAllocationStrategy: ExecutionContextAllocationStrategy
    Runtime: NewRuntime
