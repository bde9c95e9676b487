"""PAUSE, CONTINUE, ABORT and RUN_STOP through a whole edge: what becomes of triggers, sources and records."""

import time
from collections import Counter
from pathlib import Path

import pytest
from support.served_run import Conveyor, PlainCamera, served

from edge.contracts.errors import StreamError
from edge.contracts.messages import Accepted, ContinueCommand, PauseCommand, Resume, RunStartCommand, TriggerCommand
from edge.contracts.records import Event, FieldRecord, FieldStatus, Record, RunOutcome
from edge.stream.client import Controller

pytestmark = pytest.mark.timeout(90)
PATIENT_S = 60.0
"""Of whatever must not be waited for: longer than any test may take."""


def statuses(records: list[Record]) -> Counter[FieldStatus]:
    return Counter(record.status for record in records if isinstance(record, FieldRecord))


def codes(records: list[Record]) -> list[str]:
    return [record.code for record in records if isinstance(record, Event)]


def is_event(code: str) -> "object":
    return lambda record: isinstance(record, Event) and record.code == code


@pytest.mark.parametrize("stopped_first", [False, True], ids=["at once", "after RUN_STOP"])
def test_abort_ends_every_open_trigger_as_skipped_without_waiting_for_its_frame(stopped_first: bool) -> None:
    camera = PlainCamera(silent=lambda index: index > 1, at_once=2)
    with served(camera, trigger_timeout_s=PATIENT_S) as edge:
        run_id = edge.controller.start_run()
        edge.announce(run_id, *range(8))
        edge.until(lambda record: isinstance(record, FieldRecord) and record.field_index == 1)
        if stopped_first:
            edge.controller.stop_run(run_id)
        edge.controller.abort_run(run_id)
        stop, records = edge.to_the_end(lambda: edge.controller.abort_run(run_id))  # again, and late: it changes nothing
        assert statuses(records) == {FieldStatus.SKIPPED: 6}
        assert [record.field_index for record in records if isinstance(record, FieldRecord)] == [*range(2, 8)]
        assert (stop.outcome, stop.sums_match, stop.triggers) == (RunOutcome.STOPPED, True, 8)
        assert stop.detail == ("the controller asked for it" if stopped_first else "the controller aborted it")


def test_abort_of_a_source_that_paces_itself_ends_the_run_too() -> None:
    source = Conveyor(10, live=False)
    with served(source, source_timeout_s=PATIENT_S) as edge:
        run_id = edge.controller.start_run()
        source.go.release()
        edge.until(lambda record: isinstance(record, FieldRecord))
        edge.controller.abort_run(run_id)
        stop, _ = edge.to_the_end()
        assert (stop.outcome, stop.sums_match, stop.triggers) == (RunOutcome.STOPPED, True, 1)


@pytest.mark.parametrize("at_once", [1, 4, 256], ids=["fired one by one", "some at once", "on a line"])
@pytest.mark.parametrize("signal", [False, True], ids=["RUN_STOP", "SIGTERM"])
def test_after_a_stop_triggers_without_a_frame_end_together(at_once: int, signal: bool) -> None:
    """One after the other each would have waited for its own."""
    with served(PlainCamera(silent=lambda _: True, at_once=at_once), trigger_timeout_s=1.0) as edge:
        run_id = edge.controller.start_run()
        edge.announce(run_id, *range(16))
        if signal:
            edge.stop.stop("SIGTERM was received")
        else:
            edge.controller.stop_run(run_id)
        stop, records = edge.to_the_end()
        ended = statuses(records)
        assert set(ended) <= {FieldStatus.TIMEOUT, FieldStatus.SKIPPED}
        assert (ended.total(), stop.sums_match, stop.triggers) == (16, True, 16)
        # What timed out was exposed: before the stop at most one after the other, at the stop all that were under way.
        assert ended[FieldStatus.TIMEOUT] >= min(at_once, 16)
        ends_ns = [record.t_host_ns for record in records if isinstance(record, FieldRecord)]
        assert max(ends_ns) - min(ends_ns) < 7.5e9, "one after the other there would be a timeout between each two"


def test_a_trigger_may_take_longer_than_the_source_may_be_silent() -> None:
    with served(PlainCamera(silent=lambda index: index == 0), trigger_timeout_s=0.6, source_timeout_s=0.3) as edge:
        run_id = edge.controller.start_run()
        edge.announce(run_id, 0, 1)
        edge.controller.stop_run(run_id)
        stop, records = edge.to_the_end()
        assert stop.outcome is RunOutcome.STOPPED
        assert statuses(records)[FieldStatus.TIMEOUT] == 1


def test_a_pause_holds_the_credit_and_is_on_record() -> None:
    with served(PlainCamera(), trigger_window=4) as edge:
        run_id = edge.controller.start_run()
        edge.controller.pause_run(run_id)
        edge.until(is_event("paused"))  # type: ignore[arg-type]
        edge.announce(run_id, *range(4))
        edge.until(lambda record: isinstance(record, FieldRecord) and record.field_index == 3)
        with pytest.raises(StreamError, match=r"\(credit\)"):
            edge.announce(run_id, 4)
        assert edge.controller.query(run_id).runs[0].paused
        edge.controller.pause_run(run_id)
        edge.controller.continue_run(run_id)
        edge.controller.continue_run(run_id)
        edge.announce(run_id, 5)
        edge.controller.stop_run(run_id)
        with pytest.raises(StreamError, match=r"\(state\)"):
            edge.controller.pause_run(run_id)
        stop, records = edge.to_the_end()
        assert codes(records) == ["continued", "fields_bad"], "what is so already is not said again, and its frames are black"
        assert (stop.triggers, stop.sums_match) == (5, True)


def test_a_pause_outlives_the_session_of_the_controller_that_sent_it() -> None:
    with served(PlainCamera()) as edge:
        run_id = edge.controller.start_run()
        command = PauseCommand(cmd_id="pause", run_id=run_id)
        assert isinstance(edge.controller.command(command), Accepted)
        with Controller(edge.endpoint, client_id="scanner") as again:
            welcome = again.connect(20, Resume(run_id=run_id, next_seq=0))
            assert [run.paused for run in welcome.runs if run.run_id == run_id] == [True]
            assert isinstance(again.command(command), Accepted), "a repeated command is done once"
            assert isinstance(again.command(ContinueCommand(cmd_id="on", run_id=run_id)), Accepted)
            again.stop_run(run_id)
            found = [record for record in again.records()]
        assert codes(found) == ["paused", "continued"]


def test_a_folder_is_not_read_during_a_pause_and_misses_nothing() -> None:
    source = Conveyor(6, live=False)
    with served(source, source_timeout_s=0.3) as edge:
        run_id = edge.controller.start_run()
        source.go.release(2)
        edge.until(lambda record: isinstance(record, FieldRecord) and record.field_index == 1)
        edge.controller.pause_run(run_id)
        edge.until(is_event("paused"))  # type: ignore[arg-type]
        source.go.release(4)
        time.sleep(0.8)  # longer than the source may be silent: a pause is no silence
        given = source.given
        assert given <= 3, "one read may have been under way"
        edge.controller.continue_run(run_id)
        stop, records = edge.to_the_end()
        assert [record.field_index for record in records if isinstance(record, FieldRecord)] == [*range(2, 6)]
        assert (stop.outcome, stop.triggers, stop.sums_match) == (RunOutcome.COMPLETED, 6, True)
        assert stop.source is not None
        assert stop.source.while_paused == 0


def test_frames_of_a_free_running_camera_are_dropped_in_a_pause_and_counted() -> None:
    source = Conveyor(9, live=True)
    with served(source) as edge:
        run_id = edge.controller.start_run()
        source.go.release(2)
        edge.until(lambda record: isinstance(record, FieldRecord) and record.field_index == 1)
        edge.controller.pause_run(run_id)
        edge.until(is_event("paused"))  # type: ignore[arg-type]
        source.go.release(3)
        while source.given < 5:
            time.sleep(0.01)
        source.go.release()
        while source.given < 6:
            time.sleep(0.01)
        edge.controller.continue_run(run_id)
        source.go.release(3)
        stop, records = edge.to_the_end()
        (continued,) = [record for record in records if isinstance(record, Event) and record.code == "continued"]
        assert stop.source is not None
        missed = stop.source.while_paused
        assert missed in {3, 4}, "the last was on its way when the pause ended"
        assert (continued.code, continued.severity) == ("continued", "warning")
        assert stop.triggers + missed == 9
        assert stop.sums_match


@pytest.mark.parametrize(
    ("max_fields", "code"), [pytest.param(0, "invalid", id="none at all"), pytest.param(2, "complete", id="all announced")]
)
def test_a_limit_of_fields_is_no_lack_of_credit(max_fields: int, code: str) -> None:
    with (
        served(PlainCamera(silent=lambda index: index == 1), trigger_timeout_s=PATIENT_S) as edge,
        pytest.raises(StreamError, match=rf"\({code}\)"),
    ):
        run_id = edge.controller.start_run(max_fields=max_fields)
        edge.announce(run_id, 0, 1, 2)


def test_a_repeated_command_is_the_same_command() -> None:
    with served(PlainCamera(), trigger_window=1) as edge:
        run_id = edge.controller.start_run()
        first = TriggerCommand(cmd_id="c", run_id="nobody", trigger_id="t0", field_index=0)
        assert edge.controller.command(first).type == "REJECTED"
        other = edge.controller.command(first.model_copy(update={"run_id": run_id}))
        assert getattr(other, "code", "") == "duplicate_command"
        assert getattr(edge.controller.command(first), "code", "") == "unknown_run", "the refusal of the very same is repeated"


def test_a_place_is_imaged_anew_over_the_wire_and_a_continued_run_carries_the_net_sums(tmp_path: Path) -> None:
    journal, camera = tmp_path / "journal.sqlite", PlainCamera()
    camera.cells = {0: 1, 1: 3, 2: 2}
    with served(camera, journal) as edge:
        run_id = edge.controller.start_run()
        edge.announce(run_id, 0, 1)
        edge.until(lambda record: isinstance(record, FieldRecord) and record.field_index == 1)
        edge.announce(run_id, 2, replaces="t1")
        edge.controller.stop_run(run_id)
        stop, records = edge.to_the_end()
        (field,) = [record for record in records if isinstance(record, FieldRecord)]
        assert (field.replaces, field.running.cells, stop.cells) == ("t1", *[{"neutrophil_segmented": 6}] * 2)
        assert stop.net is not None
        assert (stop.net.replaced, stop.net.cells) == (1, {"neutrophil_segmented": 3})
        assert stop.carried is None
    camera = PlainCamera()
    with served(camera, journal) as edge:
        order = RunStartCommand(cmd_id="next", run_id="r2", continues_run_id=run_id)
        assert isinstance(edge.controller.command(order), Accepted)
        edge.controller.follow("r2", 0)
        edge.announce("r2", 0)
        edge.until(lambda record: isinstance(record, FieldRecord))
        carried = edge.controller.query("r2").carried
        assert carried is not None
        assert carried.cells == {"neutrophil_segmented": 4}
        edge.controller.stop_run("r2")
        stop, _ = edge.to_the_end()
        assert (stop.net, stop.carried, stop.doubts) == (None, carried, ())
        assert carried.run_ids == (run_id, "r2")
    with served(camera, journal) as edge:
        repeated = edge.controller.command(order)
        assert isinstance(repeated, Accepted)
        assert repeated.trigger_until == 1, "of a run that has ended: what was announced, and not null"
        order = RunStartCommand(cmd_id="third", run_id="r3", continues_run_id="nowhere")
        assert isinstance(edge.controller.command(order), Accepted)
        edge.controller.follow("r3", 0)
        edge.controller.stop_run("r3")
        stop, _ = edge.to_the_end()
        assert stop.carried is not None
        assert stop.carried.missing_run_id == "nowhere"
        assert "'nowhere'" in stop.doubts[0]
