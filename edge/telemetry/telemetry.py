"""Where the run drops a word after each record, and nobody of the run has to wait for what becomes of it."""

import logging
import time
from pathlib import Path
from types import TracebackType

from edge.contracts.records import FieldRecord, Record
from edge.engine.base import EngineInfo
from edge.stream.codec import encode
from edge.telemetry.metrics import EdgeCollector, Published, Tally
from edge.telemetry.metrics_page import MetricsPage
from edge.telemetry.publisher import ALIVE_S, Publisher
from edge.telemetry.snapshot import Latest, TakeSnapshot, live

_log = logging.getLogger(__name__)


class Telemetry:
    """The telemetry socket at `bind` and the metrics page at `metrics`, from `start` to `close`; None leaves either out.

    `record` belongs to the thread that counts and takes microseconds; `snapshot` is called by the threads of the two. Raises
    `StreamError` for addresses and keys that cannot be used.
    """

    def __init__(
        self,
        boot_id: str,
        engine: EngineInfo | None,
        snapshot: TakeSnapshot,
        *,
        bind: str | None = None,
        hz: float = 10.0,
        alive_s: float = ALIVE_S,
        keys: Path | None = None,
        metrics: str | None = None,
    ) -> None:
        self._boot_id, self._snapshot = boot_id, snapshot
        self.engine = engine
        """what computes; None while it is not open"""
        self._latest = Latest()
        self._tally = Tally()
        collector = EdgeCollector(self._tally, snapshot, lambda: self.engine, self._published)
        self.page = MetricsPage(metrics, collector, lambda: snapshot().service) if metrics else None
        self.publisher = Publisher(bind, self._compose, lambda: self._latest, hz, alive_s, keys) if bind else None

    def start(self) -> "Telemetry":
        """Bind both. Raises `StreamError` when one of them cannot be bound; then neither is."""
        try:
            if self.publisher is not None:
                _log.info("live counts are published at %s", self.publisher.start().endpoint)
            if self.page is not None:
                _log.info("metrics are served at %s", self.page.start().url)
        except BaseException:
            self.close()
            raise
        return self

    def record(self, record: Record) -> None:
        """After `record` was journalled."""
        self._latest = self._latest.after(record)
        if isinstance(record, FieldRecord):
            self._tally.add(record)

    def close(self) -> None:
        """Publish the last state, then close both. Safe to repeat."""
        if self.publisher is not None:
            self.publisher.close()
        if self.page is not None:
            self.page.close()

    def __enter__(self) -> "Telemetry":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _published(self) -> Published:
        if self.publisher is None:
            return Published(0, 0)
        return Published(self.publisher.sent, self.publisher.refused)

    def _compose(self, telemetry_seq: int) -> bytes:
        message = live(
            self._latest,
            self._snapshot(),
            telemetry_seq=telemetry_seq,
            boot_id=self._boot_id,
            t_ns=time.monotonic_ns(),
            engine=str(self.engine or ""),
            refused=self._published().refused,
        )
        return encode(message, "json")
