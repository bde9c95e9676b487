"""Who may ask for what: pages of other sites may neither read nor write here, and only a token lets anybody write."""

import hmac
import ipaddress
import socket
import stat
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.contracts.errors import ConfigError, first_line
from edge.contracts.whole_file import read_whole
from edge.stream.sockets import is_loopback

_SHORTEST = 16
_TOKEN_BYTES = 1 << 12
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class PageGuard:
    """Around the application: foreign `Host` and `Origin` are refused, and every answer says what a browser may do with it.

    A site that gives its own name this machine's address (DNS rebinding) is known by that name in `Host`. Where only this
    machine can ask (`loopback`) its names are those of the loopback; else any address, and this machine's own name.
    """

    def __init__(self, app: ASGIApp, *, loopback: bool) -> None:
        self._app, self._loopback = app, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            await send(message)

        refused = self._refused(Request(scope))
        await (refused or self._app)(scope, receive, send_guarded)

    def _refused(self, request: Request) -> Response | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self._is_own(host):
            return PlainTextResponse(
                f"this page is not served under the name {host!r}; use the address that `leuko-edge view` has printed.\n", 403
            )
        if origin is not None and origin != f"http://{host}":
            return PlainTextResponse("a page of another origin may ask for nothing here.\n", 403)
        if request.method not in {"GET", "HEAD"} and origin is None:
            return PlainTextResponse("what writes has to say its Origin, as browsers do.\n", 403)
        return None

    def _is_own(self, host: str) -> bool:
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if is_loopback(name):
            return True
        if self._loopback:
            return False
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return name.lower() == socket.gethostname().lower()
        return True


def read_token(path: Path) -> str:
    """The secret in the first line of a file that its owner alone can read. Raises `ConfigError`."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"token file {path} can be read by others, who could then review cells; chmod 600 {path}")
        token = read_whole(path, _TOKEN_BYTES).decode().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"token file {path} cannot be read ({first_line(problem)}); write a secret into it.") from problem
    if len(token) < _SHORTEST:
        raise ConfigError(
            f"the token in {path} has {len(token)} characters and could be guessed; make one of {_SHORTEST} or more, such as "
            "with `openssl rand -hex 16`."
        )
    return token


def has_token(request: Request, token: str) -> bool:
    """Whether the request bears it; how long the comparison takes says nothing of it."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode(), token.encode())
