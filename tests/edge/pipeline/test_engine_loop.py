"""The loop that owns the engine: order, slots, and what each kind of failure does to the fields."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.stand_ins import BROKEN, ListSource, StandInEngine, StandInWork, frame_of

from edge.camera.frame import Frame, SourceNote, SourceTimeout
from edge.contracts.choices import Policy
from edge.contracts.errors import EngineError, SourceError
from edge.contracts.records import FieldStatus, RunOutcome
from edge.pipeline.engine_loop import EngineLoop
from edge.pipeline.field_work import Batching, FieldJob
from edge.pipeline.intake import AdviceNote, Ending, FieldQueue, Grabber, Note
from edge.pipeline.ledger import Ledger
from edge.pipeline.run_control import StopSwitch

pytestmark = pytest.mark.timeout(30)

OK, EMPTY, FAILED, SKIPPED = FieldStatus.OK, FieldStatus.EMPTY, FieldStatus.FAILED, FieldStatus.SKIPPED
KINDS: dict[str, tuple[Callable[[int], Frame], FieldStatus]] = {
    "cells": (lambda i: frame_of(i, 2), OK),
    "no cell": (lambda i: frame_of(i, 0), EMPTY),
    "lost": (lambda i: frame_of(i, status="lost"), FieldStatus.LOST),
    "incomplete": (lambda i: frame_of(i, status="incomplete"), FieldStatus.INCOMPLETE),
    "unreadable": (lambda i: frame_of(i, status="failed"), FAILED),
    "does not fit": (lambda i: frame_of(i, BROKEN), FAILED),
    "breaks after the engine": (lambda i: frame_of(i, BROKEN - 1), FAILED),
}


class Rig:
    """A loop with its queue and grabbing thread, run to its end."""

    def __init__(
        self,
        source: ListSource,
        engine: StandInEngine | None = None,
        *,
        work: StandInWork | None = None,
        policy: Policy = "lossless",
        capacity: int = 2,
        queue_fields: int = 3,
        max_fields: int | None = None,
        stop: StopSwitch | None = None,
        silence_limit_s: float = 10,
        max_delay_ns: int = 10**12,
    ) -> None:
        self.ledger = Ledger()
        self.work = work or StandInWork()
        self.queue = FieldQueue(queue_fields, policy)
        engine = engine or StandInEngine(max_batch=capacity * self.work.n_tiles)
        batching = Batching(capacity, max_delay_ns)
        self.loop = EngineLoop(engine, self.work, self.queue, batching, silence_limit_s)
        grabber = Grabber(source, self.queue, self.ledger, max_fields)
        grabber.start()
        self.jobs: list[FieldJob] = []
        self.notes: list[Note] = []
        while self.loop.goes_on:
            if stop is not None and stop.requested:
                self.loop.take_no_more()
            for ended in self.loop.compute(self.loop.take()):
                self._note_down(ended)
        self.loop.empty_slots()
        self.queue.close()
        assert grabber.join(5)

    def _note_down(self, ended: FieldJob | Note) -> None:
        if isinstance(ended, FieldJob):
            self.jobs.append(ended)
            assert ended.status is not None
            self.ledger.close(ended.frame.trigger_id, ended.status)
        else:
            self.notes.append(ended)

    @property
    def ends(self) -> list[FieldStatus | None]:
        return [job.status for job in self.jobs]


@given(
    st.lists(st.sampled_from(sorted(KINDS)), max_size=12),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_any_mix_of_fields_ends_once_each_in_order(
    kinds: list[str], capacity: int, n_tiles: int, queue_fields: int, streams: int
) -> None:
    source = ListSource([KINDS[kind][0](index) for index, kind in enumerate(kinds)])
    engine = StandInEngine(max_batch=capacity * n_tiles, slots=1 + streams, streams=streams)
    rig = Rig(source, engine, work=StandInWork(n_tiles), capacity=capacity, queue_fields=queue_fields)
    assert rig.ends == [KINDS[kind][1] for kind in kinds]
    assert [job.frame.field_index for job in rig.jobs] == list(range(len(kinds)))
    assert all(job.frame.image is None for job in rig.jobs)
    assert all(job.detail for job in rig.jobs if job.status not in (OK, EMPTY))
    assert all((job.findings is not None) is (job.status in (OK, EMPTY)) for job in rig.jobs)
    assert rig.ledger.sums_match()
    assert rig.loop.ending and rig.loop.ending.outcome is RunOutcome.COMPLETED


@given(st.integers(0, 12), st.integers(0, 4), st.integers(1, 3), st.sampled_from(["lossless", "latest"]))
def test_a_stop_finishes_what_was_taken_in(n_fields: int, stop_at: int, queue_fields: int, policy: Policy) -> None:
    stop, submits = StopSwitch(), iter(range(1000))
    engine = StandInEngine(on_submit=lambda: stop.stop("asked") if next(submits) == stop_at else None)
    source = ListSource([frame_of(index) for index in range(n_fields)])
    rig = Rig(source, engine, policy=policy, queue_fields=queue_fields, stop=stop)
    assert [job.frame.field_index for job in rig.jobs] == list(range(source.given))
    assert rig.ledger.sums_match()
    assert set(rig.ends) <= {OK, SKIPPED}
    if policy == "lossless":  # only a frame that met the closed queue may be skipped
        assert rig.ends.count(SKIPPED) <= 1


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(StandInEngine(fail_submit=(1, EngineError("device gone."))), id="the engine refuses a batch"),
        pytest.param(StandInEngine(fail_collect=(1, EngineError("device gone."))), id="the engine fails while it runs"),
        pytest.param(
            StandInEngine(fail_collect=(0, RuntimeError("device gone."))), id="the engine crashes in an unforeseen way"
        ),
    ],
)
def test_an_engine_failure_fails_what_it_held_and_skips_the_rest(engine: StandInEngine) -> None:
    source = ListSource([frame_of(index) for index in range(40)])
    rig = Rig(source, engine)
    assert rig.ledger.sums_match()
    assert len(rig.jobs) == source.given < 40
    first_bad = rig.ends.index(FAILED)
    assert set(rig.ends[:first_bad]) <= {OK}
    assert set(rig.ends[first_bad:]) <= {FAILED, SKIPPED}
    assert "device gone." in rig.jobs[first_bad].detail
    assert rig.loop.ending and rig.loop.ending.outcome is RunOutcome.FAILED
    assert "device gone." in rig.loop.ending.detail


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        pytest.param(SourceError("the camera was unplugged; plug it in."), "was unplugged", id="a known failure"),
        pytest.param(ZeroDivisionError("boom"), "source crashed (ZeroDivisionError: boom)", id="a defect in the source"),
    ],
)
def test_a_source_failure_keeps_the_fields_it_gave(problem: Exception, words: str) -> None:
    rig = Rig(ListSource([frame_of(0), frame_of(1), problem]))
    assert rig.ends == [OK, OK]
    assert rig.loop.ending and rig.loop.ending.outcome is RunOutcome.FAILED
    assert words in rig.loop.ending.detail


def test_a_silent_source_fails_the_run() -> None:
    rig = Rig(ListSource([frame_of(0), *[SourceTimeout("nothing yet")] * 10**6]), silence_limit_s=0.1)
    assert rig.ends == [OK]
    assert rig.loop.ending and rig.loop.ending.outcome is RunOutcome.FAILED
    assert "gave nothing for 0.1 s" in rig.loop.ending.detail


def test_latest_drops_the_oldest_and_says_so() -> None:
    """The engine does not take its first field before the source has given all six, so that the queue must drop."""
    all_given = threading.Event()
    engine = StandInEngine(max_batch=1, on_submit=lambda: all_given.wait(10))
    source = ListSource([*(frame_of(index) for index in range(6)), all_given.set])
    rig = Rig(source, engine, policy="latest", capacity=1, queue_fields=2)
    assert [job.frame.field_index for job in rig.jobs] == list(range(6))
    assert rig.ends.count(SKIPPED) >= 2
    assert rig.ends[-2:] == [OK, OK]
    assert rig.ledger.sums_match()


def test_max_fields_ends_the_run() -> None:
    source = ListSource([frame_of(index) for index in range(9)])
    rig = Rig(source, max_fields=4)
    assert rig.ends == [OK] * 4
    assert source.given == 4
    assert rig.loop.ending and rig.loop.ending.outcome is RunOutcome.COMPLETED


def test_slots_keep_their_addresses_and_batches_their_size() -> None:
    engine = StandInEngine(max_batch=3)
    rig = Rig(ListSource([frame_of(index) for index in range(30)]), engine, capacity=3, queue_fields=8)
    rows = {engine.slot(slot)[row].__array_interface__["data"][0] for slot in range(2) for row in range(3)}
    assert rig.work.addresses <= rows
    assert sum(engine.submitted) == 30
    assert max(engine.submitted) <= 3


def test_a_repeated_frame_is_noted_and_not_counted() -> None:
    rig = Rig(ListSource([frame_of(0), frame_of(1), frame_of(1), frame_of(0), frame_of(2)]))
    assert rig.ends == [OK, OK, OK]
    assert [note.code for note in rig.notes if not isinstance(note, AdviceNote)] == ["repeated_frame"] * 2


def test_an_engine_that_fails_after_the_source_has_ended_fails_the_run_all_the_same() -> None:
    queue = FieldQueue(3, "lossless")
    queue.put(frame_of(0))
    queue.end(Ending(RunOutcome.COMPLETED, "the source ended"))
    loop = EngineLoop(StandInEngine(fail_collect=(0, EngineError("device gone."))), StandInWork(), queue, Batching(2, 0), 10)
    jobs = [ended for _ in iter(lambda: loop.goes_on, False) for ended in loop.compute(loop.take())]
    assert [job.status for job in jobs if isinstance(job, FieldJob)] == [FAILED]
    assert loop.ending == Ending(RunOutcome.FAILED, "device gone.")


@pytest.mark.parametrize(
    ("streams", "waiting", "submitted"),
    [
        pytest.param(1, 2, [1], id="behind the only one that runs a part of a batch waits for more"),
        pytest.param(2, 2, [1, 1], id="a stream is free: nobody waits for a batch to fill"),
        pytest.param(2, 3, [1, 1], id="both are taken: the third field waits"),
        pytest.param(3, 3, [1, 1, 1], id="as many as run side by side"),
    ],
)
def test_no_stream_stays_idle_while_a_field_waits(streams: int, waiting: int, submitted: list[int]) -> None:
    """Fields that come one by one, while nothing that runs has ended."""
    engine = StandInEngine(max_batch=4, slots=4, streams=streams)
    queue = FieldQueue(4, "lossless")
    loop = EngineLoop(engine, StandInWork(), queue, Batching(4, 10**12), 10)
    for index in range(waiting):
        queue.put(frame_of(index))
        loop.compute(loop.take())
        loop.compute(None)  # runs the batch, or waits for what runs
    assert (engine.submitted, engine.collected) == (submitted, waiting - len(submitted))


class _Changed(StandInEngine):
    """Another engine from its first batch on."""

    def notes(self) -> list[str]:
        return ["the server is gone."] if len(self.submitted) == 1 else []


def test_of_an_engine_that_takes_over_its_own_gate_is_spoken_of() -> None:
    queue = FieldQueue(3, "lossless")
    queue.put(frame_of(0))
    queue.end(Ending(RunOutcome.COMPLETED, "the source ended"))
    loop = EngineLoop(_Changed(), StandInWork(), queue, Batching(2, 0), 10, doubt=lambda info: f"{info.runtime} is new.")
    ended = [each for _ in iter(lambda: loop.goes_on, False) for each in loop.compute(loop.take())]
    while isinstance(note := queue.get(0), SourceNote):
        ended.append(note)
    told = [(note.code, note.message) for note in ended if isinstance(note, SourceNote)]
    assert told == [("engine_changed", "the server is gone."), ("gate_on_other_fields", f"{_Changed().info.runtime} is new.")]
