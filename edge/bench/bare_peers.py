"""What a record costs at the least: one sync of the disk under a folder, one ZeroMQ message over loopback, nothing else."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import zmq

from edge.contracts.errors import ConfigError, StreamError

_MOUNTS = Path("/proc/self/mountinfo")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
"""File systems on which a sync costs nothing, because nothing outlives the power."""

BLOCK_BYTES = 4096 + 24
"""One frame of SQLite's log: a page and its header. A commit writes at least one."""

_BLOCKS = 1000
_BYTES_PER_RECORD = 2000
_BYTES_BESIDES = 50_000_000

MESSAGE_BYTES = 900
"""A field without a cell is about that long."""

_WAIT_MS = 10_000


class BareSync:
    """A file in `folder` that is written and synchronised block by block, as a journal must at the least.

    Its blocks are on disk beforehand: a file that grows costs more, and the log of a journal is written over and over. Raises
    `ConfigError` when it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "bare-sync"
        self._block = os.urandom(BLOCK_BYTES)
        self._next = 0
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            for _ in range(_BLOCKS):
                os.write(self._file, bytes(BLOCK_BYTES))
            os.fsync(self._file)
        except OSError as problem:
            raise ConfigError(
                f"{folder} cannot be measured in ({problem.strerror}); give another folder with --dir."
            ) from problem

    def once(self) -> float:
        """Write one block and synchronise it; returns ms."""
        start_ns = time.monotonic_ns()
        os.pwrite(self._file, self._block, self._next * BLOCK_BYTES)
        os.fdatasync(self._file)
        self._next = (self._next + 1) % _BLOCKS
        return (time.monotonic_ns() - start_ns) / 1e6

    def __enter__(self) -> "BareSync":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._file)
        self._path.unlink()


class BareHop:
    """A ROUTER and a DEALER, each with a ZeroMQ thread of its own as in two processes."""

    def __init__(self) -> None:
        self._contexts: tuple[zmq.Context[zmq.Socket[bytes]], ...] = (zmq.Context(), zmq.Context())
        self._router, self._dealer = self._contexts[0].socket(zmq.ROUTER), self._contexts[1].socket(zmq.DEALER)
        self._router.bind("tcp://127.0.0.1:*")
        self._dealer.connect(self._router.getsockopt_string(zmq.LAST_ENDPOINT))
        self._dealer.send(b"")
        self._await(self._router)
        self._peer = self._router.recv_multipart()[0]

    def once(self) -> float:
        """Send one message and receive it; returns ms. Raises `StreamError` when it does not come."""
        start_ns = time.monotonic_ns()
        self._router.send_multipart([self._peer, bytes(MESSAGE_BYTES)])
        self._await(self._dealer)
        self._dealer.recv()
        return (time.monotonic_ns() - start_ns) / 1e6

    def __enter__(self) -> "BareHop":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        for context in self._contexts:
            context.destroy(linger=0)

    def _await(self, end: "zmq.Socket[bytes]") -> None:
        if not end.poll(_WAIT_MS):
            raise StreamError("a message to 127.0.0.1 did not arrive; look at this machine's loopback interface and firewall.")


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """A new folder inside `folder`, removed afterwards. Raises `ConfigError`."""
    try:
        place = tempfile.TemporaryDirectory(dir=folder, prefix="leuko-bench-")
    except OSError as problem:
        raise ConfigError(f"{folder} cannot be measured in ({problem.strerror}); give another folder with --dir.") from problem
    with place as path:
        yield Path(path)


def check_room(folder: Path, n_records: int) -> None:
    """Raises `ConfigError` when the disk of an existing folder may not hold a journal of so many records."""
    need, free = n_records * _BYTES_PER_RECORD + _BYTES_BESIDES, shutil.disk_usage(folder).free
    if free < need:
        raise ConfigError(
            f"{n_records} records need up to {need / 1e6:.0f} MB and {folder} has {free / 1e6:.0f} MB; give fewer with "
            "--records, or another folder with --dir."
        )


def filesystem_of(folder: Path) -> str:
    """Type of the file system that holds an existing folder, such as ext4; `unknown` where the system does not tell."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    # id parent major:minor root mount-point options [optional fields] - type source super-options
    return next((line.split(" - ")[1].split()[0] for line in lines if line.split()[2] == wanted), "unknown")
