"""Files that are there as a whole or not at all: on a full disk, at Ctrl-C, when the process is killed in between."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

SMALL_BYTES = 1 << 24
"""More than any key, profile or configuration has."""


def read_whole(path: Path, at_most_bytes: int | None = None) -> bytes:
    """All bytes of a file. Raises OSError, also for a pipe or a device, where a reader might wait for ever or never be done."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))
        if at_most_bytes is not None and about.st_size > at_most_bytes:
            raise OSError(errno.EFBIG, f"it has {about.st_size} bytes, which is no such file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write `path` (text as UTF-8); an older one stays until the new one is complete. Its folder must exist. Raises OSError.

    What is no file, as /dev/stdout, is written directly, and so is a file in a folder that takes no new ones.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.exists() and (not target.is_file() or not os.access(target.parent, os.W_OK)):
        target.write_bytes(data)
        return
    part = target.with_name(f".part-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        try:
            part.write_bytes(data)
            if target.exists():
                part.chmod(target.stat().st_mode & 0o7777)
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as problem:
        problem.filename, problem.filename2 = str(path), None  # nobody has heard of the other one
        raise
