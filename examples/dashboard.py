"""A dashboard in one file, with nothing but pyzmq and json: shows how an edge stands, as often as it says so.

Usage: python dashboard.py tcp://127.0.0.1:5571      (an edge started with --telemetry tcp://127.0.0.1:5571)
For looking, never for counting: messages may be missed here, and only the records of docs/protocol.md have no gaps.
"""

import json
import sys
from typing import Any

import zmq

SILENT_MS = 3000  # an edge says something every second


def line(live: dict[str, Any]) -> str:
    """One message in a line."""
    ends = ", ".join(f"{count} {status}" for status, count in live["fields"].items()) or "no field yet"
    last = live["last_field"]
    took = f", the last took {last['times']['total_ms']:.1f} ms" if last and last["times"] else ""
    return (
        f"{live['phase']}: {ends}{took}; {live['wbc_total']} WBC; {live['queue_fields']} waiting, "
        f"{live['open_triggers']} open, lag {live['lag'] or 0}, {live['sessions']} connected"
    )


def main(endpoint: str) -> None:
    """Print one line per message until interrupted."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.CONFLATE, 1)  # of several that wait only the newest; works because a message is one part
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.setsockopt(zmq.IPV6, endpoint.startswith("tcp://["))
    socket.connect(endpoint)
    boot_id, due = "", 0
    while True:
        if not socket.poll(SILENT_MS):
            print(f"nothing was heard from {endpoint} for {SILENT_MS / 1000:g} s", flush=True)
            continue
        live = json.loads(socket.recv())
        if live["boot_id"] != boot_id:
            boot_id, due = live["boot_id"], live["telemetry_seq"]
        if live["telemetry_seq"] != due:
            print(f"{live['telemetry_seq'] - due} messages were missed", flush=True)
        due = live["telemetry_seq"] + 1
        print(line(live), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(0)
