"""Places that really cannot be written, for root too."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

_NOBODY = 65534


@contextmanager
def not_mine_to_write(folder: Path) -> Iterator[None]:
    """`folder` is read-only and this process is not root's: permissions bind it as they bind any user.

    What is beneath must be readable by all. Nothing else may run in this process meanwhile.
    """
    user, mode = os.geteuid(), folder.stat().st_mode
    folder.chmod(0o555)
    try:
        if user == 0:
            os.seteuid(_NOBODY)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(mode)


@lru_cache(maxsize=1)
def why_no_read_only_disk() -> str:
    """Why nothing can be mounted here; empty when it can."""
    try:
        done = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unshare (util-linux) is needed to mount a directory read-only"
    return f"no directory can be mounted read-only here ({done.stderr.strip()})" if done.returncode else ""


def with_read_only(folder: Path, command: list[str]) -> list[str]:
    """The command that runs `command` where `folder` is on a read-only disk; nobody else sees that disk."""
    place = shlex.quote(str(folder))
    mount = f"mount --bind {place} {place} && mount -o remount,ro,bind {place}"
    return ["unshare", "-m", "sh", "-c", f"{mount} && exec {shlex.join(command)}"]


def python(script: str, *arguments: str) -> list[str]:
    """The command that runs a script by this interpreter."""
    return [sys.executable, "-c", script, *arguments]
