"""The disk under a folder: which file system it has, and what one bare sync costs."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from edge.contracts.errors import ConfigError

_MOUNTS = Path("/proc/self/mountinfo")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
"""File systems on which a sync costs nothing, because nothing outlives the power."""

BLOCK_BYTES = 4096 + 24
"""One frame of SQLite's log: a page and its header. A commit writes at least one."""

_BLOCKS = 1000
_BYTES_PER_RECORD = 2000
_BYTES_BESIDES = 50_000_000


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
