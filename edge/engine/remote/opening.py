"""Opens a bundle on a server by the rules of every engine: none that has not passed its parity gate, and none in silence."""

import logging
from collections.abc import Callable
from pathlib import Path

from edge.contracts.bundle import Bundle
from edge.contracts.errors import EngineError
from edge.engine.base import Engine
from edge.engine.remote.connection import ServerWanted
from edge.engine.remote.fallback_engine import FallbackEngine
from edge.engine.remote.remote_engine import RemoteEngine
from edge.engine.remote.served_gate import gate_of_served, ungated

_log = logging.getLogger(__name__)


def open_remote(
    bundle: Bundle,
    frame_width_px: int,
    frame_height_px: int,
    server: ServerWanted,
    open_local: Callable[[], Engine],
    *,
    max_batch: int = 1,
    engine_dir: Path | None = None,
    allow_ungated: bool = False,
) -> Engine:
    """The engine on a server, warm; with its fallback asked for, `open_local` opens what computes where the server fails.

    Where it cannot be opened at all that one is opened instead, after a warning; the run's provenance names it. Raises
    `EngineError` without a fallback, and in any case for a server that has not passed the parity gate (unless `allow_ungated`)
    or is not what it was when it did: to fall back from that would hide it.
    """
    try:
        remote = RemoteEngine(bundle, frame_width_px, frame_height_px, server, max_batch=max_batch)
    except EngineError as problem:
        if not server.fallback:
            raise
        local = open_local()
        _log.warning("%s Meanwhile %s computes, as --server-fallback asks.", problem, local.info)
        return local
    try:
        gate, saw = gate_of_served(remote, bundle, engine_dir)
        if gate != "passed" and not allow_ungated:
            raise EngineError(ungated(server.address, bundle, gate, engine_dir))
        if gate == "passed":
            remote.accept("passed", saw)
        else:
            remote.accept("failed" if gate == "failed" else "waived")
    except BaseException:
        remote.close()
        raise
    return FallbackEngine(remote, open_local) if server.fallback else remote
