"""The page that Prometheus reads, and two for whoever watches over the process: HTTP on this machine only, in own threads.

`/healthz` answers 200 as long as the process looks after itself, in FAULT too: starting it again would mend nothing. `/readyz`
answers 200 while a run can begin or is in progress, else 503. Both tell state and reason as JSON.
"""

import json
import logging
import re
import socket
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, MetricsHandler
from prometheus_client.registry import Collector

from edge.contracts.errors import StreamError
from edge.pipeline.run_control import READY, Standing
from edge.stream.sockets import is_loopback

_REQUEST_S = 5.0
_READY_STATES = ("READY", "RUNNING")
_CLOSE_S = 0.1
_log = logging.getLogger(__name__)


class MetricsPage:
    """Serves what `collector` collects at `address`, HOST:PORT (port 0 takes a free one), from `start` to `close`.

    The page has neither keys nor encryption: raises `StreamError` for an address that other machines could reach, and for one
    that is none.
    """

    def __init__(self, address: str, collector: Collector, stands: Callable[[], Standing] = lambda: READY) -> None:
        self.address = address
        self._host, self._port = _split(address)
        registry = CollectorRegistry()
        registry.register(collector)
        self._handler = type("_Handler", (_Handler.factory(registry),), {"stands": staticmethod(stands)})
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> "MetricsPage":
        """Bind and serve. Raises `StreamError` when the address cannot be bound."""
        try:
            self._server = _Server(self._host, self._port, self._handler)
        except OSError as problem:
            raise StreamError(
                f"the metrics cannot be served at {self.address} ({problem.strerror}); stop the process that has this port or "
                "choose another one with --metrics."
            ) from problem
        self.address = f"{self.address.rpartition(':')[0]}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_CLOSE_S,), name="leuko-metrics", daemon=True)
        self._thread.start()
        return self

    @property
    def url(self) -> str:
        return f"http://{self.address}/metrics"

    def close(self) -> None:
        """Serve no more. Safe to repeat."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None


class _Handler(MetricsHandler):
    timeout = _REQUEST_S  # who connects and says nothing does not keep a thread for ever
    stands: Callable[[], Standing]

    def do_GET(self) -> None:  # noqa: N802 as http.server calls it
        path = self.path.partition("?")[0]
        if path not in {"/healthz", "/readyz"}:
            super().do_GET()
            return
        standing = self.stands()
        ready = standing.state in _READY_STATES or path == "/healthz"
        content = json.dumps({"state": standing.state, "reason": standing.reason}).encode() + b"\n"
        self.send_response(200 if ready else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    def __init__(self, host: str, port: int, handler: Any) -> None:  # noqa: ANN401 prometheus-client makes the class
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 as http.server has it
        """A scrape that was broken off is its reader's affair and nothing for standard error."""
        _log.debug("a scrape by %s failed", client_address, exc_info=True)


def _split(address: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?P<host>[^/:]+|\[[^/]+\]):(?P<port>\d{1,5})", address)
    if match is None or int(match["port"]) > 65535:
        raise StreamError(
            f"{address!r} is not an address for the metrics; write HOST:PORT with a port up to 65535, such as 127.0.0.1:9570."
        )
    if not is_loopback(match["host"]):
        raise StreamError(
            f"{address} can be reached from other machines, and the metrics page has no keys; give --metrics 127.0.0.1:PORT "
            "and put a proxy with authentication in front of it."
        )
    return match["host"].strip("[]"), int(match["port"])
