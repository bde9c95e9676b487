"""From an FP16 graph to a plan, by TensorRT or TensorRT for RTX."""

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Protocol, cast

from builder.trt_builder_api import (
    Builder,
    BuilderModule,
    IBuilderConfig,
    INetworkDefinition,
    RtxBuilderModule,
    RtxIBuilderConfig,
)
from edge.contracts.engine_files import RUNTIME_NAMES, BuildRequest, GpuRuntime
from edge.contracts.errors import EngineError
from edge.engine.base import INPUT
from edge.engine.trt.runtime import Messages, load_runtime

_INSTALL = "compare driver and TensorRT with docs/install-gpu.md."
_REPORT = "report this with the log of --log-level debug."


class BuildWatch(Protocol):
    """Hears of a build's phases; they nest, and each has a number of steps."""

    def started(self, phase: str, parent: str | None, n_steps: int) -> None: ...

    def finished(self, phase: str) -> None: ...

    def stepped(self, phase: str, step: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Built:
    """A plan, what its network computes in, the timing cache after it (empty where the runtime has none), and whether another
    build gave the same bytes."""

    plan: bytes
    layer_precisions: dict[str, str]
    convolutions: int
    convolutions_half: int
    timing_cache: bytes
    reproduced: bool = False


def load_builder(runtime: GpuRuntime) -> BuilderModule:
    """Raises `EngineError` when the runtime is not installed, or only the part of it that runs engines is."""
    module = load_runtime(runtime)
    if not hasattr(module, "Builder"):
        raise EngineError(f"{RUNTIME_NAMES[runtime]} is installed without its builder; see docs/install-gpu.md.")
    return cast(BuilderModule, module)


def known_targets(runtime: GpuRuntime) -> list[str]:
    """GPU generations that can be built for without having one, as SM86; none for TensorRT."""
    members = getattr(getattr(load_builder(runtime), "ComputeCapability", None), "__members__", {})
    return [name for name in members if name.startswith("SM")]


def optimal_batch(max_batch: int) -> int:
    """The batch kernels are chosen for: half the largest, since a scanner that keeps up rarely fills its batches."""
    return max(1, max_batch // 2)


def build_plan(graph: bytes, request: BuildRequest, watch: BuildWatch, timing_cache: bytes = b"") -> Built:
    """Build `graph` (ONNX with its FP16 in it) as `request` says.

    Raises `EngineError` with TensorRT's own last words when it refuses, and when a convolution would not run in FP16.
    """
    module = load_builder(request.runtime)
    name = f"{RUNTIME_NAMES[request.runtime]} {module.__version__}"
    messages = Messages(module)
    builder = messages.made(lambda: module.Builder(messages.logger), f"{name} gives no builder", _INSTALL)
    # Which bit it is differs between versions.
    strongly_typed = 1 << int(module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = messages.made(lambda: builder.create_network(strongly_typed), f"{name} gives no network", _INSTALL)
    _parse(module, network, graph, messages, name)
    precisions, convolutions = _walk(module, network)
    half = sum(precision == "HALF" for precision in convolutions.values())
    if half < len(convolutions):
        others = sorted(layer for layer, precision in convolutions.items() if precision != "HALF")
        raise EngineError(f"{len(others)} convolutions would not run in FP16 (first: {others[0]}); {_REPORT}")
    config = messages.made(builder.create_builder_config, f"{name} gives no configuration", _INSTALL)
    _configure(module, builder, config, request, messages, name)
    keeps_times = _set_timing_cache(config, request.runtime, timing_cache)
    # Its threads would call into Python between TensorRT's own allocations, and on those the bytes of an RTX plan depend.
    monitor = _monitor(module, watch) if request.runtime == "tensorrt" else None
    if monitor is not None:
        config.progress_monitor = monitor
    watch.started("Building", None, 1)
    plan = builder.build_serialized_network(network, config)
    watch.finished("Building")
    del monitor  # it had to live until here
    if plan is None:
        raise messages.failure(f"{name} did not build the engine", "raise --workspace-mib if it ran out of memory.")
    cache = config.get_timing_cache() if keeps_times else None
    times = cache.serialize() if cache is not None else None
    return Built(bytes(plan), precisions, len(convolutions), half, bytes(times) if times is not None else b"")


def _parse(module: BuilderModule, network: INetworkDefinition, graph: bytes, messages: Messages, name: str) -> None:
    parser = messages.made(lambda: module.OnnxParser(network, messages.logger), f"{name} gives no ONNX parser", _INSTALL)
    if not parser.parse(graph):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        said = (
            "; ".join(f"{each.node_operator()} {each.node_name()}: {each.desc()}" for each in errors[:3]) or "no reason given"
        )
        raise EngineError(f"{name} cannot read the graph ({said}); export the bundle again with `leuko-train export`.")
    if network.num_inputs != 1 or network.get_input(0).name != INPUT:
        raise EngineError(f"{name} reads other inputs than {INPUT!r} from the graph; export it with `leuko-train export`.")


def _walk(module: BuilderModule, network: INetworkDefinition) -> tuple[dict[str, str], dict[str, str]]:
    """Type of every layer's first output by the layer's name; then the same of the convolutions alone."""
    kinds = (module.LayerType.CONVOLUTION, module.LayerType.DECONVOLUTION)
    precisions: dict[str, str] = {}
    convolutions: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        seen[layer.name] += 1
        label = layer.name if seen[layer.name] == 1 else f"{layer.name} #{seen[layer.name]}"
        precision = str(layer.get_output(0).dtype).rsplit(".", 1)[-1] if layer.num_outputs else "NONE"
        precisions[label] = precision
        if layer.type in kinds:
            convolutions[label] = precision
    return precisions, convolutions


def _configure(
    module: BuilderModule,
    builder: Builder,
    config: IBuilderConfig,
    request: BuildRequest,
    messages: Messages,
    name: str,
) -> None:
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, request.workspace_mib * 2**20)
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    profile = messages.made(builder.create_optimization_profile, f"{name} gives no profile", _INSTALL)
    frame = (request.frame_height_px, request.frame_width_px, 3)
    profile.set_shape(INPUT, *((n, *frame) for n in (1, optimal_batch(request.max_batch), request.max_batch)))
    if config.add_optimization_profile(profile) < 0:
        raise messages.failure(
            f"{name} refuses frames of {frame[1]} x {frame[0]} px in batches of {request.max_batch}", _REPORT
        )
    if request.runtime == "tensorrt_rtx":
        rtx = cast(RtxBuilderModule, module)
        config.set_flag(rtx.BuilderFlag.REQUIRE_USER_ALLOCATION)
        _set_targets(rtx, cast(RtxIBuilderConfig, config), request.targets, messages)


def _set_targets(module: RtxBuilderModule, config: RtxIBuilderConfig, targets: tuple[str, ...], messages: Messages) -> None:
    if not targets:
        return  # the GPU of this machine
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        if not config.set_compute_capability(getattr(module.ComputeCapability, target), index):
            raise messages.failure(f"TensorRT for RTX cannot build for {target}", "name other targets.")


def _set_timing_cache(config: IBuilderConfig, runtime: GpuRuntime, times: bytes) -> bool:
    """Whether the build keeps the times it measures."""
    if runtime != "tensorrt":
        return False  # TensorRT for RTX measures nothing: it compiles on the GPU that runs the engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for content in (times, b""):  # times of another GPU or version are refused; then it begins with none
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
                return True
    return False


def _monitor(module: BuilderModule, watch: BuildWatch) -> object:
    base = module.IProgressMonitor

    def phase_start(_: object, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        watch.started(phase_name, parent_phase, num_steps)

    def phase_finish(_: object, phase_name: str) -> None:
        watch.finished(phase_name)

    def step_complete(_: object, phase_name: str, step: int) -> bool:
        watch.stepped(phase_name, step)
        return True

    body = {"phase_start": phase_start, "phase_finish": phase_finish, "step_complete": step_complete}
    monitor: object = type("Monitor", (base,), {"__init__": base.__init__, **body})()
    return monitor
