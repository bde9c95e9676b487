"""`leuko-edge view` as a process: its address bound first, then served until a signal comes."""

import re
import socket
import threading
from pathlib import Path
from types import FrameType

import uvicorn

from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.user_paths import expanded
from edge.stream.curve_keys import ClientKeys
from edge.stream.sockets import is_loopback
from edge.view.page_app import page_app
from edge.view.page_guard import PageGuard, read_token
from edge.view.watched_edge import WatchedEdge

_ADDRESS = re.compile(r"(?P<host>[^/:\s]+|\[[^/\]\s]+\]):(?P<port>\d{1,5})")
_LEAVE_S = 2
_CONNECTIONS = 128


def serve_page(
    endpoint: str | None,
    journal: Path | None,
    bind: str,
    *,
    token: Path | None = None,
    keys: ClientKeys | None = None,
    frames: Path | None = None,
    crops: Path | None = None,
    open_to_network: bool = False,
) -> None:
    """Serve the page at `bind`, HOST:PORT, and print its address. Returns, or is broken off, on a signal.

    Raises `ConfigError` and `StreamError` for what cannot be used.
    """
    host, port = _split(bind, open_to_network=open_to_network)
    secret = read_token(expanded(token)) if token else None
    leaving = threading.Event()
    with (
        _bound(host, port, bind) as listening,
        WatchedEdge(endpoint, journal, keys=keys, frames=frames, crops=crops, may_review=secret is not None) as edge,
    ):
        app = PageGuard(page_app(edge, secret, leaving), loopback=is_loopback(host))
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_LEAVE_S,
            limit_concurrency=_CONNECTIONS,
        )
        where = bind.rpartition(":")[0]
        print(f"the page is at http://{where}:{listening.getsockname()[1]}/", flush=True)
        if not is_loopback(host):
            print("everybody who reaches that address can read it, without a key and unencrypted.", flush=True)
        _Server(config, leaving).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Tells the streams of states that it is to end, which would else keep it."""

    def __init__(self, config: uvicorn.Config, leaving: threading.Event) -> None:
        super().__init__(config)
        self._leaving = leaving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._leaving.set()
        super().handle_exit(sig, frame)


def _split(bind: str, *, open_to_network: bool) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(bind)
    if match is None or int(match["port"]) > 65535:
        raise ConfigError(
            f"{bind!r} is no address for the page; write HOST:PORT with a port up to 65535, such as 127.0.0.1:8571."
        )
    if not is_loopback(match["host"]) and not open_to_network:
        raise ConfigError(
            f"{bind} can be reached from other machines, and the page asks its readers for no key; forward a port to 127.0.0.1 "
            "(ssh -L), put a proxy with authentication in front of it, or say that you want it with --open-to-network."
        )
    return match["host"].strip("[]"), int(match["port"])


def _bound(host: str, port: int, bind: str) -> socket.socket:
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, number)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen()
        except OSError:
            listening.close()
            raise
    except OSError as problem:
        raise StreamError(
            f"the page cannot be served at {bind} ({problem.strerror}); stop the process that has this port or choose another "
            "one with --bind."
        ) from problem
    return listening
