"""A controller in one file, with nothing but pyzmq and json: start a run, take every record once, acknowledge, end.

Usage: python controller.py tcp://127.0.0.1:5570
What it leaves out, and a scanner needs: resuming after a lost connection (docs/protocol.md, "Resume").
"""

import json
import sys
import time
import uuid
from typing import Any

import zmq

WINDOW = 64  # records the edge may send before we acknowledge
DEAD_AFTER_S = 5.0


class Edge:
    """One session with an edge."""

    def __init__(self, endpoint: str) -> None:
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 500)  # the last ACK still leaves, but a dead edge does not keep us
        self.socket.setsockopt(zmq.IPV6, endpoint.startswith("tcp://["))
        self.socket.connect(endpoint)

    def send(self, **message: Any) -> None:  # noqa: ANN401 - a JSON object
        """Send one message: one ZeroMQ part, one JSON object."""
        self.socket.send(json.dumps(message).encode())

    def receive(self) -> dict[str, Any]:
        """The next message that is not a heartbeat; a PING from the edge is answered here."""
        heard = time.monotonic()
        while time.monotonic() - heard < DEAD_AFTER_S:
            if not self.socket.poll(1000):
                self.send(type="PING", nonce="1", t_ns=str(time.monotonic_ns()))
                continue
            message: dict[str, Any] = json.loads(self.socket.recv())
            heard = time.monotonic()
            if message["type"] == "PING":
                self.send(type="PONG", nonce=message["nonce"], t_ns=str(time.monotonic_ns()))
            elif message["type"] in {"REJECT", "REJECTED"}:
                sys.exit(f"the edge refused ({message['code']}): {message['reason']}")
            elif message["type"] != "PONG":
                return message
        sys.exit(f"nothing was heard from the edge for {DEAD_AFTER_S:g} s")


def main(endpoint: str) -> None:
    """Perform one run."""
    edge = Edge(endpoint)
    # `attempt` rises from HELLO to HELLO, over restarts too: a HELLO that a dead connection delivers late is then known as old
    edge.send(type="HELLO", proto=1, encodings=["json"], role="controller", client_id="example", attempt=str(time.time_ns()))
    edge.receive()  # WELCOME
    run_id = str(uuid.uuid4())
    edge.send(type="RUN_START", cmd_id=str(uuid.uuid4()), run_id=run_id, slide_id="slide-1")
    edge.receive()  # ACCEPTED
    edge.send(type="ACK", run_id=run_id, upto_seq=-1, send_until_seq=WINDOW)

    due = 0
    while True:
        record = edge.receive()
        if record["seq"] != due:
            sys.exit(f"seq {due} was due and {record['seq']} came")
        due += 1
        if record["type"] == "field":
            print(record["field_index"], record["status"], record["counts"], "WBC so far:", record["running"]["wbc_total"])
        # Store the record here: once it is acknowledged the edge may forget it.
        edge.send(type="ACK", run_id=run_id, upto_seq=record["seq"], send_until_seq=record["seq"] + 1 + WINDOW)
        if record["type"] == "run_stop":
            print(record["outcome"], record["fields"], record["differential"])
            edge.socket.close()
            zmq.Context.instance().term()
            return


if __name__ == "__main__":
    main(sys.argv[1])
