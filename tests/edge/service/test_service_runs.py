"""Run after run in one process: each is whole, the next may follow at once, and nothing is left over."""

import gc
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.filled_journal import until
from support.served_run import Conveyor
from support.service_here import WITHIN_S, Bench, ServiceHere, service

from edge.contracts.errors import StreamError
from edge.contracts.records import Event, FieldRecord, RunOutcome, RunStart, RunStop
from edge.service import station
from edge.service.process import set_apart_what_lasts
from edge.stream.client import Controller

pytestmark = pytest.mark.timeout(120)
MB = 1e6


def _last(records: Sequence[object]) -> RunStop:
    assert isinstance(records[-1], RunStop)
    return records[-1]


@pytest.mark.parametrize("journal", [pytest.param("memory", id="in memory"), pytest.param("file", id="on disk")])
def test_every_run_is_whole_and_camera_and_engine_are_opened_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, journal: str
) -> None:
    with service(monkeypatch, journal="memory" if journal == "memory" else tmp_path / "j.sqlite") as here:
        here.until("READY")
        for n_fields in (3, 1, 4):
            records = here.run(n_fields)
            assert [record.seq for record in records] == list(range(len(records)))
            told = [record.code for record in records if isinstance(record, Event)]
            assert told == ["fields_bad"] * (n_fields >= 3), "its frames are black"
            assert len(records) == n_fields + 2 + len(told)
            assert isinstance(records[0], RunStart)
            stop = _last(records)
            assert (stop.outcome, stop.triggers, stop.sums_match) == (RunOutcome.STOPPED, n_fields, True)
            assert stop.cells == {"neutrophil_segmented": n_fields}, "the counts begin anew"
        assert here.bench.opened == 1
        state = here.until("READY")
        assert [run.finished for run in state.runs] == [True] * 3 if journal == "file" else len(state.runs) >= 2
        with Controller(here.endpoint, role="observer") as onlooker:
            welcome = onlooker.connect(WITHIN_S)
        assert welcome.edge is not None and welcome.edge.limits.runs == 2**53 - 1


def test_the_next_run_follows_while_the_records_of_the_former_are_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        here.until("READY")
        first = here.controller.start_run(timeout_s=WITHIN_S)
        here.controller.trigger(first, "a", 0, timeout_s=WITHIN_S)
        here.controller.stop_run(first, timeout_s=WITHIN_S)
        # Nothing of it is read or acknowledged; the next may begin once its end is on record.
        while not here.controller.query(first, timeout_s=WITHIN_S).runs[0].finished:
            pass
        second = here.controller.start_run(timeout_s=WITHIN_S)
        here.controller.trigger(second, "a", 0, timeout_s=WITHIN_S)  # a name is one run's
        here.controller.connect(WITHIN_S)  # what was sent in a session is not sent in it again
        of_the_first = list(here.controller.records(first, from_seq=0))
        assert [record.seq for record in of_the_first] == [0, 1, 2]
        here.controller.stop_run(second, timeout_s=WITHIN_S)
        of_the_second = list(here.controller.records(second, from_seq=0))
        assert [type(record) for record in of_the_second] == [RunStart, FieldRecord, RunStop]


def test_a_second_order_waits_for_the_first_run_and_credit_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(monkeypatch, trigger_window=2) as here:
        here.until("READY")
        first = here.controller.start_run(timeout_s=WITHIN_S)
        with pytest.raises(StreamError, match=r"busy.*is in progress"):
            here.controller.start_run(timeout_s=WITHIN_S)
        assert here.until("RUNNING", first).service_state == "RUNNING"
        for index in range(5):
            here.controller.trigger(first, f"t{index}", index, timeout_s=WITHIN_S)
            list(zip(range(2 if index == 0 else 1), here.controller.records(first), strict=False))
        here.controller.stop_run(first, timeout_s=WITHIN_S)
        list(here.controller.records(first))
        second = here.controller.start_run(timeout_s=WITHIN_S)
        assert here.controller.trigger_until[second] == 2
        here.controller.stop_run(second, timeout_s=WITHIN_S)
        assert _last(list(here.controller.records(second))).triggers == 0


def test_abort_ends_the_run_and_leaves_the_service_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(monkeypatch) as here:
        here.until("READY")
        run_id = here.controller.start_run(timeout_s=WITHIN_S)
        here.controller.pause_run(run_id, timeout_s=WITHIN_S)
        here.controller.abort_run(run_id, timeout_s=WITHIN_S)
        stop = _last(list(here.controller.records(run_id)))
        assert (stop.outcome, stop.detail) == (RunOutcome.STOPPED, "the controller aborted it")
        here.until("READY")
        assert here.bench.opened == 1
        assert _last(list(here.run(2))).triggers == 2, "and the pause went with its run"


def test_a_source_that_paces_itself_begins_anew_with_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    conveyor = Conveyor(2, live=False)

    def again() -> None:
        conveyor.given = 0

    monkeypatch.setattr(conveyor, "look_again", again)
    with service(monkeypatch, Bench({}, camera=conveyor)) as here:
        here.until("READY")
        for _ in range(2):
            conveyor.go.release(2)
            records = list(here.controller.records(here.controller.start_run(timeout_s=WITHIN_S)))
            assert _last(records).outcome is RunOutcome.COMPLETED
            assert [record.field_index for record in records if isinstance(record, FieldRecord)] == [0, 1]


def test_a_journal_forgets_what_it_may_while_the_service_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite", journal_keep_days=0.0) as here:
        here.until("READY")
        for _ in range(2):
            here.run(1)
        assert here.until("READY").runs_held == 2
        monkeypatch.setattr(station, "TIDY_EVERY_S", 0.2)
        monkeypatch.setattr(station, "IDLE_S", 0.0)
        until_s = time.monotonic() + WITHIN_S
        while here.controller.query(timeout_s=WITHIN_S).runs_held and time.monotonic() < until_s:
            time.sleep(0.02)
        monkeypatch.setattr(station, "TIDY_EVERY_S", 1000.0)
        here.until("READY")
        assert _last(here.run(2)).triggers == 2
        assert here.bench.opened == 1


def _left_over(here: ServiceHere, n_runs: int) -> dict[str, float]:
    """How much more there is after so many runs."""
    me = psutil.Process()

    def now() -> dict[str, float]:
        files = len(list(Path("/proc/self/fd").iterdir()))
        return {"threads": threading.active_count(), "files": files, "MB": me.memory_info().rss / MB}

    for _ in range(5):  # what grows once is no leak
        here.run(3)
    here.until("READY")
    before = now()
    for _ in range(n_runs):
        here.run(3)
    here.until("READY")
    with suppress(AssertionError):  # what ends with a run may take a moment
        until(lambda: now()["threads"] <= before["threads"] and now()["files"] <= before["files"])
    after = now()
    return {name: after[name] - before[name] for name in before}


def _nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n_runs: int, most_mb: float) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite", telemetry="tcp://127.0.0.1:*") as here:
        here.until("READY")
        left = _left_over(here, n_runs)
    assert left["threads"] <= 0 and left["files"] <= 0, left
    assert left["MB"] < most_mb, left


def test_nothing_is_left_over_from_run_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _nothing_is_left(monkeypatch, tmp_path, 10, 8.0)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_hundred_runs_in_one_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _nothing_is_left(monkeypatch, tmp_path, 100, 12.0)


def test_the_collector_leaves_alone_what_is_open_and_takes_what_has_gone_with_it() -> None:
    """Once more after something was opened anew: what was set apart before and is garbage by now goes, too."""

    class Opened:
        def __init__(self) -> None:
            self.itself = self

    try:
        lasts, gone = Opened(), Opened()
        set_apart_what_lasts()
        assert gc.get_freeze_count() > 10_000, "a process with its libraries"
        assert not any(each is lasts for each in gc.get_objects())
        watched = weakref.ref(gone)
        del gone
        gc.collect()
        assert watched() is not None, "it was set apart"
        set_apart_what_lasts()
        assert watched() is None
    finally:
        gc.unfreeze()
