"""The edge process of a virtual scan, as the scan starts, kills and ends it."""

import subprocess
import sys
from collections import deque
from pathlib import Path

from edge.contracts.errors import StreamError

_END_S = 15.0
_LOG_LINES = 12


class RigProcess:
    """One edge process after the other, with the same journal and address. `told` is the JSON of a `RigEdge`."""

    def __init__(self, told: str, log: Path) -> None:
        self._told = told
        self._log = log
        self.kills = 0
        self._process = self._started()

    def kill(self) -> None:
        """End it where it is, and start it again."""
        self._process.kill()
        self._process.wait()
        self.kills += 1
        self._process = self._started()

    def require_alive(self) -> None:
        """Raises `StreamError` with the last lines of its log when it has ended before its time."""
        if (code := self._process.poll()) is not None:
            raise StreamError(f"the edge process ended with code {code}; its log ends with:\n{self.end_of_log()}")

    def end(self) -> int:
        """Wait until it has ended by itself, else end it; leave no process behind. Returns its exit code."""
        try:
            return self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.stop()
            return 1

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def end_of_log(self) -> str:
        with self._log.open(encoding="utf-8", errors="replace") as stream:
            return "".join(deque(stream, maxlen=_LOG_LINES)).rstrip() or "(the log is empty)"

    def _started(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "edge.scanner.rig_edge", self._told],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # Ctrl-C reaches the scanner alone
            )
