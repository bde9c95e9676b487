"""Runs whose records are on disk: the edge is killed, the controller goes away, and both find everything again."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import cv2
import pytest
from support.bare_run import connected
from support.edge_here import leuko_edge
from support.ports import free_endpoint
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.records import FieldRecord, FieldStatus, Record, RunOutcome, RunStop
from edge.stream.client import Controller

pytestmark = pytest.mark.timeout(60)
EDGE = [sys.executable, "-m", "edge.cli"]
Start = Callable[..., tuple["subprocess.Popen[str]", Controller]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("journalled") / "bundle")


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 fields with one lymphocyte each."""
    folder = tmp_path_factory.mktemp("fields")
    cv2.imwrite(str(folder / "0.png"), blob_field([("lymphocyte", 40, 40)]))
    for index in range(1, 600):
        (folder / f"{index}.png").hardlink_to(folder / "0.png")
    return folder


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture
def start(bundle: Bundle, fields: Path, journal: Path) -> Iterator[Start]:
    """An edge process with the journal, and a controller that is connected to it."""
    started: list[tuple[subprocess.Popen[str], Controller]] = []

    def start_(*more: str) -> tuple["subprocess.Popen[str]", Controller]:
        endpoint = free_endpoint()
        command = [*EDGE, "run", "--source", str(fields), "--um-per-px", "0.13", "--bundle", str(bundle.path)]
        process = subprocess.Popen(
            [*command, "--bind", endpoint, "--journal", str(journal), *more], stderr=subprocess.PIPE, text=True
        )
        started.append((process, connected(endpoint, process)))
        return started[-1]

    yield start_
    for process, controller in started:
        controller.close()
        process.kill()
        process.communicate()


def resumed(start: Start, run_id: str, next_seq: int) -> list[Record]:
    """The rest of a run, read from another edge process."""
    process, controller = start()
    rest = list(controller.records(run_id, from_seq=next_seq))
    controller.close()
    process.terminate()
    process.wait(20)  # what it was told last is in the journal then
    return rest


def test_an_edge_that_is_killed_in_mid_run_loses_nothing_that_was_sent(start: Start, journal: Path) -> None:
    process, controller = start()
    run_id = controller.start_run(slide_id="S-7")
    before: list[Record] = []
    for record in controller.records(run_id):
        before.append(record)
        if len(before) == 40:
            process.send_signal(signal.SIGKILL)
            break
    process.wait(10)
    rest = resumed(start, run_id, len(before))
    everything = [*before, *rest]
    assert [record.seq for record in everything] == list(range(len(everything)))
    stop = everything[-1]
    assert isinstance(stop, RunStop) and stop.outcome is RunOutcome.INTERRUPTED
    ended = [record for record in everything if isinstance(record, FieldRecord)]
    assert stop.triggers == len(ended) == stop.fields[FieldStatus.OK]
    assert stop.cells == ended[-1].running.cells == {"lymphocyte": len(ended)}
    assert "fields that it had taken in and not recorded are in no count" in stop.detail
    assert "whole" in leuko_edge("runs", "verify", "--journal", str(journal), run_id).out


def test_a_controller_that_goes_away_finds_the_run_in_the_next_edge(start: Start, journal: Path, tmp_path: Path) -> None:
    (tmp_path / "impatient.yaml").write_text("ack_timeout_s: 1.5")
    process, controller = start("--max-fields", "20", "--config", str(tmp_path / "impatient.yaml"))
    run_id = controller.start_run()
    first = [record for record, _ in zip(controller.records(run_id), range(5), strict=False)]
    controller.close()
    _, said = process.communicate(timeout=40)
    assert process.returncode == 6
    assert f"they stay in {journal}: start the edge with this journal again and resume the run." in said
    rest = resumed(start, run_id, len(first))
    assert [record.seq for record in (*first, *rest)] == list(range(23)), "fields, start and end, and that no red cell was seen"
    listed = json.loads(leuko_edge("runs", "list", "--journal", str(journal), "--json").out)
    assert [(run["outcome"], run["fields"], run["leukocytes"]) for run in listed] == [("completed", 20, 20)]
    assert listed[0]["not_acknowledged"] == 0


@pytest.mark.parametrize(
    ("held_s", "patience_s", "code"),
    [pytest.param(1.5, 30.0, 0, id="for a while"), pytest.param(4.0, 0.5, 8, id="for longer than it waits")],
)
def test_another_program_holds_the_journal(
    start: Start, journal: Path, tmp_path: Path, held_s: float, patience_s: float, code: int
) -> None:
    (tmp_path / "settings.yaml").write_text(f"journal_held_s: {patience_s}")
    process, controller = start("--max-fields", "5", "--config", str(tmp_path / "settings.yaml"))
    with closing(sqlite3.connect(journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        run_id = controller.start_run()
        if code:
            _, said = process.communicate(timeout=20)
            assert "another program has held its file" in said and "they stay in" not in said
        else:
            time.sleep(held_s)
        other.execute("COMMIT")
    if not code:
        records = list(controller.records(run_id))
        stop = records[-1]
        assert isinstance(stop, RunStop) and (stop.outcome, stop.triggers) == (RunOutcome.COMPLETED, 5)
    assert process.wait(20) == code


def test_two_edges_cannot_share_a_journal(start: Start, bundle: Bundle, fields: Path, journal: Path) -> None:
    start()
    words = ["--source", str(fields), "--um-per-px", "0.13", "--bundle", str(bundle.path), "--journal", str(journal)]
    second = leuko_edge("run", "--bind", free_endpoint(), *words)
    assert second.code == 8
    assert "is in use by another edge process" in second.err


def test_what_a_journal_holds_can_be_listed_shown_exported_and_verified(start: Start, journal: Path, tmp_path: Path) -> None:
    process, controller = start("--max-fields", "3")
    run_id = controller.start_run(slide_id="S-9")
    records = list(controller.records(run_id))
    assert process.wait(20) == 0
    at = ("--journal", str(journal))
    assert "S-9" in leuko_edge("runs", "list", *at).out
    shown = json.loads(leuko_edge("runs", "show", *at, run_id[:6], "--json").out)
    assert (shown["run_stop"]["outcome"], shown["run_start"]["slide_id"]) == ("completed", "S-9")
    lines = leuko_edge("runs", "export", *at, run_id).out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [record.seq for record in records]
    out = tmp_path / "run.jsonl"
    assert leuko_edge("runs", "export", *at, run_id, "--out", str(out)).code == 0
    assert out.read_text().splitlines() == lines
    again = leuko_edge("runs", "export", *at, run_id, "--out", str(out))
    assert (again.code, "cannot be written" in again.err) == (8, True)
    assert leuko_edge("runs", "verify", *at).code == 0
    nobody = leuko_edge("runs", "show", *at, "nobody")
    assert (nobody.code, nobody.err.count("\n"), "has no run nobody" in nobody.err) == (8, 1, True)
    nowhere = leuko_edge("runs", "list", "--journal", str(tmp_path / "nowhere.sqlite"))
    assert (nowhere.code, "there is no journal" in nowhere.err) == (8, True)
