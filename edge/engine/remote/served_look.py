"""What a server is and whether a run may compute on it, found out without a batch."""

import time
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import GateSight
from edge.engine.remote.connection import ServerWanted, connected
from edge.engine.remote.served_gate import gate_on_record, ungated
from edge.engine.remote.served_identity import ask_identity
from edge.engine.survey import GATES

ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class ServedLook:
    """`refused` says why no run may compute there as it is; empty when one may."""

    text: str
    runtime: str
    key: str
    refused: str
    saw: GateSight | None
    """how the fields were corrected on which it has passed its gate; None where it has not"""


def look_at_server(bundle: Bundle, size_px: tuple[int, int], server: ServerWanted, engine_dir: Path | None) -> ServedLook:
    """Ask the server of a bundle and of frames of that size. What its gate compared is not asked again: a run does that.

    Raises `EngineError` when it cannot be reached, or does not serve the bundle.
    """
    client = connected(server)
    try:
        began_s = time.monotonic()
        identity = ask_identity(client, server, bundle, ASK_S)
        took_ms = (time.monotonic() - began_s) * 1e3
    finally:
        client.close()
    gate, saw = gate_on_record(identity, size_px, bundle, engine_dir)
    name = f"{identity.server or 'inference server'} {identity.server_version} ({identity.platform or 'KServe v2'})"
    text = (
        f"{name} at {server.address}{' by TLS' if server.ca else ''} serves bundle {bundle.manifest.name} "
        f"({bundle.bundle_id[:12]}) and said so in {took_ms:.0f} ms; parity gate for frames of {size_px[0]} x {size_px[1]} px: "
        f"{GATES[gate]}"
    )
    refused = "" if gate == "passed" else ungated(server.address, bundle, gate, engine_dir)
    return ServedLook(text, name, identity.key(*size_px), refused, None if refused else saw)
