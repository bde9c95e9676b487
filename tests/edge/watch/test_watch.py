"""`leuko-edge watch` as its user meets it: a process, its output, its exit code."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.scripted_run import Edge, StartEdge, field_record, run_start
from support.served_run import Conveyor, served

from edge.contracts.records import FieldStatus, RunOutcome, RunStart
from edge.stream.client import Controller
from edge.watch import record_text
from edge.watch.view import PlainLines, Unusable

pytestmark = pytest.mark.timeout(40)


@contextmanager
def _watching(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "edge.cli", "watch", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _watch(*arguments: str) -> tuple[int, list[str], str]:
    with _watching(*arguments) as process:
        out, err = process.communicate(timeout=30)
        return process.returncode, out.splitlines(), err


def _journalled(edge: Edge) -> list[str]:
    (run_id,) = edge.journal.runs()
    return [content.decode() for _, content in edge.journal.read(run_id, 0, 10_000)]


def test_json_is_exactly_the_journal_one_record_a_line(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=12)
    code, lines, err = _watch(edge.endpoint, "--json", "--run-id", "run-7", "--slide-id", "slide-9")
    assert (code, err) == (0, "")
    assert lines == _journalled(edge)
    assert (json.loads(lines[0])["run_id"], json.loads(lines[0])["slide_id"]) == ("run-7", "slide-9")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--target-leukocytes", "0"], "this cannot be ordered: `order.target_leukocytes` is 0", id="nothing"),
        pytest.param(["--limit-width", "lymphocyte"], "is not CLASS=POINTS", id="no width"),
        pytest.param(["--limit-width", "lymphozyte=5"], "no leukocyte class", id="no class"),
        pytest.param(["--profile", "low", "--observer"], "an observer chooses no profile", id="a profile as an observer"),
        pytest.param(["--profile", ""], "--profile", id="a profile without a name"),
        pytest.param(["--field-cap", "3", "--observer"], "an observer orders nothing", id="as an observer"),
    ],
)
def test_what_cannot_be_ordered_is_said_before_there_is_a_session(arguments: list[str], said: str) -> None:
    code, lines, err = _watch("tcp://127.0.0.1:1", *arguments)
    assert (code, lines) == (2, []) and said in err and err.count("\n") == 1


def test_an_order_stops_the_run_once_that_is_advised_for_good() -> None:
    source = Conveyor(50, live=False)
    source.go.release(50)
    with served(source, max_fields=40) as edge:
        edge.controller.close()
        code, lines, err = _watch(edge.endpoint, "--json", "--target-leukocytes", "3", "--limit-width", "blast=0.5")
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in lines]
    assert records[0]["order"]["target_leukocytes"] == 3 and records[0]["order"]["limit_width_percent"] == {"blast": 0.5}
    assert [record["advice"] for record in records if record["type"] == "advice" and record["final"]] == ["stop"]
    assert records[-1]["outcome"] in {"stopped", "completed"}, "stopped, unless all 40 fields were faster than the message"


def test_a_profile_that_there_is_not_is_refused(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=3)
    code, lines, err = _watch(edge.endpoint, "--profile", "low")
    assert (code, lines) == (6, []) and "refused (unsupported): `profile` is 'low'" in err


def test_an_edge_that_knows_no_profiles_by_name_is_not_believed(start_edge: StartEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = start_edge(n_fields=10_000, hold=True)
    monkeypatch.setattr(edge.run.control, "_profile_fault", lambda name: None)  # as an older one, which does not read the key
    code, _, err = _watch(edge.endpoint, "--profile", "low", "--run-id", "r")
    assert code == 6 and "has begun run r without 'low', which is aborted" in err
    assert edge.run.written.wait(30) and json.loads(_journalled(edge)[-1])["outcome"] == "stopped"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        pytest.param(RunOutcome.COMPLETED, 0, id="the source ended"),
        pytest.param(RunOutcome.FAILED, 1, id="the run failed"),
    ],
)
def test_into_a_pipe_go_plain_lines_and_the_exit_code_is_the_outcomes(
    start_edge: StartEdge, outcome: RunOutcome, code: int
) -> None:
    edge = start_edge(n_fields=3, outcome=outcome)
    got, lines, _ = _watch(edge.endpoint)
    text = "\n".join(lines)
    assert got == code
    assert "\x1b" not in text
    assert "SYNTHETIC FIELDS" in text
    assert sum(line.startswith("field ") for line in lines) == 3
    assert "cells: sNEU 0.94" in text
    assert f"run {outcome.value}" in text
    assert "95 % limits" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_run_and_waits_for_run_stop(start_edge: StartEdge, number: signal.Signals) -> None:
    edge = start_edge(n_fields=1000, hold=True)
    with _watching(edge.endpoint, "--json") as process:
        assert process.stdout is not None
        for _ in range(3):
            edge.run.go.release()
        seen = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.send_signal(number)
        rest, err = process.communicate(timeout=20)
    assert [record["seq"] for record in seen] == [0, 1, 2, 3]
    (stop,) = [json.loads(line) for line in rest.splitlines()]
    assert (stop["type"], stop["outcome"], stop["triggers"]) == ("run_stop", "stopped", 3)
    assert (process.returncode, err) == (0, "")


def test_an_observer_reads_the_run_that_somebody_else_controls(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=5)
    with Controller(edge.endpoint) as controller:
        controller.connect()
        controller.start_run()
        code, lines, err = _watch(edge.endpoint, "--observer", "--json")
    assert (code, err) == (0, "")
    assert lines == _journalled(edge)


def test_without_an_edge_there_is_one_sentence_and_no_traceback() -> None:
    code, lines, err = _watch("tcp://127.0.0.1:1", "--timeout-s", "0.3")
    assert (code, lines) == (6, [])
    assert "no edge answered at tcp://127.0.0.1:1 within 0.3 s" in err
    assert len(err.strip().splitlines()) == 1


def test_an_empty_name_is_refused_before_the_edge_is_asked() -> None:
    command = [sys.executable, "-m", "edge.cli", "watch", "tcp://127.0.0.1:1", "--run-id", ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--run-id is empty" in done.stderr


@pytest.mark.parametrize(
    ("option", "name", "says"),
    [
        pytest.param("--slide-id", "s" * 129, "it is too long", id="too long"),
        pytest.param("--slide-id", b"pr\xe4p", "it is not UTF-8", id="not UTF-8"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_before_the_edge_is_asked(option: str, name: str | bytes, says: str) -> None:
    command = [sys.executable, "-m", "edge.cli", "watch", "tcp://127.0.0.1:1", option, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{option} " in done.stderr and f"cannot be used: {says}; a name has 1 to 128 characters" in done.stderr


@pytest.mark.parametrize(
    ("provenance", "mark"),
    [
        pytest.param({"is_synthetic": True}, "SYNTHETIC", id="drawn fields"),
        pytest.param({"is_synthetic": False, "bundle_trained": False}, "UNTRAINED", id="random weights"),
        pytest.param({"is_synthetic": False, "engine_parity": "waived"}, "NOT VERIFIED", id="an engine that nobody compared"),
        pytest.param({"is_synthetic": False, "engine_parity": "failed"}, "DIFFERS", id="an engine that differs"),
        pytest.param({"is_synthetic": False}, None, id="photographs and trained weights"),
    ],
)
def test_what_is_no_patients_result_is_marked(provenance: dict[str, object], mark: str | None) -> None:
    start: RunStart = run_start("r", **provenance)
    marks = record_text.marks(start)
    assert [mark in text for text in marks if mark] == ([True] if mark else [])
    assert bool(marks) == bool(mark)


def test_fields_that_were_not_counted_are_listed_at_the_end() -> None:
    lines: list[str] = []
    view = PlainLines(lines.append)
    for index in range(1, 31):
        view.show(field_record("r", index, FieldStatus.FAILED if index % 5 else FieldStatus.EMPTY))
    assert view.unusable.lines()[0] == "not counted (24 fields):"
    assert (
        view.unusable.lines()[1].startswith("  field 0 field-0000 failed: the file ends")
        and view.unusable.lines()[-1] == "  and 4 more"
    )
    assert Unusable().lines() == [], "nothing is said of a run in which all were counted"


def test_a_failed_field_says_why_instead_of_showing_zero_cells() -> None:
    line = record_text.field_line(field_record("r", 4, FieldStatus.FAILED))
    assert "failed" in line
    assert "the file ends in the middle of its pixels" in line
