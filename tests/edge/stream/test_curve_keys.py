"""Who has no key that the edge knows gets nowhere, is logged and counted, and harms nobody else."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from support.ports import free_endpoint
from support.scripted_run import ScriptedRun

from edge.cli import main
from edge.contracts.errors import StreamError
from edge.contracts.messages import Resume
from edge.contracts.records import RunStop
from edge.journal.memory_journal import MemoryJournal
from edge.stream.client import Controller
from edge.stream.curve_keys import ALLOWED, EDGE, AllowList, ClientKeys, client_keys, new_pair, read_pair, read_public
from edge.stream.server import EdgeServer

pytestmark = pytest.mark.timeout(40)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """An edge's keys; scanner-1 is allowed, revoked was."""
    folder = tmp_path / "edge-keys"
    new_pair(folder, EDGE)
    allowed = AllowList(folder)
    for name in ("scanner-1", "revoked"):
        allowed.allow(new_pair(tmp_path / "clients", name)[0])
    allowed.revoke("revoked")
    new_pair(tmp_path / "clients", "stranger")
    return folder


@pytest.fixture
def server(keys: Path) -> Iterator[EdgeServer]:
    journal = MemoryJournal()
    run = ScriptedRun(journal, 5)
    with EdgeServer("tcp://127.0.0.1:0", journal, run.control, "boot", keys=keys) as server:
        yield server
    run.join()


def of(name: str, keys: Path, edge: bytes | None = None) -> ClientKeys:
    clients = keys.parent / "clients"
    found = client_keys(clients / f"{name}.key_secret", keys / f"{EDGE}.key")
    return found if edge is None else ClientKeys(found.own, edge)


def completes(server: EdgeServer, keys: Path) -> bool:
    with Controller(server.endpoint, client_id="scanner-1", keys=of("scanner-1", keys)) as controller:
        controller.connect(5.0)
        return isinstance(list(controller.records(controller.start_run()))[-1], RunStop)


def test_who_is_allowed_works_as_without_keys(server: EdgeServer, keys: Path) -> None:
    assert completes(server, keys)
    assert server.refused == 0


@pytest.mark.parametrize(
    ("choose", "why"),
    [
        pytest.param(lambda keys: None, "does not speak CURVE", id="in plaintext"),
        pytest.param(lambda keys: of("stranger", keys), "its key is not allowed", id="a key that nobody allowed"),
        pytest.param(lambda keys: of("revoked", keys), "its key is not allowed", id="a key that was revoked"),
        pytest.param(
            lambda keys: of("scanner-1", keys, read_public(keys.parent / "clients" / "stranger.key")),
            "it expects another one's key",
            id="an allowed client that expects another edge",
        ),
    ],
)
def test_a_stranger_is_turned_away_logged_and_counted(
    server: EdgeServer,
    keys: Path,
    caplog: pytest.LogCaptureFixture,
    choose: Callable[[Path], ClientKeys | None],
    why: str,
) -> None:
    with caplog.at_level(logging.WARNING), Controller(server.endpoint, keys=choose(keys)) as stranger:
        with pytest.raises(StreamError, match=r"no edge answered .* key"):
            stranger.connect(0.3)
        deadline_s = time.monotonic() + 5.0
        while server.refused == 0 and time.monotonic() < deadline_s:
            time.sleep(0.01)
    assert server.refused >= 1
    assert why in caplog.text
    assert completes(server, keys), "whoever is allowed is not harmed"


def test_bytes_that_are_no_zeromq_harm_nobody(server: EdgeServer, keys: Path) -> None:
    port = int(server.endpoint.rsplit(":", 1)[1])
    for content in (b"GET / HTTP/1.0\r\n\r\n", bytes(64), b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE" + bytes(200)):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(content)
    assert completes(server, keys)


def test_allowing_and_revoking_need_no_restart(server: EdgeServer, keys: Path) -> None:
    allowed = AllowList(keys)
    with Controller(server.endpoint, role="observer", keys=of("stranger", keys)) as stranger:
        with pytest.raises(StreamError):
            stranger.connect(0.7)
        allowed.allow(keys.parent / "clients" / "stranger.key")
        stranger.connect(5.0)
    allowed.revoke("stranger")
    with Controller(server.endpoint, role="observer", keys=of("stranger", keys)) as stranger, pytest.raises(StreamError):
        stranger.connect(0.7)


def test_a_client_that_is_revoked_in_mid_session_is_served_no_longer(
    server: EdgeServer, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Controller(server.endpoint, keys=of("scanner-1", keys)) as controller:
        controller.connect(5.0)
        assert controller.query().runs == ()
        AllowList(keys).revoke("scanner-1")
        with pytest.raises(StreamError, match=r"did not answer|could not be opened anew"):
            while True:
                controller.query(timeout_s=1.0)
    assert server.sessions == 0, "its lease is free, too"
    assert server.refused > 0
    assert [record.message for record in caplog.records if "its key was revoked" in record.message] == [
        "a client is served no longer (number 1): its key was revoked"
    ]


@pytest.mark.parametrize(
    ("bind", "guarded", "refused"),
    [
        pytest.param("tcp://127.0.0.1:*", False, False, id="this machine alone"),
        pytest.param("tcp://localhost:*", False, False, id="this machine by name"),
        pytest.param("ipc:///tmp/leukostream-test.ipc", False, False, id="a file of this machine"),
        pytest.param("tcp://*:*", False, True, id="every interface"),
        pytest.param("tcp://0.0.0.0:*", False, True, id="every interface, in numbers"),
        pytest.param("tcp://127.0.0.1.example.org:5570", False, True, id="a name that begins like this machine"),
        pytest.param("tcp://*:*", True, False, id="every interface, with keys"),
    ],
)
def test_an_edge_that_others_can_reach_needs_keys(keys: Path, bind: str, guarded: bool, refused: bool) -> None:
    run = ScriptedRun(MemoryJournal(), 1)
    try:
        if refused:
            with pytest.raises(StreamError, match="without keys anybody could command this edge"):
                EdgeServer(bind, MemoryJournal(), run.control, "boot", keys=keys if guarded else None)
        else:
            EdgeServer(bind, MemoryJournal(), run.control, "boot", keys=keys if guarded else None).close(0.0)
    finally:
        run.join()


def test_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    public, secret = new_pair(tmp_path / "keys", EDGE)
    assert secret.stat().st_mode & 0o077 == 0
    assert read_pair(tmp_path / "keys", EDGE).public == read_public(public)
    with pytest.raises(StreamError, match="is there already"):
        new_pair(tmp_path / "keys", EDGE)
    secret.chmod(0o644)
    with pytest.raises(StreamError, match="others than its owner may read"):
        read_pair(tmp_path / "keys", EDGE)


def _another_scanner(keys: Path) -> None:
    AllowList(keys).allow(new_pair(keys.parent / "elsewhere", "scanner-1")[0])


@pytest.mark.parametrize(
    ("do", "says"),
    [
        pytest.param(lambda keys: new_pair(keys, "../edge"), "is no name for keys", id="a path for a name"),
        pytest.param(lambda keys: AllowList(keys).revoke("nobody"), "no key is allowed as nobody", id="nobody to revoke"),
        pytest.param(lambda keys: AllowList(keys).revoke("../edge"), "is no name", id="the edge's own key to revoke"),
        pytest.param(lambda keys: AllowList(keys).allow(keys / "none.key"), "is no key file", id="no such file"),
        pytest.param(lambda keys: read_pair(keys, "none"), "is no key file", id="no pair"),
        pytest.param(_another_scanner, "another key is allowed as scanner-1", id="the same name, another key"),
    ],
)
def test_a_mistake_with_keys_is_one_sentence(keys: Path, do: Callable[[Path], object], says: str) -> None:
    with pytest.raises(StreamError, match=says):
        do(keys)


def test_a_list_that_cannot_be_read_lets_nobody_in(keys: Path) -> None:
    key = read_public(keys.parent / "clients" / "scanner-1.key")
    assert AllowList(keys).callback("*", key)
    (keys / ALLOWED / "broken.key").write_text("no key")
    assert not AllowList(keys).callback("*", key)


def test_the_commands_bring_two_machines_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that take an instant run in this process: only the two machines need one of their own."""

    def edge(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["leuko-edge", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code, *capsys.readouterr())

    ours, theirs = tmp_path / "edge", tmp_path / "scanner"
    assert edge("keys", "new", "edge", "--out", str(ours))[0] == 0
    assert edge("keys", "new", "scanner-1", "--out", str(theirs))[0] == 0
    assert edge("keys", "allow", str(theirs / "scanner-1.key"), "--keys", str(ours))[1] == "allowed  scanner-1\n"
    assert edge("keys", "list", "--keys", str(ours))[1].startswith("scanner-1  ")
    command, bind = [sys.executable, "-m", "edge.cli"], free_endpoint()
    source = ("--source", "virtual:seed=1,fields=3,wbc=1", "--bind", bind, "--keys", str(ours))
    running = subprocess.Popen([*command, "run", *source], stderr=subprocess.DEVNULL)
    try:
        secret, public = str(theirs / "scanner-1.key_secret"), str(ours / "edge.key")
        client = (bind, "--key", secret, "--edge-key", public, "--json", "--timeout-s", "30")
        watched = subprocess.run([*command, "watch", *client], capture_output=True, text=True, timeout=60, check=False)
        assert watched.returncode == 0, watched.stderr
        assert '"type":"run_stop"' in watched.stdout
        assert running.wait(20) == 0
    finally:
        running.kill()
        running.wait()
    code, _, err = edge("watch", bind, "--key", secret)
    assert (code, "go together" in err) == (2, True)
    assert edge("keys", "revoke", "scanner-1", "--keys", str(ours))[0] == 0
    assert edge("keys", "list", "--keys", str(ours))[1] == ""


def test_curve_is_there() -> None:
    assert zmq.has("curve"), "without it an edge could only serve its own machine"


def test_a_controllers_key_is_changed_while_its_run_goes_on(keys: Path) -> None:
    """The new key is allowed, the client comes back with it and resumes, and only then the old one is revoked."""
    journal = MemoryJournal()
    run = ScriptedRun(journal, 6, hold=True)
    with EdgeServer("tcp://127.0.0.1:0", journal, run.control, "boot", keys=keys) as server:
        with Controller(server.endpoint, client_id="scanner", keys=of("scanner-1", keys)) as before:
            before.connect(5.0)
            run_id = before.start_run()
            for _ in range(3):
                run.go.release()
            held = [record.seq for record in (before.poll(5.0) for _ in range(4)) if record is not None]
            AllowList(keys).allow(new_pair(keys.parent / "clients", "scanner-1-2031")[0])
            with Controller(server.endpoint, client_id="scanner", keys=of("scanner-1-2031", keys)) as after:
                after.connect(5.0, Resume(run_id=run_id, next_seq=len(held)))
                AllowList(keys).revoke("scanner-1")
                with pytest.raises(StreamError, match=r"refused \(superseded\)"):
                    before.query(timeout_s=1.0)
                for _ in range(3):
                    run.go.release()
                held += [record.seq for record in after.records()]
        with Controller(server.endpoint, client_id="scanner", keys=of("scanner-1", keys)) as old, pytest.raises(StreamError):
            old.connect(0.7)
    run.join()
    assert held == list(range(8))


def test_a_revoked_controller_gives_its_lease_to_another_key_in_mid_run(keys: Path) -> None:
    journal = MemoryJournal()
    run = ScriptedRun(journal, 4, hold=True)
    with (
        EdgeServer("tcp://127.0.0.1:0", journal, run.control, "boot", keys=keys) as server,
        Controller(server.endpoint, client_id="stolen", keys=of("scanner-1", keys)) as before,
    ):
        before.connect(5.0)
        run_id = before.start_run()
        AllowList(keys).allow(keys.parent / "clients" / "stranger.key")
        AllowList(keys).revoke("scanner-1")
        with pytest.raises(StreamError, match=r"did not answer|could not be opened anew"):
            while True:
                before.query(timeout_s=1.0)
        with Controller(server.endpoint, client_id="another", keys=of("stranger", keys)) as after:
            after.connect(5.0, Resume(run_id=run_id, next_seq=0))
            for _ in range(4):
                run.go.release()
            assert [record.seq for record in after.records()] == list(range(6))
    run.join()
