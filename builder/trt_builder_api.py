"""All of TensorRT's API that the builder uses, as types: the same in 10.3 to 11.x and in TensorRT for RTX.

Names are TensorRT's own; `edge/engine/trt/runtime_api.py` says how this file is held against the real bindings. What only
TensorRT for RTX has is in the types named Rtx, and is asked for before it is used.
"""

from collections.abc import Callable
from typing import Any, Protocol

from edge.engine.trt.runtime_api import EngineModule


class NetworkDefinitionCreationFlag(Protocol):
    """Its values moved between versions."""

    STRONGLY_TYPED: Any


class MemoryPoolType(Protocol):
    """What a memory limit is for."""

    WORKSPACE: Any


class ProfilingVerbosity(Protocol):
    """How much of the layers a plan can tell."""

    DETAILED: Any


class LayerType(Protocol):
    """Kinds of layer that are asked for."""

    CONVOLUTION: Any
    DECONVOLUTION: Any


class ITensor(Protocol):
    """An edge of the network."""

    @property
    def name(self) -> str: ...

    @property
    def dtype(self) -> object: ...


class ILayer(Protocol):
    """A node of the network."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> object: ...

    @property
    def num_outputs(self) -> int: ...

    def get_output(self, index: int) -> ITensor: ...


class INetworkDefinition(Protocol):
    """A network as it was parsed."""

    @property
    def num_layers(self) -> int: ...

    @property
    def num_inputs(self) -> int: ...

    def get_layer(self, index: int) -> ILayer: ...

    def get_input(self, index: int) -> ITensor: ...


class ParserError(Protocol):
    """Why a graph was not parsed."""

    def desc(self) -> str: ...

    def node_name(self) -> str: ...

    def node_operator(self) -> str: ...


class OnnxParser(Protocol):
    """Reads ONNX."""

    @property
    def num_errors(self) -> int: ...

    def parse(self, model: bytes) -> bool: ...

    def get_error(self, index: int) -> ParserError: ...


class IOptimizationProfile(Protocol):
    """Shapes that an engine must take."""

    def set_shape(self, input: str, min: tuple[int, ...], opt: tuple[int, ...], max: tuple[int, ...]) -> None: ...


class IHostMemory(Protocol):
    """Bytes that TensorRT owns."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class ITimingCache(Protocol):
    """Measured times of earlier builds."""

    def serialize(self) -> IHostMemory | None: ...


class IBuilderConfig(Protocol):
    """How to build."""

    profiling_verbosity: Any
    progress_monitor: Any

    def set_memory_pool_limit(self, pool: object, pool_size: int) -> None: ...

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int: ...

    def set_flag(self, flag: object) -> None: ...

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None: ...

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool: ...

    def get_timing_cache(self) -> ITimingCache | None: ...


class Builder(Protocol):
    """Makes engines."""

    def create_network(self, flags: int) -> INetworkDefinition | None: ...

    def create_builder_config(self) -> IBuilderConfig | None: ...

    def create_optimization_profile(self) -> IOptimizationProfile | None: ...

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None: ...


class RtxIBuilderConfig(Protocol):
    """How to build, for GPUs that are not here."""

    num_compute_capabilities: int

    def set_compute_capability(self, compute_capability: object, index: int) -> bool: ...


class RtxBuilderFlag(Protocol):
    """A captured graph must not allocate."""

    REQUIRE_USER_ALLOCATION: Any


class RtxBuilderModule(Protocol):
    """The module `tensorrt_rtx`."""

    BuilderFlag: RtxBuilderFlag
    ComputeCapability: Any


NewBuilder = Callable[[object], Builder | None]
NewParser = Callable[[INetworkDefinition, object], OnnxParser | None]


class BuilderModule(EngineModule, Protocol):
    """The module `tensorrt` or `tensorrt_rtx`, as far as the builder uses it."""

    IProgressMonitor: type[Any]
    NetworkDefinitionCreationFlag: NetworkDefinitionCreationFlag
    MemoryPoolType: MemoryPoolType
    ProfilingVerbosity: ProfilingVerbosity
    LayerType: LayerType
    Builder: NewBuilder
    OnnxParser: NewParser
