"""One short run of an edge whose camera is triggered, message by message: what docs/integration.md shows.

    leuko-edge serve --config edge.toml
    python examples/walk_through.py tcp://127.0.0.1:5570

Needs pyzmq and nothing of leukostream. It prints every message as it crosses the socket (> to the edge, < from it), long ones
cut to what a reader looks at first. It is for reading, not for scanning: it holds nothing on disk and resumes nothing, which
examples/controller.py and examples/cpp do.
"""

import json
import sys
import time
import uuid
from typing import Any

import zmq

SHOWN = {
    "WELCOME": ("proto", "encoding", "boot_id", "runs", "service_state"),
    "run_start": ("run_id", "seq", "boot_id", "slide_id", "policy", "diagnostic"),
    "field": ("run_id", "seq", "trigger_id", "field_index", "status", "um_per_px", "stage", "detections", "counts", "times"),
    "run_stop": ("run_id", "seq", "outcome", "triggers", "fields", "sums_match", "cells"),
    "event": ("run_id", "seq", "severity", "code", "message"),
}
"""Of long messages; others are printed whole."""
FIELD_NM = 80_000
WITHIN_S = 30.0


class Edge:
    """A socket that prints what crosses it."""

    def __init__(self, endpoint: str) -> None:
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.linger = 500
        self._socket.connect(endpoint)

    def say(self, **message: Any) -> None:  # noqa: ANN401 a message's keys are of many types
        print("> " + json.dumps(message))
        self._socket.send(json.dumps(message).encode())

    def hear(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these types. PINGs are answered and, like those of other types, not waited for."""
        until_s = time.monotonic() + WITHIN_S
        while self._socket.poll(max(0, int((until_s - time.monotonic()) * 1000))):
            message: dict[str, Any] = json.loads(self._socket.recv())
            kind = message["type"]
            if kind == "PING":
                self._socket.send(
                    json.dumps({"type": "PONG", "nonce": message["nonce"], "t_ns": str(time.monotonic_ns())}).encode()
                )
                continue
            keys = SHOWN.get(kind, tuple(message))
            shown = {"type": kind, **{key: message[key] for key in keys if key in message}}
            print("< " + json.dumps(_shortened(shown)))
            if kind in ("REJECT", "REJECTED"):
                raise SystemExit(1)
            if kind in kinds:
                return message
        raise SystemExit(f"the edge has not said {' or '.join(kinds)} within {WITHIN_S:.0f} s")


def _shortened(message: dict[str, Any]) -> dict[str, Any]:
    """At most one detection, and of it what is read first."""
    first = [
        {key: each[key] for key in ("label", "score", "box_px", "centre_stage")} for each in message.get("detections", [])[:1]
    ]
    return message | ({"detections": first} if first else {})


def main(endpoint: str, n_fields: int = 3) -> None:
    """HELLO, a run of so many fields, and its end."""
    edge, run_id = Edge(endpoint), str(uuid.uuid4())
    edge.say(
        type="HELLO", proto=1, encodings=["json"], role="controller", client_id="walk-through", attempt=str(time.time_ns())
    )
    edge.hear("WELCOME")
    edge.say(type="RUN_START", cmd_id=str(uuid.uuid4()), run_id=run_id, slide_id="S-1")
    edge.hear("ACCEPTED")
    edge.say(type="ACK", run_id=run_id, upto_seq=-1, send_until_seq=64)
    for index in range(n_fields):
        stage = {"x_nm": str(index * FIELD_NM), "y_nm": "0"}
        command = {"cmd_id": str(uuid.uuid4()), "run_id": run_id, "trigger_id": f"t-{index}", "field_index": index}
        edge.say(type="TRIGGER", **command, stage=stage)
        edge.hear("ACCEPTED")  # from here on the pulse may be given
        seq = edge.hear("field")["seq"]
        edge.say(type="ACK", run_id=run_id, upto_seq=seq, send_until_seq=seq + 65)
    edge.say(type="RUN_STOP", cmd_id=str(uuid.uuid4()), run_id=run_id)
    last = edge.hear("run_stop")
    edge.say(type="ACK", run_id=run_id, upto_seq=last["seq"], send_until_seq=last["seq"] + 1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570")
