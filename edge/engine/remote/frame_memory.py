"""Slots of frames: in memory that a server on the same machine reads in place, else in this process's own."""

import mmap
import os
from pathlib import Path
from typing import Protocol

import numpy as np

from edge.contracts.detections import Image

_SHARED = Path("/dev/shm")
_ASK_S = 5.0
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class SharedMemoryClient(Protocol):
    """What of an inference client registers memory."""

    def register_system_shared_memory(self, name: str, key: str, byte_size: int, *, client_timeout: float) -> None: ...


class FrameMemory:
    """`slots` times uint8 [max_batch, H, W, 3] in one piece. `region` names it to the server; None: nobody else sees it."""

    def __init__(self, shape: tuple[int, int, int, int], slots: int) -> None:
        self.slot_bytes = int(np.prod(shape))
        self._shape, self._slots = shape, slots
        self.region: str | None = None
        self._memory: mmap.mmap = mmap.mmap(-1, self.slot_bytes * slots)
        self.frames = self._as_frames()

    def share(self, client: SharedMemoryClient) -> bool:
        """Move into memory that the server maps, too. False where it cannot: it sees another /dev/shm, or has none.

        The file's name is gone as soon as both hold it, so that nothing of it is left by a process that is killed.
        """
        name = f"leuko-{os.getpid()}-{os.urandom(6).hex()}"
        path = _SHARED / name
        size = self.slot_bytes * self._slots
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(descriptor, 0, size)  # else a full /dev/shm is a bus error in the middle of a run
            client.register_system_shared_memory(name, f"/{name}", size, client_timeout=_ASK_S)
            self._memory = mmap.mmap(descriptor, size)
        except Exception:  # noqa: BLE001 the server's reason, or the system's: frames go by the network then
            return False
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
        self.frames = self._as_frames()
        self.region = name
        return True

    def _as_frames(self) -> list[Image]:
        every = np.frombuffer(self._memory, np.uint8).reshape(self._slots, *self._shape)
        return list(every)
