"""The process of `stream_reader`, as `leuko-edge bench-stream` sees it."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from edge.bench.memory import MemoryUse
from edge.contracts.errors import StreamError
from edge.contracts.messages import Encoding

_END_S = 20.0


class Reader:
    """Reads a run of `n_fields` at `endpoint`; none is left behind. `stamps` is the file it saves its times of arrival in."""

    def __init__(self, endpoint: str, encoding: Encoding, n_fields: int, stamps: Path) -> None:
        self._stamps = stamps
        module = "edge.bench.stream_reader"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, endpoint, encoding, str(n_fields), str(stamps)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def check_alive(self) -> None:
        """Raises `StreamError` with its last words when it has failed."""
        if self._process.poll():
            self._fail(self._process.communicate()[1])

    def result(self) -> tuple[npt.NDArray[np.int64], MemoryUse]:
        """Once the run is over: monotonic ns at which each field arrived, and the memory it took. Raises `StreamError`."""
        try:
            said, complaint = self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired as problem:
            raise StreamError(
                f"the controller's process did not end within {_END_S:g} s of its run; give the command again."
            ) from problem
        if self._process.returncode:
            self._fail(complaint)
        arrived_ns: npt.NDArray[np.int64] = np.load(self._stamps)
        return arrived_ns, MemoryUse(**json.loads(said))

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _fail(self, complaint: str) -> None:
        last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        raise StreamError(f"the controller's process ended with code {self._process.returncode}: {last}")
