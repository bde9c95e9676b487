"""The page's server, real: who may ask for what, and what it says of sockets and journals that are not there, or not right."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from support.edge_here import leuko_edge
from support.filled_journal import fill
from support.overlapping_journal import example_journal, recorded_journal, tamper
from support.served_page import ServedPage, served_page

from edge.contracts.base import Wire
from edge.journal.sqlite_journal import SqliteJournal
from edge.published.vectors_telemetry import TELEMETRY_VECTORS
from edge.reports.opened_run import opened_run
from edge.stream.codec import encode

pytestmark = pytest.mark.timeout(120)
RUN = "run-a"
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded_journal(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def page(journal: Path) -> Iterator[ServedPage]:
    token = journal.with_name("token")
    token.write_text(TOKEN)
    token.chmod(0o600)
    with served_page("--journal", str(journal), "--token", str(token)) as one:
        one.until(lambda state: bool(state["run"] and state["run"]["outcome"]))
        yield one


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="the address itself"),
        pytest.param({"Host": "localhost:1"}, 200, id="a forwarded port"),
        pytest.param({"Host": "[::1]:8571"}, 200, id="the other loopback"),
        pytest.param({"Host": "attacker.example"}, 403, id="a name that somebody gave this address"),
        pytest.param({"Host": "127.0.0.1.attacker.example:8571"}, 403, id="one that begins like it"),
        pytest.param({"Host": "10.0.0.7:8571"}, 403, id="an address that it does not have"),
        pytest.param({"Host": ""}, 403, id="none"),
        pytest.param({"Origin": "http://attacker.example"}, 403, id="another site"),
        pytest.param({"Origin": "null"}, 403, id="a file or a frame without origin"),
    ],
)
def test_only_its_own_page_may_read(page: ServedPage, headers: dict[str, str], status: int) -> None:
    assert page.ask("/state", **headers)[0] == status


@pytest.mark.parametrize(
    ("headers", "said", "status"),
    [
        pytest.param({"Origin": ""}, {}, 403, id="no origin"),
        pytest.param({"Origin": "http://attacker.example"}, {}, 403, id="another site"),
        pytest.param({"Authorization": "Bearer wrong"}, {}, 401, id="another token"),
        pytest.param({"Authorization": ""}, {}, 401, id="no token"),
        pytest.param({"Content_Type": "text/plain"}, {}, 415, id="what a form can send"),
        pytest.param({}, {"who": ""}, 400, id="nobody"),
        pytest.param({}, {"label": ""}, 400, id="nothing said"),
        pytest.param({}, {"cell": 7}, 400, id="no text"),
        pytest.param({}, {"why": "x" * 20_000}, 400, id="a book"),
        pytest.param({}, {"cell": "f999c9"}, 409, id="a cell that there is not"),
        pytest.param({}, {"label": "unicorn"}, 409, id="a class that there is not"),
        pytest.param({}, {"run_id": "nowhere"}, 409, id="another run"),
    ],
)
def test_what_is_no_review_leaves_the_journal_as_it_is(
    page: ServedPage, journal: Path, headers: dict[str, str], said: dict[str, object], status: int
) -> None:
    known = {"Origin": page.url.rstrip("/"), "Authorization": f"Bearer {TOKEN}", "Content_Type": "application/json"}
    body = {"run_id": RUN, "cell": opened_run(journal, RUN).report.counted_cells[0].id, "label": "basophil", "who": "A"} | said
    asked = {name: value for name, value in (known | headers).items() if value}
    got, content = page.ask("/reviews", "POST", body, **asked)
    assert got == status, content
    assert opened_run(journal, RUN).report.chain.reviews == 0


@pytest.mark.parametrize(
    "path",
    [
        "/field/999?run=run-a",
        "/field/0?run=other",
        "/field/0",
        "/crop/0?run=run-a",
        "/page/../page_app.py",
        "/page/%2e%2e/page_app.py",
    ],
)
def test_what_is_not_there_is_not_there(page: ServedPage, path: str) -> None:
    assert page.ask(path)[0] == 404


def test_without_a_token_nobody_writes(journal: Path) -> None:
    with served_page("--journal", str(journal)) as page:
        asked = {"Origin": page.url.rstrip("/"), "Authorization": "Bearer ", "Content_Type": "application/json"}
        status, content = page.ask("/reviews", "POST", {}, **asked)
        assert (status, "read-only" in json.loads(content)["error"]) == (403, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["--bind", "0.0.0.0:0"], 2, "can be reached from other machines", id="everybody's address"),
        pytest.param(["--bind", "8571"], 2, "is no address for the page", id="a port alone"),
        pytest.param(["--bind", "127.0.0.1:99999"], 2, "is no address for the page", id="a port that there is not"),
        pytest.param(["127.0.0.1:5571"], 6, "is not an address that can be used", id="telemetry without its protocol"),
        pytest.param(["--token", "short"], 2, "could be guessed", id="a short token"),
        pytest.param(["--token", "open"], 2, "can be read by others", id="a token that others can read"),
        pytest.param(["--token", "nowhere"], 2, "cannot be read", id="no token file"),
        pytest.param(["tcp://127.0.0.1:1", "--token", "long"], 2, "which are in a journal", id="a token and no journal"),
        pytest.param(["--key", "x"], 2, "go together", id="half of the keys"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(
    arguments: list[str], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text, mode in (("short", "abc", 0o600), ("open", TOKEN, 0o644), ("long", TOKEN, 0o600)):
        Path(name).write_text(text)
        Path(name).chmod(mode)
    done = leuko_edge("view", *arguments)
    assert (done.code, done.err.count("\n")) == (code, 1), done.err
    assert says in done.err


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = leuko_edge("view", "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (done.code, "choose another one with --bind" in done.err) == (6, True)


def test_a_journal_that_comes_later_grows_and_is_tampered_with(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with served_page("--journal", str(path)) as page:
        state = page.until(lambda state: bool(state["alarms"]) and "there is no journal" in state["alarms"][0]["text"])
        assert (state["run"], state["ended"]) == (None, 0)
        path.write_text("no journal")
        page.until(lambda state: "cannot be read as a journal" in state["alarms"][0]["text"])
        path.unlink()
        journal = SqliteJournal(path)
        fill(journal, 5, "first", stop=False)
        journal.settle()
        page.until(lambda state: state["ended"] == 5 and state["run"]["outcome"] is None and len(state["alarms"]) == 1)
        fill(journal, 7, "second")
        journal.settle()
        state = page.until(
            lambda state: bool(state["run"]) and state["run"]["run_id"] == "second" and state["run"]["chain"] == "whole"
        )
        assert (state["ended"], state["fields"]) == (7, {"ok": 7})
        journal.close()
    example_journal(path := tmp_path / "other.sqlite")
    tamper(path, "UPDATE records SET content = replace(content, 'lymphocyte', 'monocytes_') WHERE seq = 3")
    with served_page("--journal", str(path)) as page:
        state = page.until(lambda state: bool(state["alarms"]))
        assert state["alarms"][0]["severity"] == "error"


@pytest.fixture
def edge() -> Iterator["zmq.Socket[bytes]"]:
    """In place of an edge a socket that knows when somebody has subscribed."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.linger = 0
        publisher.rcvtimeo = 60_000
        publisher.bind("tcp://127.0.0.1:*")
        yield publisher


def live(**changed: object) -> bytes:
    message: Wire = TELEMETRY_VECTORS["live"]
    return encode(message.model_copy(update=changed), "json")


def test_what_the_socket_missed_is_a_gap(edge: "zmq.Socket[bytes]") -> None:
    with served_page(edge.getsockopt_string(zmq.LAST_ENDPOINT)) as page:
        state = page.state()
        assert (state["counts_from"], "Nothing was heard" in state["alarms"][0]["text"]) == (None, True)
        assert edge.recv() == b"\x01", "it subscribes"
        edge.send(b"{}")
        page.until(lambda state: "Is it the telemetry socket" in state["alarms"][0]["text"])
        edge.send(live(telemetry_seq=3, service_state="FAULT", service_reason="the lamp is off; mend it."))
        edge.send(live(telemetry_seq=9, service_state="FAULT", service_reason="the lamp is off; mend it."))
        state = page.until(lambda state: state["heard"].get("messages_missed") == 5)
        assert (state["heard"]["state"], state["ended"], state["heard"]["unseen"]) == ("FAULT", 131, 130)
        assert {"severity": "error", "text": "FAULT: the lamp is off; mend it."} in state["alarms"]
        assert any("130 of 131 ended fields were not seen here" in text for text in state["gaps"])
        assert state["sums"]["wbc_total"] == 130 and state["sums"]["rows"]
        drawn = page.ask("/map")[1].decode()
        assert drawn.count('fill="url(#gap)"') == 130 and "130 hatched: not heard here, or not ended" in drawn


def test_a_journal_of_another_edge_is_not_taken_for_this_one(edge: "zmq.Socket[bytes]", tmp_path: Path) -> None:
    journal = example_journal(tmp_path / "journal.sqlite")
    with served_page(edge.getsockopt_string(zmq.LAST_ENDPOINT), "--journal", str(journal)) as page:
        assert edge.recv() == b"\x01"
        edge.send(live())
        state = page.until(lambda state: any("is it that edge's?" in one["text"] for one in state["alarms"]))
        assert (state["run"], state["counts_from"], state["ended"]) == (None, "telemetry", 131)
