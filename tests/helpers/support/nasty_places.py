"""A folder with everything that a path may lead to beside a file, and the words that lead there."""

import os
import socket
from pathlib import Path

_NOBODY = 65534
PATHS = {
    "nothing": "",
    "bytes that are not UTF-8": "a\udcff\udcfe",
    "a new line": "a\nb",
    "quotes": "ü\"'.yaml",
    "300 characters": "x" * 300,
    "5,000 characters": "x/" * 2500,
    "a pipe": "pipe",
    "a socket": "socket",
    "a device that is empty": "/dev/null",
    "a device without an end": "/dev/zero",
    "a disk that is full": "/dev/full",
    "a folder": "folder",
    "an empty file": "empty",
    "bytes": "bytes",
    "a text": "text",
    "a loop of links": "loop",
    "a link to nowhere": "dangling",
    "a file as a folder": "empty/x",
    "what one may not look at": "closed/file",
    "a place in what one may not look at": "closed/new/file",
    "somebody without a home": "~nobody_here/x",
    "memory": "/proc/self/mem",
    "a control character": "\x1b[31m",
}


def nasty_folder(folder: Path) -> Path:
    """Fill `folder`. Sockets are bound by a relative name: a path of theirs may have about 100 characters."""
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    there = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{there}/socket")
    os.close(there)
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "bytes").write_bytes(bytes((at * 7919 >> 3) % 256 for at in range(5000)))
    (folder / "text").write_text("hello: [\n")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere/at/all")
    closed = folder / "closed"
    closed.mkdir()
    (closed / "file").write_text("x")
    if os.geteuid() == 0:
        os.chown(closed, _NOBODY, _NOBODY)
    closed.chmod(0)
    return folder


def opened_again(folder: Path) -> None:
    """So that it can be deleted."""
    (folder / "closed").chmod(0o700)
