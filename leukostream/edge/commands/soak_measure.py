"""What `leuko-edge soak` measures: a camera through the whole loop, and the same camera read by hardly anything."""

import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import cast

import numpy as np

from leukostream.edge.camera.frame import FrameSource, SourceTimeout, Trigger, TriggeredSource
from leukostream.edge.commands.memory import MemoryTrace
from leukostream.edge.contracts.detections import Image, RawDetections
from leukostream.edge.contracts.errors import SourceError
from leukostream.edge.contracts.messages import Rejected, RunStartCommand, TriggerCommand
from leukostream.edge.contracts.records import Event, FieldRecord, RunStop
from leukostream.edge.contracts.status import RunOutcome
from leukostream.edge.engine.base import EngineInfo
from leukostream.edge.journal.base import Journal
from leukostream.edge.pipeline import Opened, Run, StopSwitch
from leukostream.edge.pipeline.announcing import TriggerDesk
from leukostream.edge.settings import Setup

_READ_S = 0.02
_PATIENCE_S = 10.0
_NO_CREDIT_S = 0.0005


class NothingEngine:
    """Implements `Engine` as a stand-in: takes no time and finds nothing, so that only the camera and the loop are measured."""

    def __init__(self, width_px: int, height_px: int, max_batch: int) -> None:
        self.info = EngineInfo("stand-in", "that finds nothing", "CPU", "no arithmetic", width_px, height_px, max_batch, 2, 1)
        self._slots = [np.zeros((max_batch, height_px, width_px, 3), np.uint8) for _ in range(self.info.slots)]
        self._rows = [0] * self.info.slots

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        self._rows[index] = n

    def collect(self, index: int) -> RawDetections:
        n = self._rows[index]
        return RawDetections(np.zeros((n, 1, 4), np.float32), np.zeros((n, 1), np.float32), np.zeros((n, 1), np.int32))

    def keep_warm(self) -> None:
        """There is nothing to warm."""

    def close(self) -> None:
        self._slots.clear()


@dataclass
class Soaked:
    """What became of the fields of one run. Times in ms of those that were processed; `losses` by status and cause."""

    statuses: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    trigger_to_frame_ms: list[float] = field(default_factory=list)
    frame_to_record_ms: list[float] = field(default_factory=list)
    age_ms: list[float] = field(default_factory=list)
    moments_s: list[float] = field(default_factory=list)
    """when each field's record was handed over"""
    stop: RunStop | None = None

    def per_s(self) -> float:
        """Fields per second from the first record to the last."""
        return rate_of(self.moments_s)

    def add(self, record: FieldRecord) -> None:
        self.moments_s.append(time.monotonic())
        self.statuses[record.status.value] += 1
        if record.times is not None:
            self.trigger_to_frame_ms.append(record.times.acquire_ms)
            self.frame_to_record_ms.append(record.times.total_ms)
        else:
            # Causes are told apart by their words, not by the numbers in them.
            self.losses[re.sub(r"\d+", "N", f"{record.status.value}: {record.detail}")] += 1
        if record.age_ms is not None:
            self.age_ms.append(record.age_ms)


def rate_of(moments_s: list[float]) -> float:
    """Steps per second between the first and the last of these moments; 0 for fewer than two."""
    return (len(moments_s) - 1) / (moments_s[-1] - moments_s[0]) if len(moments_s) > 1 else 0.0


@dataclass
class Bench:
    """What every run of a soak shares; `passed` is told how many more fields are done."""

    setup: Setup
    journal: Journal
    stop: StopSwitch
    passed: Callable[[int], None]


def soak_run(bench: Bench, parts: Opened, n_fields: int, memory: MemoryTrace | None = None) -> Soaked:
    """One run of `n_fields` over the open source, its triggers announced as fast as there is credit."""
    settings, journal = bench.setup.settings, bench.journal
    order = RunStartCommand(cmd_id="soak", run_id=str(uuid.uuid4()), max_fields=n_fields)
    desk = None if parts.source.info.self_paced else TriggerDesk(journal, settings.trigger_window, n_fields)
    run = Run(bench.setup, parts.source, parts.engine, parts.plan, order, bench.stop, desk)
    soaked = Soaked()
    with _announcing(desk, order.run_id):
        for record in run.records():
            journal.append(record)
            if journal.trouble:
                bench.stop.stop(journal.trouble, RunOutcome.FAILED)
            if isinstance(record, FieldRecord):
                soaked.add(record)
                bench.passed(1)
                if memory is not None:
                    memory.passed(len(soaked.moments_s))
            elif isinstance(record, Event):
                soaked.events[record.code] += 1
            elif isinstance(record, RunStop):
                soaked.stop = record
    return soaked


@contextmanager
def _announcing(desk: TriggerDesk | None, run_id: str) -> Iterator[None]:
    """A scanner's part: announce the next field as soon as it may be."""
    if desk is None:
        yield
        return
    over = threading.Event()

    def announce() -> None:
        for index in count():
            command = TriggerCommand(cmd_id=f"c{index}", run_id=run_id, trigger_id=f"t{index}", field_index=index)
            while isinstance(answer := desk.announce(command), Rejected):
                desk.answers()  # as the stream would take them
                if answer.code != "credit" or over.wait(_NO_CREDIT_S):
                    return

    thread = threading.Thread(target=announce, name="soak-announce", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass
class Rates:
    """Fields per second of the bare client and of the loop, one per round; the two of a round ran one after the other."""

    bare_per_s: list[float] = field(default_factory=list)
    loop_per_s: list[float] = field(default_factory=list)
    loop_lost: int = 0
    bare_lost: int = 0

    def ratio(self) -> float:
        """Median over the rounds of loop / bare."""
        return float(np.median(np.array(self.loop_per_s) / np.array(self.bare_per_s)))


def against_bare(bench: Bench, parts: Opened, n_fields: int, rounds: int) -> Rates:
    """Both take turns on the same open camera, after one round each that does not count."""
    rates = Rates()
    engine = NothingEngine(parts.plan.engine_width_px, parts.plan.engine_height_px, parts.engine.info.max_batch)
    for number in range(rounds + 1):
        if bench.stop.requested:
            break
        bare, bare_lost = _bare(parts.source, n_fields, bench.passed)
        looped = soak_run(bench, replace(parts, engine=engine), n_fields)
        if number:
            rates.bare_per_s.append(bare)
            rates.loop_per_s.append(looped.per_s())
            rates.bare_lost += bare_lost
            rates.loop_lost += sum(looped.losses.values())
    return rates


def _bare(source: FrameSource, n_fields: int, passed: Callable[[int], None]) -> tuple[float, int]:
    """Read and forget. Returns frames per second, and how many of them were not whole."""
    source.start()
    triggered = None if source.info.self_paced else cast("TriggeredSource", source)
    moments_s, lost, quiet_s = list[float](), 0, time.monotonic()
    while len(moments_s) < n_fields:
        if triggered is not None:
            triggered.expect(Trigger(f"bare-{len(moments_s)}", len(moments_s), None))
        while True:
            try:
                frame = source.read(_READ_S)
                break
            except SourceTimeout:
                if time.monotonic() - quiet_s > _PATIENCE_S:
                    raise SourceError(f"{source.info.uri} gave nothing for {_PATIENCE_S:g} s; check it.") from None
        quiet_s = time.monotonic()
        moments_s.append(quiet_s)
        lost += frame.status != "ok"
        passed(1)
    return rate_of(moments_s), lost
