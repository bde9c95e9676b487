"""An inference server of the tests: emulation on tritonclient's own gRPC stubs, with a bundle's graph run by onnxruntime.

It answers what an edge asks: metadata, configuration, inference, shared memory. It can be slow, wrong, or gone.
"""

import mmap
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from builder.executors import CpuExecutor
from edge.contracts.bundle import Bundle
from edge.contracts.served_model import model_name, model_version

NAME = "emulated (tests)"


@dataclass
class Behaviour:
    """What the server does from now on; fields of its own are counted in `asked`."""

    late_s: float = 0.0
    fail: str = ""
    """a reason why no batch is computed"""
    scores_by: float = 1.0
    """what every score is multiplied by: other weights behind the same name"""
    labels_type: str = "INT32"
    version: str = "0"
    shares_memory: bool = True
    tells_configuration: bool = True
    fails_after: int | None = None
    asked: int = 0
    shared: int = 0
    regions: dict[str, mmap.mmap] = field(default_factory=dict)


class _Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc] # no stubs
    """The methods have the protocol's names."""

    def __init__(self, bundle: Bundle, does: Behaviour) -> None:
        self._bundle, self._does = bundle, does
        self._graph = CpuExecutor(bundle.read_model(), is_emulation=False)
        self._name, self._version = model_name(bundle.bundle_id), str(model_version(bundle.bundle_id))

    def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        return service_pb2.ServerMetadataResponse(name=NAME, version=self._does.version, extensions=[])

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        self._own(request, context)
        port = service_pb2.ModelMetadataResponse.TensorMetadata
        top_k = self._bundle.manifest.top_k
        return service_pb2.ModelMetadataResponse(
            name=self._name,
            versions=[self._version],
            platform="onnxruntime",
            inputs=[port(name="frames", datatype="UINT8", shape=[-1, -1, -1, 3])],
            outputs=[
                port(name="boxes", datatype="FP32", shape=[-1, top_k, 4]),
                port(name="scores", datatype="FP32", shape=[-1, top_k]),
                port(name="labels", datatype=self._does.labels_type, shape=[-1, top_k]),
            ],
        )

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        if not self._does.tells_configuration:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "not here")
        config = model_config_pb2.ModelConfig(name=self._name, backend="onnxruntime")
        config.parameters["bundle_id"].string_value = self._bundle.bundle_id
        return service_pb2.ModelConfigResponse(config=config)

    def SystemSharedMemoryRegister(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        if not self._does.shares_memory:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Unable to open shared memory region")
        descriptor = os.open(f"/dev/shm{request.key}", os.O_RDONLY)
        self._does.regions[request.name] = mmap.mmap(descriptor, request.byte_size, prot=mmap.PROT_READ)
        os.close(descriptor)
        return service_pb2.SystemSharedMemoryRegisterResponse()

    def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        self._does.regions.pop(request.name, None)
        return service_pb2.SystemSharedMemoryUnregisterResponse()

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        self._own(request, context)
        does, (given,) = self._does, request.inputs
        does.asked += 1
        time.sleep(does.late_s)
        if does.fails_after is not None and does.asked > does.fails_after:
            does.fail, does.fails_after = "the GPU has fallen off the bus", None
        if does.fail:
            context.abort(grpc.StatusCode.INTERNAL, does.fail)
        if "shared_memory_region" in given.parameters:
            does.shared += 1
            region = does.regions[given.parameters["shared_memory_region"].string_param]
            offset = given.parameters["shared_memory_offset"].int64_param if "shared_memory_offset" in given.parameters else 0
            size = given.parameters["shared_memory_byte_size"].int64_param
            content = region[offset : offset + size]
        else:
            content = request.raw_input_contents[0]
        frames = np.frombuffer(content, np.uint8).reshape(list(given.shape))
        rows = [self._graph.run(frames[at : at + 1]) for at in range(len(frames))]
        answer = service_pb2.ModelInferResponse(model_name=self._name, model_version=self._version)
        for name, kind in (("boxes", "FP32"), ("scores", "FP32"), ("labels", "INT32")):
            values = np.concatenate([getattr(row, name) for row in rows])
            if name == "scores":
                values = values * np.float32(does.scores_by)
            answer.outputs.add(name=name, datatype=kind, shape=values.shape)
            answer.raw_output_contents.append(values.tobytes())
        return answer

    def _own(self, request: Any, context: Any) -> None:  # noqa: ANN401
        asked = (getattr(request, "name", "") or request.model_name, getattr(request, "version", "") or request.model_version)
        if asked != (self._name, self._version):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{asked[0]}' is not found")


@dataclass
class EmulatedServer:
    """Where it listens, what it does, and how it goes."""

    address: str
    does: Behaviour
    server: Any

    def stop(self) -> None:
        """As a process that is killed: connections break."""
        self.server.stop(0).wait()


@contextmanager
def emulated_server(bundle: Bundle, key_and_certificate: tuple[bytes, bytes] | None = None) -> Iterator[EmulatedServer]:
    """With a key and its certificate (PEM both) it speaks TLS."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
    does = Behaviour()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Servicer(bundle, does), server)
    if key_and_certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([key_and_certificate]))
    server.start()
    found = EmulatedServer(f"127.0.0.1:{port}", does, server)
    try:
        yield found
    finally:
        found.stop()
