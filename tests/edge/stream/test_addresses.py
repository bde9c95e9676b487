"""Where an edge may listen: never where another one does, IPv6 as well, and loopback however it is written."""

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import zmq
from support.scripted_run import StartEdge

from edge.contracts.errors import StreamError
from edge.stream.client import Controller
from edge.stream.sockets import bound, check_guarded, is_loopback

pytestmark = pytest.mark.timeout(20)
HOLD = """
import sys, zmq
from edge.stream.sockets import bound

router = zmq.Context().socket(zmq.ROUTER)
bound(router, sys.argv[1], "--bind")
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", [zmq.ROUTER, zmq.PUB], ids=["records", "telemetry"])
def test_a_second_edge_on_one_ipc_path_is_refused_and_the_first_stays(tmp_path: Path, kind: int) -> None:
    endpoint = f"ipc://{tmp_path}/edge.sock"
    with zmq.Context() as context, context.socket(kind) as first, context.socket(kind) as second:
        assert bound(first, endpoint, "--bind") == endpoint
        with pytest.raises(StreamError, match="is already in use; stop the other process"):
            bound(second, endpoint, "--bind")
        with closing(socket.socket(socket.AF_UNIX)) as caller:
            caller.connect(f"{tmp_path}/edge.sock")
        first.linger = second.linger = 0


def test_what_a_killed_edge_has_left_does_not_keep_the_next_one_out(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/edge.sock"
    with subprocess.Popen([sys.executable, "-c", HOLD, endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"up\n"
        with zmq.Context() as context, context.socket(zmq.ROUTER) as second:
            with pytest.raises(StreamError, match="is already in use"):
                bound(second, endpoint, "--bind")
            killed.kill()
            killed.wait()
            assert (tmp_path / "edge.sock").is_socket()
            assert bound(second, endpoint, "--bind") == endpoint


def test_a_file_at_an_ipc_path_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    file.write_text("not to be lost")
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        with pytest.raises(StreamError, match="names a file that is no socket"):
            bound(router, f"ipc://{file}", "--bind")
        assert file.read_text() == "not to be lost"
        with pytest.raises(StreamError, match="cannot be bound"):
            bound(router, f"ipc://{tmp_path}/nowhere/edge.sock", "--bind")


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")
def test_a_run_over_ipv6(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=2, bind="tcp://[::1]:*")
    assert edge.endpoint.startswith("tcp://[::1]:")
    with Controller(edge.endpoint) as controller:
        controller.connect()
        controller.start_run()
        assert len(list(controller.records())) == 4


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("localhost", True),
        ("[::1]", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("0.0.0.0", False),
        ("*", False),
        ("[::]", False),
        ("[::ffff:10.0.0.1]", False),
        ("127.example.org", False),
        ("scanner-7", False),
    ],
)
def test_only_a_loopback_address_needs_no_keys(host: str, *, is_one: bool) -> None:
    assert is_loopback(host) is is_one
    if not is_one:
        with pytest.raises(StreamError, match="can be reached from other machines"):
            check_guarded(f"tcp://{host}:5570", None)
