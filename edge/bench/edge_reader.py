"""The controller of a measured edge: the process `python -m edge.bench.edge_reader`, and how the bench sees it.

It starts a run, stamps each field as the reference client hands it over, and saves stamps and stage times.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edge.bench.watchers import looking_on
from edge.contracts.entry_point import run_command_line
from edge.contracts.errors import StreamError
from edge.contracts.records import FieldRecord, StageTimes
from edge.stream.client import Controller

_CONNECT_S = 30.0
_END_S = 20.0
STAGES = tuple(StageTimes.model_fields)


@dataclass(frozen=True, slots=True)
class Received:
    """Of every field, in their order: monotonic ns at which it was in memory and at which the controller had its record, and
    the stages [fields, len(STAGES)] in ms. `cpu_s` is what the controller's process took."""

    host_ns: NDArray[np.int64]
    arrived_ns: NDArray[np.int64]
    stages_ms: NDArray[np.float64]
    cpu_s: float


class EdgeReader:
    """The process, for the run of the edge that will be at `endpoint`; none is left behind. `file` is where it saves.

    `lookers` are its telemetry's endpoint, and how many observers and dashboards look on.
    """

    def __init__(self, endpoint: str, file: Path, lookers: tuple[str, int, int] = ("-", 0, 0)) -> None:
        self._file = file
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge.bench.edge_reader", endpoint, str(file), *map(str, lookers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self) -> bool:
        """Whether it has, for good or ill."""
        return self._process.poll() is not None

    def result(self) -> Received:
        """Once the run is over. Raises `StreamError` with its last words when it has failed."""
        try:
            complaint = self._process.communicate(timeout=_END_S)[1]
        except subprocess.TimeoutExpired as problem:
            raise StreamError(
                f"the controller's process did not end within {_END_S:g} s of its run; give the command again."
            ) from problem
        if self._process.returncode:
            last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
            raise StreamError(f"the controller's process ended with code {self._process.returncode}: {last}")
        with np.load(self._file) as saved:
            return Received(saved["host_ns"], saved["arrived_ns"], saved["stages_ms"], float(saved["cpu_s"]))

    def __enter__(self) -> "EdgeReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def main() -> None:
    """Arguments: endpoint, file for what was received (NumPy's npz), the telemetry's endpoint, observers and dashboards."""
    endpoint, file, telemetry, observers, dashboards = sys.argv[1:6]
    host_ns, arrived_ns, stages_ms = list[int](), list[int](), list[list[float]]()
    with (
        looking_on(endpoint, telemetry, int(observers), int(dashboards)),
        Controller(endpoint, client_id="bench") as controller,
    ):
        controller.connect(_CONNECT_S)
        controller.start_run(slide_id="bench")
        began_s = time.process_time()
        for record in controller.records():
            now_ns = time.monotonic_ns()
            if not isinstance(record, FieldRecord):
                continue
            if record.times is None:
                raise StreamError(f"a field that is measured failed, so that its time means nothing: {record.detail}")
            host_ns.append(record.t_host_ns)
            arrived_ns.append(now_ns)
            stages_ms.append([getattr(record.times, name) for name in STAGES])
        cpu_s = time.process_time() - began_s
    np.savez(file, host_ns=host_ns, arrived_ns=arrived_ns, stages_ms=stages_ms, cpu_s=cpu_s)


if __name__ == "__main__":
    run_command_line(main)
