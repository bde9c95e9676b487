"""The index of kept frames or cells, read as it grows: each look reads only what was added."""

import json
import threading
from pathlib import Path
from typing import Any

_MOST_BYTES = 4 << 20


class IndexTail:
    """Lines of the JSON-lines file `path` after its first, which says what the source was. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        """only ever added to"""
        self._offset = 0
        self._inode = -1
        self._is_first = True
        self._lock = threading.Lock()

    def look(self) -> str:
        """Take in what was added. Returns why the index cannot be read, in a sentence; empty when it can."""
        with self._lock:
            try:
                return self._read()
            except OSError as problem:
                return f"{self.path} cannot be read ({problem.strerror}); are the pictures somewhere else by now?"

    def _read(self) -> str:
        with self.path.open("rb") as file:
            known = self.path.stat()
            if known.st_ino != self._inode or known.st_size < self._offset:  # another one in its place
                self._inode, self._offset, self._is_first, self.lines = known.st_ino, 0, True, []
            file.seek(self._offset)
            content = file.read(_MOST_BYTES)
        whole, _, _ = content.rpartition(b"\n")
        if not whole:
            return ""
        self._offset += len(whole) + 1
        for each in whole.split(b"\n"):
            if self._is_first:
                self._is_first = False
                continue
            try:
                line = json.loads(each)
            except ValueError:
                return f"{self.path} has a line that is none; restore it from a copy."
            if isinstance(line, dict):
                self.lines.append(line)
        return ""
