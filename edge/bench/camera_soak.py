"""What `leuko-edge soak` measures: a camera through the whole loop, and in turn the same camera read by hardly anything."""

import logging
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from edge.bench.bare_client import read_bare
from edge.bench.camera_soak_report import Rates, Soaked, summary, waits_for_pulses
from edge.bench.memory import MemoryTrace
from edge.bench.substitutes import finds_nothing
from edge.contracts.errors import ConfigError, JournalError, SourceError, sentence_of
from edge.contracts.messages import Rejected, RunStartCommand, TriggerCommand
from edge.contracts.records import Event, FieldRecord, Record, RunOutcome, RunStop
from edge.journal.base import Journal
from edge.journal.sqlite_journal import SqliteJournal
from edge.pipeline import Parts, Run, StopSwitch, opened, records_of
from edge.pipeline.trigger_desk import TriggerDesk
from edge.service.process import stop_on_signals
from edge.settings import Setup
from edge.watch.work_progress import Passed, field_bar

_NO_CREDIT_S = 0.0005
_log = logging.getLogger(__name__)


@dataclass
class Bench:
    """What every run of a soak shares; `passed` is told how many more fields are done."""

    setup: Setup
    journal: Journal
    stop: StopSwitch
    passed: Passed


def soak_camera(setup: Setup, fields: int, rounds: int, round_fields: int, *, stand_in: bool) -> dict[str, Any]:
    """Run `fields` through the loop and a journal on disk, then so many `rounds` of both; the figures of `summary`.

    `stand_in`: with an engine that finds nothing instead of the model. Raises `ConfigError` when the source ends by itself and
    there are rounds, and what opening raises.
    """
    stop = StopSwitch()
    with stop_on_signals(stop), opened(setup) as parts, ExitStack() as held:
        info = parts.source.info
        if rounds and info.self_paced and info.n_fields is not None:
            raise ConfigError(f"{info.uri} ends by itself and cannot be read in rounds; leave --rounds out.")
        if waits_for_pulses(info):
            _log.warning("the scanner must pulse the trigger line of %s for every field; this command only waits.", info.uri)
        if stand_in:
            parts = finds_nothing(parts)  # noqa: PLW2901
        progress = held.enter_context(field_bar())  # after what is said above: it draws over its line
        memory = MemoryTrace(fields)
        due = min(fields, info.n_fields) if info.self_paced and info.n_fields is not None else fields
        task = progress.add_task("fields", total=due + 2 * round_fields * (rounds + 1) * bool(rounds))

        def passed(n: int) -> None:
            progress.advance(task, n)

        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="leuko-soak-"))
        journal = held.enter_context(closing(SqliteJournal(Path(folder) / "journal.sqlite", setup.settings.journal_durability)))
        bench = Bench(setup, journal, stop, passed)
        soaked = soak_run(bench, parts, fields, memory)
        rates = against_bare(bench, parts, round_fields, rounds) if rounds else None
        return summary(soaked, memory, rates, info, str(parts.engine.info))


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


def against_bare(bench: Bench, parts: Parts, n_fields: int, rounds: int) -> Rates:
    """Both take turns on the same open camera, after one round each that does not count; so does a round that was cut short."""
    rates = Rates()
    stand_in, timeout_s = finds_nothing(parts), bench.setup.settings.trigger_timeout_s
    for number in range(rounds + 1):
        try:
            bare, bare_lost = read_bare(parts.source, n_fields, timeout_s, bench.stop, bench.passed)
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
                if answer.code == "complete":
                    return
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
