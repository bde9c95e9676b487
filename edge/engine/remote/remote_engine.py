"""The engine on a server: slots are sent, or read there in place, and the boxes come back within a deadline or not at all."""

import queue
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from edge.contracts.bundle import Bundle
from edge.contracts.detections import Image, RawDetections
from edge.contracts.engine_files import GateSight
from edge.contracts.errors import EngineError
from edge.contracts.served_model import ServedIdentity
from edge.engine.base import INPUT, EngineInfo, Parity, SlotBook, check_values, expected_outputs
from edge.engine.remote.connection import ServerWanted, connected, said_by
from edge.engine.remote.frame_memory import LOCAL_HOSTS, FrameMemory
from edge.engine.remote.served_identity import ask_identity

SLOTS = 3
"""One is on its way there, one is computed, one is on its way back."""
ASK_S = 5.0
"""What a server says of itself it says at once."""
FIRST_S = 120.0
"""The first batch of a shape may be compiled for there."""
_LATER_S = 1.0

_Answer = tuple["grpc.InferResult | None", "InferenceServerException | None"]


class RemoteEngine:
    """`Engine` on an inference server that speaks KServe v2.

    Raises `EngineError` when it cannot be reached, does not serve the bundle, or does not answer as its graph does. Whether
    it has passed the parity gate is the caller's to know (`info.parity` says what `parity` says). `share`: lay frames into
    memory that a server on this machine reads in place.
    """

    def __init__(
        self,
        bundle: Bundle,
        frame_width_px: int,
        frame_height_px: int,
        server: ServerWanted,
        *,
        max_batch: int = 1,
        slots: int = SLOTS,
        parity: Parity = "waived",
        share: bool = True,
    ) -> None:
        self._server, self._top_k = server, bundle.manifest.top_k
        self._client = connected(server)
        try:
            self.identity = ask_identity(self._client, server, bundle, ASK_S)
            self._memory = FrameMemory((max_batch, frame_height_px, frame_width_px, 3), slots)
            if share and server.address.rpartition(":")[0] in LOCAL_HOSTS:
                self._memory.share(self._client)
            self._info = self._described(self.identity, frame_width_px, frame_height_px, max_batch, slots, parity)
            self._is_closed = False
            self._book = SlotBook(self._info)
            self._answers: list[queue.SimpleQueue[_Answer]] = [queue.SimpleQueue() for _ in range(slots)]
            self._deadline_s = FIRST_S
            self.submit(0, max_batch)
            self.collect(0)
            self._deadline_s = server.deadline_ms / 1e3
        except BaseException:
            self._client.close()
            raise

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def shares_memory(self) -> bool:
        """Whether the server reads frames where they lie."""
        return self._memory.region is not None

    def accept(self, parity: Parity, gate_saw: GateSight | None = None) -> None:
        """What was found out about its gate since it was opened."""
        self._info = replace(self._info, parity=parity, gate_saw=gate_saw)

    def slot(self, index: int) -> Image:
        return self._memory.frames[index]

    def submit(self, index: int, n: int) -> None:
        self._book.submit(index, n)
        frames = self._memory.frames[index][:n]
        given = grpc.InferInput(INPUT, list(frames.shape), "UINT8")
        if self._memory.region is not None:
            given.set_shared_memory(self._memory.region, frames.nbytes, index * self._memory.slot_bytes)
        else:
            given.set_data_from_numpy(frames)
        wanted = [grpc.InferRequestedOutput(name) for name in expected_outputs(self._top_k)]
        try:
            self._client.async_infer(
                self.identity.model,
                [given],
                partial(_answered, self._answers[index]),
                model_version=self.identity.version,
                outputs=wanted,
                client_timeout=self._deadline_s,
            )
        except InferenceServerException as problem:
            self._answers[index].put((None, problem))

    def collect(self, index: int) -> RawDetections:
        n = self._book.collect(index)
        result = self._result(index)
        found: list[NDArray[Any]] = []
        for name, (shape, kind) in expected_outputs(self._top_k).items():
            rows: NDArray[Any] | None = result.as_numpy(name)
            if rows is None or (rows.shape, str(rows.dtype)) != ((n, *shape), kind):
                have = "missing" if rows is None else f"{rows.dtype} {list(rows.shape)}"
                raise EngineError(
                    f"inference server {self._server.address} gave an output {name!r} that is {have}, not {kind} "
                    f"{[n, *shape]}; check what it serves."
                )
            found.append(rows.copy())
        raw = RawDetections(*found)
        check_values(raw)
        return raw

    def keep_warm(self) -> None:
        """The server's own matter."""

    def close(self) -> None:
        """Wait for what is in flight, then let the server forget the memory and the connection. Safe to repeat."""
        if self._is_closed:
            return
        self._is_closed = True
        for index in self._book.in_flight():
            try:
                self.collect(index)
            except EngineError:
                continue
        if self._memory.region is not None:
            with suppress(InferenceServerException):  # it is gone, and with it what it knew
                self._client.unregister_system_shared_memory(self._memory.region, client_timeout=ASK_S)
        self._client.close()

    def _result(self, index: int) -> "grpc.InferResult":
        address = self._server.address
        try:
            result, problem = self._answers[index].get(timeout=self._deadline_s + _LATER_S)
        except queue.Empty:
            result, problem = None, InferenceServerException("the client gave no answer", status="DEADLINE_EXCEEDED")
        if problem is not None and "DEADLINE_EXCEEDED" in str(problem.status()):
            raise EngineError(
                f"inference server {address} gave no answer within {self._deadline_s * 1e3:g} ms; look at its load and the "
                "network, or raise --server-deadline-ms."
            )
        if problem is not None or result is None:
            why = said_by(problem) if problem is not None else "no reason given"
            raise EngineError(f"inference server {address} did not compute a batch ({why}); look at its log.") from problem
        return result

    def _described(
        self, identity: ServedIdentity, width_px: int, height_px: int, max_batch: int, slots: int, parity: Parity
    ) -> EngineInfo:
        way = "shared memory" if self._memory.region is not None else "gRPC over TLS" if self._server.ca else "gRPC"
        return EngineInfo(
            runtime=f"{identity.server or 'inference server'} ({identity.platform or 'KServe v2'})",
            version=identity.server_version or "of no version",
            device=f"server {self._server.address} by {way}",
            precision="its own precision",
            frame_width_px=width_px,
            frame_height_px=height_px,
            max_batch=max_batch,
            slots=slots,
            top_k=self._top_k,
            key=identity.key(width_px, height_px),
            plan_sha256=identity.sha256(),
            parity=parity,
        )


def _answered(
    answers: "queue.SimpleQueue[_Answer]", result: "grpc.InferResult | None", error: "InferenceServerException | None"
) -> None:
    answers.put((result, error))
