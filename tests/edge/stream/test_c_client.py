"""The C client against a live edge: its file holds what the journal holds, whoever is killed or cut off meanwhile."""

import fcntl
import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.c_client import (
    BAD_ARGUMENT,
    DONE,
    NO_CONNECTION,
    NO_STORAGE,
    RUN_FAILED,
    Consumer,
    build,
    finished,
    killed_at_the_end,
    require_tools,
)
from support.ports import free_endpoint
from support.scripted_run import Edge, ScriptedRun, StartEdge
from support.wire import Cable, RawClient

from edge.contracts.records import RunOutcome
from edge.journal.memory_journal import MemoryJournal
from edge.stream.curve_keys import EDGE, AllowList, new_pair
from edge.stream.server import EdgeServer

pytestmark = pytest.mark.timeout(40)
IMPATIENT = ("--dead-after-ms", "300", "--reconnect-ms", "300")
ABSENT = ("--answer-ms", "300")


@pytest.fixture
def consumer(c_client: Path, tmp_path: Path) -> Consumer:
    return Consumer(c_client, tmp_path)


def journalled(edge: Edge) -> list[bytes]:
    (run_id,) = edge.journal.runs()
    return [content for _, content in edge.journal.read(run_id, 0, 1_000_000)]


def acknowledged(edge: Edge) -> int:
    edge.server.close(drain_s=5)
    (run_id,) = edge.journal.runs()
    return edge.journal.acknowledged(run_id)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_each_compiler_takes_it_without_a_warning_and_what_it_makes_performs_a_run(
    start_edge: StartEdge, tmp_path: Path, compiler: str
) -> None:
    require_tools(compiler)
    done = build(tmp_path / "programs", f"CC={compiler}")
    assert (done.returncode, done.stderr) == (0, "")
    edge, consumer = start_edge(n_fields=150), Consumer(tmp_path / "programs", tmp_path)
    done = consumer.run(edge.endpoint, "--slide", "S-7")
    assert (done.returncode, done.stderr) == (DONE, "")
    assert consumer.lines() == journalled(edge)
    assert json.loads(consumer.lines()[0])["slide_id"] == "S-7"


def test_a_whole_run_is_printed_stored_and_acknowledged(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge(n_fields=150)
    done = consumer.run(edge.endpoint)
    assert (done.returncode, done.stderr) == (DONE, "")
    lines = done.stdout.splitlines()
    assert lines[149] == "149  ok neutrophil_segmented 1  (WBC so far: 150)"
    assert lines[150].endswith(": completed, 150 triggers: ok 150")
    assert lines[152].split() == ["neutrophil_segmented", "150", "100.00", "69.20", "to", "100.00"]
    assert lines[153].split() == ["leukocytes", "150"]
    assert consumer.lines() == journalled(edge)
    assert acknowledged(edge) == 151


def test_killed_in_mid_run_again_and_again_its_file_has_every_record_once(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge(n_fields=60, hold=True)
    for held in (1, 9, 10, 35, 59):
        with killed_at_the_end(consumer.start(edge.endpoint)) as process:
            consumer.wait_for_lines(1)
            for _ in range(held + 1 - len(journalled(edge))):
                edge.run.go.release()
            consumer.wait_for_lines(held)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with consumer.out.open("ab") as file:
            file.write(journalled(edge)[-1][:held])  # what a kill in the middle of a write leaves
    for _ in range(60):
        edge.run.go.release()
    done = consumer.run(edge.endpoint)
    assert (done.returncode, done.stderr) == (DONE, "")
    assert consumer.lines() == journalled(edge)
    assert len(consumer.lines()) == 62
    assert acknowledged(edge) == 61


def test_killed_while_records_rush_in_its_file_has_every_record_once(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge(n_fields=3000, keep=10_000)
    for held in (1, 400, 1000, 2000):
        with killed_at_the_end(consumer.start(edge.endpoint)) as process:
            consumer.wait_for_lines(held)
            process.send_signal(signal.SIGKILL)
            process.wait()
    done = consumer.run(edge.endpoint)
    assert (done.returncode, done.stderr) == (DONE, "")
    assert consumer.lines() == journalled(edge)
    assert acknowledged(edge) == 3001


def test_a_cut_cable_costs_nothing(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge(n_fields=40, hold=True)
    cable = Cable(edge.endpoint)
    try:
        with killed_at_the_end(consumer.start(cable.endpoint, "--dead-after-ms", "600", "--retry-ms", "100")) as process:
            for held in (10, 25):
                consumer.wait_for_lines(1)
                for _ in range(held + 1 - len(journalled(edge))):
                    edge.run.go.release()
                consumer.wait_for_lines(held)
                cable.cut()
            for _ in range(40):
                edge.run.go.release()
            done = finished(process)
    finally:
        cable.close()
    assert (done.returncode, done.stderr) == (DONE, "")
    assert consumer.lines() == journalled(edge)


def test_a_whole_run_is_told_again_even_when_its_edge_has_gone(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge(n_fields=5)
    first = consumer.run(edge.endpoint)
    again = consumer.run(edge.endpoint)
    assert (again.returncode, again.stderr) == (DONE, "")
    assert first.stdout.endswith(again.stdout)
    assert acknowledged(edge) == 6
    alone = consumer.run(edge.endpoint, *ABSENT)
    assert (alone.returncode, alone.stdout) == (DONE, again.stdout)
    assert "the run is whole in" in alone.stderr
    assert len(consumer.lines()) == 7


@pytest.mark.parametrize(
    ("outcome", "code"), [(RunOutcome.FAILED, RUN_FAILED), (RunOutcome.INTERRUPTED, RUN_FAILED), (RunOutcome.STOPPED, DONE)]
)
def test_the_exit_code_says_how_the_run_ended(
    start_edge: StartEdge, consumer: Consumer, outcome: RunOutcome, code: int
) -> None:
    assert consumer.run(start_edge(n_fields=2, outcome=outcome).endpoint).returncode == code


def test_a_signal_stops_the_run_and_what_was_taken_in_is_stored(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge(n_fields=40, hold=True)
    with killed_at_the_end(consumer.start(edge.endpoint)) as process:
        for _ in range(3):
            edge.run.go.release()
        consumer.wait_for_lines(4)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
    assert done.returncode == DONE
    assert ": stopped, 3 triggers: ok 3" in done.stdout
    assert consumer.lines() == journalled(edge)


def test_an_edge_that_is_not_there_or_goes_is_one_sentence(start_edge: StartEdge, consumer: Consumer) -> None:
    nobody = consumer.run(free_endpoint(), *ABSENT)
    assert nobody.returncode == NO_CONNECTION
    assert nobody.stderr.startswith("consumer: no edge answered at tcp://127.0.0.1:")
    edge = start_edge(n_fields=40, hold=True)
    with killed_at_the_end(consumer.start(edge.endpoint, *IMPATIENT)) as process:
        consumer.wait_for_lines(1)
        edge.server.close(drain_s=0)
        done = finished(process)
    assert done.returncode == NO_CONNECTION
    assert "the session was lost (nothing was heard from the edge" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_controller_is_told_who_holds_the_lease(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge()
    with RawClient(edge.endpoint) as holder:
        holder.hello("scanner-7")
        done = consumer.run(edge.endpoint)
    assert done.returncode == NO_CONNECTION
    assert "refused (busy): controller 'scanner-7' holds the lease of this edge" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        pytest.param(("own", "edge"), DONE, "", id="an allowed key"),
        pytest.param((), NO_CONNECTION, "an edge with keys answers nobody without one", id="no keys"),
        pytest.param(("stranger", "edge"), NO_CONNECTION, "may also not allow this client's key", id="a key nobody allowed"),
        pytest.param(("own", "other"), NO_CONNECTION, "have another key than the one given", id="another edge's key"),
        pytest.param(("own", None), BAD_ARGUMENT, "go together", id="half of it"),
        pytest.param(("own", "none"), BAD_ARGUMENT, "is no key file", id="a file that is not there"),
        pytest.param(("public", "edge"), BAD_ARGUMENT, "holds no secret-key", id="a public key for a secret one"),
        pytest.param(("open", "edge"), BAD_ARGUMENT, "so it is no secret", id="a secret that others may read"),
    ],
)
def test_keys(consumer: Consumer, tmp_path: Path, options: tuple[str, str | None] | tuple[()], code: int, says: str) -> None:
    folder, clients = tmp_path / "edge-keys", tmp_path / "clients"
    new_pair(folder, EDGE)
    public, secret = new_pair(clients, "own")
    AllowList(folder).allow(public)
    files = {"own": secret, "edge": folder / "edge.key", "none": tmp_path / "none.key", "open": clients / "open.key_secret"}
    files["stranger"], files["other"] = new_pair(clients, "stranger")[1], clients / "stranger.key"
    files["public"] = Path(shutil.copy(public, clients / "public.key_secret"))
    files["public"].chmod(0o600)
    shutil.copy(secret, files["open"]).chmod(0o644)
    named = zip(("--key", "--edge-key"), options, strict=False)
    words = [word for name, file in named if file for word in (name, str(files[file]))]
    journal = MemoryJournal()
    run = ScriptedRun(journal, 5)
    try:
        with EdgeServer("tcp://127.0.0.1:0", journal, run.control, "boot", keys=folder) as server:
            done = consumer.run(server.endpoint, *(ABSENT if code else ()), *words)
            server.close(0)
    finally:
        run.join()
    assert (done.returncode, bool(done.stderr)) == (code, bool(says))
    assert says in done.stderr
    assert len(consumer.lines()) == (7 if code == DONE else 0)


def _change(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda c: _change(c.out, b'"seq":2,', b'"seq":3,'), r"line 3 of .* is not seq 2", id="another seq"),
        pytest.param(lambda c: _change(c.out, b'"seq":2,', b'"seq":'), r"line 3 of .* is not seq 2", id="no JSON any more"),
        pytest.param(lambda c: c.state.write_text("{"), "is no state file of this program", id="no state"),
        pytest.param(lambda c: _change(c.state, b'"run_id":"', b'"run_id":"0'), "is no state file", id="a state out of shape"),
        pytest.param(lambda c: (c.out.unlink(), c.out.mkdir()), "cannot be opened", id="a directory in its place"),
    ],
)
def test_files_that_are_not_as_they_were_written_are_refused(
    start_edge: StartEdge, consumer: Consumer, spoil: Callable[[Consumer], object], says: str
) -> None:
    edge = start_edge(n_fields=5)
    assert consumer.run(edge.endpoint).returncode == DONE
    spoil(consumer)
    done = consumer.run(edge.endpoint)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (NO_STORAGE, "", 1)
    assert re.search(says, done.stderr)


def test_two_consumers_never_write_one_file(start_edge: StartEdge, consumer: Consumer) -> None:
    edge = start_edge(n_fields=5)
    assert consumer.run(edge.endpoint).returncode == DONE
    with consumer.out.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        done = consumer.run(edge.endpoint)
    assert (done.returncode, done.stdout) == (NO_STORAGE, "")
    assert "another process writes to" in done.stderr
