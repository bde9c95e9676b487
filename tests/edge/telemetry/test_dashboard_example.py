"""The example dashboard is read as the shortest explanation of the telemetry socket, so it has to work."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from edge.contracts.base import Wire
from edge.published.vectors_telemetry import TELEMETRY_VECTORS
from edge.stream.codec import encode

DASHBOARD = Path(__file__).parents[3] / "examples" / "dashboard.py"

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def edge() -> Iterator["zmq.Socket[bytes]"]:
    """In place of an edge a socket that knows when somebody has subscribed."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.bind("tcp://127.0.0.1:*")
        publisher.linger = 0
        yield publisher


def live(name: str, **changed: object) -> bytes:
    message: Wire = TELEMETRY_VECTORS[name]
    return encode(message.model_copy(update=changed), "json")


def test_it_shows_each_message_in_a_line_and_says_how_many_it_missed(edge: "zmq.Socket[bytes]") -> None:
    command = [sys.executable, str(DASHBOARD), edge.getsockopt_string(zmq.LAST_ENDPOINT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as dashboard:
        assert dashboard.stdout is not None
        try:
            assert edge.recv() == b"\x01", "it subscribes to everything"
            edge.send(live("live_before_any_run", telemetry_seq=7))
            assert dashboard.stdout.readline().startswith("waiting: no field yet; 0 WBC;")
            edge.send(live("live", telemetry_seq=8))
            shown = (
                "running: 120 ok, 10 empty, 1 failed, the last took 15.7 ms; 130 WBC; 1 waiting, 3 open, lag 2, 2 connected\n"
            )
            assert dashboard.stdout.readline() == shown
            edge.send(live("live", telemetry_seq=12))
            assert dashboard.stdout.readline() == "3 messages were missed\n"
            assert dashboard.stdout.readline() == shown
            edge.send(live("live_before_any_run", boot_id="another"))
            assert dashboard.stdout.readline().startswith("waiting"), "another process begins anew, nothing was missed"
        finally:
            dashboard.kill()
