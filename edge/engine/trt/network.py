"""A plan that was loaded: its ports checked, and contexts bound to fixed shapes and addresses."""

from collections.abc import Callable, Mapping
from typing import cast

from edge.contracts.engine_files import RUNTIME_NAMES, EngineFiles
from edge.contracts.errors import EngineError
from edge.engine.base import INPUT, check_outputs
from edge.engine.trt.runtime import Messages, load_runtime
from edge.engine.trt.runtime_api import ICudaEngine, IExecutionContext, RtxEngineModule, RtxICudaEngine

_INSTALL = "compare driver and TensorRT with docs/install-gpu.md."
_REBUILD = "build it again on this machine with `leuko-build engine`."


class TrtNetwork:
    """`Network` on TensorRT or TensorRT for RTX. A CUDA context must be current in the thread that uses it.

    Raises `EngineError` when the plan is damaged, does not load on this GPU, or breaks the graph's contract.
    """

    def __init__(self, files: EngineFiles) -> None:
        request = files.manifest.request
        self._module = load_runtime(request.runtime)
        self._messages = Messages(self._module)
        self._name = f"engine {files.path.name}"
        self.runtime, self.version = RUNTIME_NAMES[request.runtime], self._module.__version__
        plan = files.read_plan()
        made = self._messages.made
        self._runtime = runtime = made(
            lambda: self._module.Runtime(self._messages.logger), f"{self.runtime} does not start", _INSTALL
        )
        self._engine: ICudaEngine = made(
            lambda: runtime.deserialize_cuda_engine(plan),
            f"{self._name} cannot be loaded by {self.runtime} {self.version}",
            _REBUILD,
        )
        # A captured graph uses what its context owns, so contexts live as long as the network, whoever else drops them.
        self._contexts: list[IExecutionContext] = []
        self._shape = (0, request.frame_height_px, request.frame_width_px, 3)
        self._check(request.max_batch, files.manifest.top_k, files.manifest.bundle_name)
        self.scratch_bytes = self._engine.device_memory_size_v2

    def bind(self, n: int, addresses: Mapping[str, int], scratch: int) -> Callable[[int], None]:
        """A context for exactly `n` frames at these device addresses; call what is returned with a stream's handle to run it.

        All contexts may share one `scratch` (`scratch_bytes` of device memory) as long as they never run at the same time.
        Raises `EngineError`, here and when it is run.
        """
        context = self._messages.made(
            self._new_context, f"{self._name} gives no execution context", "free memory of the GPU and start again."
        )
        self._contexts.append(context)
        context.set_device_memory(scratch, self.scratch_bytes)
        if not context.set_input_shape(INPUT, (n, *self._shape[1:])):
            raise self._messages.failure(f"{self._name} refuses a batch of {n}", _REBUILD)
        for name, address in addresses.items():
            if not context.set_tensor_address(name, address):
                raise self._messages.failure(f"{self._name} refuses an address for {name}", _REBUILD)
        if unset := context.infer_shapes():
            raise self._messages.failure(f"{self._name} wants more inputs than the frames: {unset}", _REBUILD)

        def enqueue(stream_handle: int) -> None:
            if not context.execute_async_v3(stream_handle):
                raise self._messages.failure(f"{self._name} did not start a batch of {n}", "restart the edge.")

        return enqueue

    def close(self) -> None:
        """Give everything back, contexts first, while the CUDA context is still there. Nothing of it may run any more."""
        self._contexts.clear()
        del self._engine, self._runtime

    def _new_context(self) -> IExecutionContext | None:
        user_managed = self._module.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(self._module, "DynamicShapesKernelSpecializationStrategy"):
            return self._engine.create_execution_context(user_managed)
        # TensorRT for RTX compiles kernels on the GPU. By default it runs slow ones until others are ready, and a graph that
        # was captured meanwhile would keep the slow ones for ever.
        module, engine = cast(RtxEngineModule, self._module), cast(RtxICudaEngine, self._engine)
        settings = engine.create_runtime_config()
        settings.dynamic_shapes_kernel_specialization_strategy = module.DynamicShapesKernelSpecializationStrategy.EAGER
        settings.set_execution_context_allocation_strategy(user_managed)
        return engine.create_execution_context(settings)

    def _check(self, max_batch: int, top_k: int, bundle_name: str) -> None:
        engine, modes = self._engine, self._module.TensorIOMode
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == modes.INPUT]
        if inputs != [INPUT] or self._kind(INPUT) != "uint8":
            raise EngineError(f"{self._name} must have one input {INPUT!r} of uint8, not {inputs}; {_REBUILD}")
        largest = tuple(engine.get_tensor_profile_shape(INPUT, 0)[2])
        if largest != (max_batch, *self._shape[1:]):
            raise EngineError(f"{self._name} takes frames up to {list(largest)} and not what its manifest says; {_REBUILD}")
        outputs = {name: (tuple(engine.get_tensor_shape(name))[1:], self._kind(name)) for name in names if name not in inputs}
        check_outputs(outputs, top_k, bundle_name)

    def _kind(self, name: str) -> str:
        types, found = self._module.DataType, self._engine.get_tensor_dtype(name)
        for kind, known in (("float32", types.FLOAT), ("int32", types.INT32), ("uint8", types.UINT8)):
            if found == known:
                return kind
        return str(found)
