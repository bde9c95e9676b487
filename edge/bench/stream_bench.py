"""What `leuko-edge bench-stream` measures: a journal and a server in this process, the reference client in another."""

import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edge.bench.bare_peers import BareHop, BareSync, check_room, filesystem_of, work_folder
from edge.bench.memory import MemoryTrace, MemoryUse
from edge.bench.stream_reader import Reader
from edge.bench.stream_report import Latency, Singles, Sustained, summary
from edge.bench.substitutes import StandInRun
from edge.contracts.choices import Durability
from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.messages import Encoding
from edge.contracts.records import FieldRecord, Record
from edge.journal.sqlite_journal import SqliteJournal
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.stream.server import EdgeServer
from edge.watch.work_progress import Passed, record_bars

BATCH_RECORDS = 64
IN_FLIGHT_RECORDS = 256
"""Appended and not yet acknowledged: the writer waits here, so that latencies are the stream's, not those of a growing heap."""

_START_S = 30.0
_PROGRESS_S = 20.0
_TICK_S = 0.1
_POLL_S = 0.001
_PAUSE_S = 0.005
_PAUSE_SYNCS = 3
_WARM_UP = 20
_FILES = ("journal.sqlite", "journal.sqlite-wal")

_DURABILITIES: tuple[Durability, ...] = ("full", "normal")
_ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")


def bench_stream(
    folder: Path | None,
    durability: Durability | Literal["both"],
    encoding: Encoding | Literal["both"],
    records: int,
    singles: int,
) -> dict[str, Any]:
    """Measure each row, first `singles` one at a time, then `records` in batches, and give the figures of `summary`.

    Without `folder` it is the system's for temporary files. Raises `ConfigError` when it cannot be measured in, `JournalError`,
    and `StreamError`.
    """
    folder = folder or Path(tempfile.gettempdir())
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; make it, or give another with --dir.")
    check_room(folder, records)
    rows = [(one, other) for one in _DURABILITIES for other in _ENCODINGS]
    rows = [(one, other) for one, other in rows if durability in {"both", one} and encoding in {"both", other}]
    with record_bars() as begin:
        alone = [measure_singles(folder, *row, singles, begin(f"one at a time, {' '.join(row)}", singles)) for row in rows]
        batches = [measure_sustained(folder, *row, records, begin(f"in batches, {' '.join(row)}", records)) for row in rows]
    return summary(folder, filesystem_of(folder), alone, batches)


def measure_singles(folder: Path, durability: Durability, encoding: Encoding, n: int, passed: Passed) -> Singles:
    """`n` records, each when the one before is acknowledged and everything rests, in turn with bare syncs and messages."""
    syncs_ms, hops_ms = [], []
    with work_folder(folder) as place, BareSync(place) as bare, BareHop() as hop:
        # The controller's acknowledgement is written, too: that must be over before the next sync is timed.
        pause_s = max(_PAUSE_S, _PAUSE_SYNCS * float(np.median([bare.once() for _ in range(_WARM_UP)])) / 1e3)
        with _served(place, durability, encoding, n) as run:
            run.append(run.stand_in.start())
            run.await_acknowledged(0)
            for index in range(n):
                time.sleep(pause_s)
                syncs_ms.append(bare.once())
                time.sleep(pause_s)
                hops_ms.append(hop.once())
                record = run.stand_in.field()
                time.sleep(pause_s)
                run.append(record)
                time.sleep(pause_s)
                run.await_acknowledged(index + 1)
                passed(1)
            run.append(run.stand_in.stop())
            latency, _ = run.result()
    p50, p99 = np.percentile(syncs_ms, [50, 99])
    return Singles(durability, encoding, n, latency, float(p50), float(p99), float(np.median(hops_ms)), 1e3 * pause_s)


def measure_sustained(folder: Path, durability: Durability, encoding: Encoding, n: int, passed: Passed) -> Sustained:
    """`n` records in batches, with at most `IN_FLIGHT_RECORDS` not acknowledged."""
    memory = MemoryTrace(n)
    with work_folder(folder) as place, _served(place, durability, encoding, n) as run:
        run.append(run.stand_in.start())
        start_ns = time.monotonic_ns()
        for first in range(0, n, BATCH_RECORDS):
            run.await_acknowledged(first - IN_FLIGHT_RECORDS)
            size = min(BATCH_RECORDS, n - first)
            for index in range(first, first + size):
                run.append(run.stand_in.field())
                memory.passed(index + 1)
            passed(size)
        run.append(run.stand_in.stop())
        run.await_acknowledged(n + 1)
        seconds = (time.monotonic_ns() - start_ns) / 1e9
        latency, client_memory = run.result()
        journal_mb = sum((place / name).stat().st_size for name in _FILES) / 1e6
    return Sustained(durability, encoding, n, (n + 2) / seconds, latency, memory.use(), client_memory, journal_mb)


class Served:
    """One run on its way: a controller has started it and reads, `stand_in` makes its records."""

    def __init__(self, journal: SqliteJournal, stand_in: StandInRun, n_fields: int, run_id: str, reader: Reader) -> None:
        self.stand_in = stand_in
        self._journal = journal
        self._run_id = run_id
        self._reader = reader
        self._appended_ns = np.full(n_fields, -1, np.int64)

    def append(self, record: Record) -> None:
        """Give a record to the journal. Raises `JournalError`."""
        if isinstance(record, FieldRecord):
            self._appended_ns[record.field_index] = time.monotonic_ns()
        self._journal.append(record)

    def result(self) -> tuple[Latency, MemoryUse]:
        """After the last record: how long each took, and the controller's memory. Raises `StreamError`."""
        arrived_ns, memory = self._reader.result()
        p50, p99, longest = np.percentile((arrived_ns - self._appended_ns) / 1e6, [50, 99, 100])
        return Latency(float(p50), float(p99), float(longest)), memory

    def await_acknowledged(self, seq: int) -> None:
        """Wait until the controller holds `seq`. Raises `StreamError` when it has died or gets no further."""
        before, deadline_s = -2, 0.0
        while (acknowledged := self._journal.acknowledged(self._run_id)) < seq:
            if acknowledged > before:
                before, deadline_s = acknowledged, time.monotonic() + _PROGRESS_S
            self._reader.check_alive()
            if time.monotonic() > deadline_s:
                raise StreamError(
                    f"the controller acknowledged nothing after record {acknowledged} for {_PROGRESS_S:g} s; "
                    "run the command again on a machine that does less, and report this when it stays."
                )
            time.sleep(_POLL_S)


@contextmanager
def _served(folder: Path, durability: Durability, encoding: Encoding, n_fields: int) -> Iterator[Served]:
    """A journal, its server, and a controller that has started a run. Raises `JournalError` and `StreamError`."""
    journal = SqliteJournal(folder / _FILES[0], durability)
    try:
        control = RunOrders(StopSwitch(), journal)
        with (
            EdgeServer("tcp://127.0.0.1:0", journal, control, boot_id=str(uuid.uuid4())) as server,
            Reader(server.endpoint, encoding, n_fields, folder / "arrived.npy") as reader,
        ):
            deadline_s = time.monotonic() + _START_S
            while (accepted := control.wait_for_start(_TICK_S)) is None:
                reader.check_alive()
                if time.monotonic() > deadline_s:
                    raise StreamError(f"the controller's process started no run within {_START_S:g} s; give the command again.")
            yield Served(journal, StandInRun(accepted.order, n_fields), n_fields, accepted.run_id, reader)
    finally:
        journal.close()
