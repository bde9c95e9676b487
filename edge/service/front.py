"""What the world has of this process: the socket for controllers, live counts, the metrics page, and how it is."""

import logging
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from types import TracebackType

from edge.camera.frame import SourceNote
from edge.contracts.errors import StreamError
from edge.contracts.records import Record
from edge.engine.base import EngineInfo
from edge.journal.base import Journal
from edge.pipeline import Parts
from edge.pipeline.intake import Note
from edge.pipeline.run_control import RunControl
from edge.service.heartbeat import HEARTBEAT
from edge.service.self_report import Doctor, HealthWatch, edge_info
from edge.settings import EdgeSettings, Setup
from edge.stream.inquiries import SelfReport
from edge.stream.server import EdgeServer
from edge.stream.settings import StreamSettings
from edge.telemetry.snapshot import snapshots_of
from edge.telemetry.telemetry import Telemetry

_log = logging.getLogger(__name__)


class Front:
    """Binds all addresses of `settings` as a context, and serves until `close`; it stays while camera and engine come and go.

    Raises `StreamError` when one of the addresses cannot be bound.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        journal: Journal,
        control: RunControl,
        boot_id: str,
        doctor: Doctor | None = None,
        *,
        runs: int = 1,
    ) -> None:
        self._settings, self._doctor, self._runs = settings, doctor, runs
        self._pace = StreamSettings(ping_every_s=settings.ping_every_s, silent_after_s=settings.silent_after_s)
        self.health = HealthWatch(settings.journal, journal, control)
        self._report = SelfReport(None, self.health.look, doctor)
        self.server = EdgeServer(settings.bind, journal, control, boot_id, self._pace, settings.keys, self._report)
        try:
            self.telemetry = Telemetry(
                boot_id,
                None,
                snapshots_of(control, journal, self.server),
                bind=settings.telemetry,
                hz=settings.telemetry_hz,
                keys=settings.keys,
                metrics=settings.metrics,
            )
        except BaseException:
            self.server.close(0.0)
            raise
        self._shown: Parts | None = None
        self._note: Callable[[Note], None] | None = None
        journal.on_held(self._journal_is_held)

    def __enter__(self) -> "Front":
        self.server.start()
        try:
            self.telemetry.start()
        except BaseException:
            self.server.close(0.0)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.server.close(0.0 if kind else 5.0)
        self.telemetry.close()

    def shows(self, setup: Setup | None, parts: Parts | None) -> None:
        """What this edge is can be said while camera and engine are open. Safe to repeat."""
        if parts is self._shown:
            return
        self._shown = parts
        if setup is None or parts is None:
            self.server.tells(self._report)
            self.telemetry.engine, self.health.engine = None, ""
            return
        info = edge_info(setup, parts, self._pace, self._report.words(), self._runs)
        self.server.tells(SelfReport(info, self.health.look, self._doctor))
        self.telemetry.engine, self.health.engine = parts.engine.info, str(parts.engine.info)

    def run_begins(self, note: Callable[[Note], None], engine: EngineInfo) -> None:
        """What the journal says of itself goes among the records of this run, and `engine` is what computes."""
        self._note = note
        self.telemetry.engine, self.health.engine = engine, str(engine)

    def record(self, record: Record) -> None:
        """After `record` was journalled."""
        self.telemetry.record(record)  # published for whoever looks on
        self.health.record(record)

    def check_alive(self) -> None:
        """Raises `StreamError` when nobody is served any more."""
        if not self.server.alive:
            raise StreamError("the stream ended by a defect and the run cannot be delivered; report it with the log.")

    def beat(self, *, opening: bool = False) -> None:
        """A heartbeat, unless the stream's thread is stuck."""
        if self.server.silent_s > self._settings.ping_every_s + self._settings.watchdog_s:
            HEARTBEAT.stuck(f"the stream's thread has not come round for {self.server.silent_s:.0f} s")
        HEARTBEAT.beat(opening=opening)

    def say_where(self) -> None:
        """Tell whoever reads the log how to get here."""
        watch = watch_command(self.server.endpoint, self._settings.keys)
        _log.info("waiting for a controller at %s (such as `%s` on this machine)", self.server.endpoint, watch)

    def _journal_is_held(self, sentence: str) -> None:
        if self._note is not None:
            self._note(SourceNote("journal_held", sentence, "warning"))


def watch_command(endpoint: str, keys: Path | None) -> str:
    """The command of the reference controller that reaches this endpoint from the same machine."""
    here = endpoint.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:").replace("//*:", "//127.0.0.1:")
    with_keys = f" --key NAME.key_secret --edge-key {quote(str(keys / 'edge.key'))}" if keys is not None else ""
    return f"leuko-edge watch {quote(here)}{with_keys}"
