"""Files that are there as a whole or not at all: on a full disk, at Ctrl-C, when the process is killed in between."""

import os
from contextlib import suppress
from pathlib import Path


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
