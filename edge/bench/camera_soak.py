"""What `leuko-edge soak` measures: a camera through the whole loop, and the same camera read by hardly anything."""

import logging
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

from edge.bench.loop_bench import ReplayEngine
from edge.bench.memory import MemoryTrace
from edge.camera.frame import Frame, FrameSource, SourceEnded, SourceTimeout, Trigger, TriggeredSource
from edge.contracts.detections import RawDetections
from edge.contracts.errors import JournalError, SourceError, sentence_of
from edge.contracts.messages import Rejected, RunStartCommand, TriggerCommand
from edge.contracts.records import Event, FieldRecord, Record, RunOutcome, RunStop
from edge.journal.base import Journal
from edge.pipeline import Parts, Run, StopSwitch, records_of
from edge.pipeline.trigger_desk import TriggerDesk
from edge.settings import Setup

_READ_S = 0.02
_PATIENCE_S = 10.0
_NO_CREDIT_S = 0.0005
_log = logging.getLogger(__name__)


def finds_nothing(parts: Parts) -> Parts:
    """The same with a stand-in engine: it takes no time and finds nothing, so that only camera and loop are measured."""
    n = parts.plan.n_tiles
    nothing = RawDetections(np.zeros((n, 1, 4), np.float32), np.zeros((n, 1), np.float32), np.zeros((n, 1), np.int32))
    engine = ReplayEngine(parts.engine, [nothing])
    engine.info = replace(
        parts.engine.info, runtime="stand-in", version="that finds nothing", device="CPU", precision="no arithmetic"
    )
    return replace(parts, engine=engine)


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


def soak_run(bench: Bench, parts: Parts, n_fields: int, memory: MemoryTrace | None = None) -> Soaked:
    """One run of `n_fields` over the open source, its triggers announced as fast as there is credit."""
    settings, journal = bench.setup.settings, bench.journal
    order = RunStartCommand(cmd_id="soak", run_id=str(uuid.uuid4()), max_fields=n_fields)
    desk = None if parts.source.info.self_paced else TriggerDesk(journal, settings.trigger_window, n_fields)
    run = Run(bench.setup, Parts(parts.source, parts.engine, parts.plan), order, bench.stop, desk)
    soaked = Soaked()
    with _announcing(desk, order.run_id, bench.stop):
        for record in records_of(run):
            _append(journal, record, bench.stop)
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


def _append(journal: Journal, record: Record, stop: StopSwitch) -> None:
    """A journal that fails ends the run, and what was measured until then is told all the same."""
    try:
        journal.append(record)
    except JournalError as problem:
        stop.stop(str(problem), RunOutcome.FAILED)
    if journal.trouble:
        stop.stop(journal.trouble, RunOutcome.FAILED)


@contextmanager
def _announcing(desk: TriggerDesk | None, run_id: str, stop: StopSwitch) -> Iterator[None]:
    """A scanner's part: announce the next field as soon as it may be. When none can be any more, the run has failed."""
    if desk is None:
        yield
        return
    over = threading.Event()

    def announce() -> None:
        for index in count():
            command = TriggerCommand(cmd_id=f"c{index}", run_id=run_id, trigger_id=f"t{index}", field_index=index)
            while isinstance(answer := desk.announce(command), Rejected):
                desk.answers()  # as the stream would take them
                if answer.code != "credit":
                    if not desk.closed:  # a run that is about to end takes none, which is nobody's mistake
                        stop.stop(answer.reason, RunOutcome.FAILED)
                    return
                if over.wait(_NO_CREDIT_S):
                    return

    def announce_or_fail() -> None:
        try:
            announce()
        except Exception as problem:  # noqa: BLE001 without announcements the run would wait for ever
            _log.debug("where announcing failed", exc_info=problem)
            stop.stop(sentence_of(problem, "announcing triggers crashed"), RunOutcome.FAILED)

    thread = threading.Thread(target=announce_or_fail, name="soak-announce", daemon=True)
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
    ended_early: str = ""
    """Why there were fewer rounds than asked for; empty when there were not."""

    def ratio(self) -> float:
        """Median over the rounds of loop / bare."""
        return float(np.median(np.array(self.loop_per_s) / np.array(self.bare_per_s)))


def against_bare(bench: Bench, parts: Parts, n_fields: int, rounds: int) -> Rates:
    """Both take turns on the same open camera, after one round each that does not count; so does a round that was cut short."""
    rates = Rates()
    stand_in = finds_nothing(parts)
    for number in range(rounds + 1):
        try:
            bare, bare_lost = _bare(bench, parts.source, n_fields)
        except SourceError as problem:
            rates.ended_early = str(problem)
            break
        parts.source.notes()  # they are none of the next run's
        looped = soak_run(bench, stand_in, n_fields)
        if looped.stop is None or looped.stop.outcome is not RunOutcome.COMPLETED:
            rates.ended_early = looped.stop.detail if looped.stop else "a run ended without a word; report this defect."
            break
        if number:
            rates.bare_per_s.append(bare)
            rates.loop_per_s.append(looped.per_s())
            rates.bare_lost += bare_lost
            rates.loop_lost += sum(looped.losses.values())
    return rates


def _bare(bench: Bench, source: FrameSource, n_fields: int) -> tuple[float, int]:
    """Read and forget. Returns fields per second, and how many of their frames were not whole.

    A trigger without a frame counts for both: the loop, too, waits for it as long and goes on.
    """
    source.start()
    triggered = None if source.info.self_paced else cast("TriggeredSource", source)
    moments_s, lost = list[float](), 0
    while len(moments_s) < n_fields and not bench.stop.requested:
        if triggered is None:
            frame = _next(source, "", _PATIENCE_S)
            if frame is None:
                raise SourceError(f"{source.info.uri} gave nothing for {_PATIENCE_S:g} s; check it.")
        else:
            trigger = Trigger(f"bare-{len(moments_s)}", len(moments_s), None)
            triggered.expect(trigger)
            frame = _next(source, trigger.trigger_id, bench.setup.settings.trigger_timeout_s)
            if frame is None:
                triggered.give_up(trigger.trigger_id)
        moments_s.append(time.monotonic())
        lost += frame is None or frame.status != "ok"
        bench.passed(1)
    return rate_of(moments_s), lost


def _next(source: FrameSource, trigger_id: str, patience_s: float) -> Frame | None:
    """The frame of this trigger, or any when none is named; None when it does not come in time."""
    until_s = time.monotonic() + patience_s
    while time.monotonic() < until_s:
        try:
            frame = source.read(min(_READ_S, patience_s))
        except SourceTimeout:
            continue
        except SourceEnded:
            raise SourceError(f"{source.info.uri} ended by itself and cannot be read in rounds; leave --rounds out.") from None
        if not trigger_id or frame.trigger_id == trigger_id:
            return frame
    return None
