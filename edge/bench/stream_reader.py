"""The controller of `leuko-edge bench-stream`: the process `python -m edge.bench.stream_reader`, and how the bench sees it.

It starts a run, stamps each field as the reference client hands it over, checks that nothing is missing, saves the stamps, and
says on standard output what memory it took. It keeps eight bytes of a record.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from edge.bench.memory import MemoryTrace, MemoryUse
from edge.contracts.entry_point import run_command_line
from edge.contracts.errors import StreamError
from edge.contracts.messages import Encoding
from edge.contracts.records import FieldRecord, Record, RunStart, RunStop
from edge.stream.client import Controller

_END_S = 20.0


class Reader:
    """Reads a run of `n_fields` at `endpoint`; none is left behind. `stamps` is the file it saves its times of arrival in."""

    def __init__(self, endpoint: str, encoding: Encoding, n_fields: int, stamps: Path) -> None:
        self._stamps = stamps
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge.bench.stream_reader", endpoint, encoding, str(n_fields), str(stamps)],
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


class Reading:
    """Takes in the records of a run of `n_fields`. Raises `StreamError` for one that is not what is due."""

    def __init__(self, n_fields: int) -> None:
        self._n_fields = n_fields
        # Touched now, so that it is not taken for memory that grows with the records.
        self.arrived_ns = np.full(n_fields, -1, np.int64)
        self._memory = MemoryTrace(n_fields)
        self._cells: Counter[str] = Counter()
        self._next_seq = 0
        self.ended = False

    def take(self, record: Record, now_ns: int) -> None:
        """Check and count one record that came at `now_ns`."""
        due = RunStop if self._next_seq > self._n_fields else FieldRecord if self._next_seq else RunStart
        if record.seq != self._next_seq or not isinstance(record, due):
            raise _defect(f"a {due.__name__} with seq {self._next_seq} was due and {record.type} {record.seq} came")
        self._next_seq += 1
        if isinstance(record, FieldRecord):
            self._take_field(record, now_ns)
        elif isinstance(record, RunStop):
            if record.triggers != self._n_fields or record.cells != self._cells:
                raise _defect(f"run_stop says {record.triggers} fields with {record.cells}, and the fields said otherwise")
            self.ended = True

    def _take_field(self, field: FieldRecord, now_ns: int) -> None:
        if field.field_index != field.seq - 1:
            raise _defect(f"record {field.seq} holds field {field.field_index}")
        self.arrived_ns[field.field_index] = now_ns
        self._cells.update(field.counts)
        if field.running.cells != self._cells:
            raise _defect(f"the running counts of record {field.seq} are not the sums of the fields")
        self._memory.passed(field.seq)

    def memory(self) -> MemoryUse:
        return self._memory.use()


def main() -> None:
    """Arguments: endpoint, encoding, number of fields, file for their monotonic times of arrival (int64, ns)."""
    endpoint, encoding, n_fields, stamps = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    reading = Reading(n_fields)
    with Controller(endpoint, client_id="bench-stream", encodings=(encoding,)) as controller:
        controller.connect()
        controller.start_run(slide_id="bench-stream")
        for record in controller.records():
            reading.take(record, time.monotonic_ns())
    if not reading.ended:
        raise _defect("the run ended without a run_stop")
    np.save(stamps, reading.arrived_ns)
    print(json.dumps(asdict(reading.memory())))


def _defect(what: str) -> StreamError:
    return StreamError(f"{what}; report this as a defect of the edge.")


if __name__ == "__main__":
    run_command_line(main)
