"""Checks an endpoint before ZeroMQ sees it: libzmq takes port 99999 and silently uses 34463."""

import re
from pathlib import Path

import zmq

from edge.contracts.errors import StreamError

_TCP = re.compile(r"tcp://(?P<host>[^/]+):(?P<port>\*|\d{1,6})")
_LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|localhost|\[::1\]")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    return _LOOPBACK.fullmatch(host) is not None


def check_guarded(endpoint: str, keys: Path | None, could: str = "command this edge") -> None:
    """Raises `StreamError` for an address that other machines could reach while anybody would be let in.

    `could` is what anybody might then do, for the sentence.
    """
    match = _TCP.fullmatch(endpoint)
    if keys is None and match and not is_loopback(match["host"]):
        raise StreamError(
            f"{endpoint} can be reached from other machines, and without keys anybody could {could}; make some "
            "(`leuko-edge keys new edge --out DIR`) and give --keys DIR, or bind to 127.0.0.1."
        )


def bound(socket: "zmq.Socket[bytes]", endpoint: str, option: str) -> str:
    """Bind; returns the address with the port that was taken. Raises `StreamError` with the option that chooses another."""
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as problem:
        if problem.errno == zmq.EADDRINUSE:
            raise StreamError(
                f"{endpoint} is already in use; stop the other process or choose another port with {option}."
            ) from problem
        raise StreamError(
            f"{endpoint} cannot be bound ({problem.strerror}); give {option} an address of this machine, such as "
            "tcp://127.0.0.1:5570."
        ) from problem
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)


def check_endpoint(endpoint: str) -> str:
    """Return `endpoint` if it is tcp://HOST:PORT (or ipc://PATH). Raises `StreamError`."""
    match = _TCP.fullmatch(endpoint)
    if match and (match["port"] == "*" or int(match["port"]) <= 65535):
        return endpoint
    if re.fullmatch(r"ipc://.+", endpoint):
        return endpoint
    raise StreamError(
        f"{endpoint!r} is not an address that can be used; write tcp://HOST:PORT with a port up to 65535, "
        "such as tcp://127.0.0.1:5570."
    )
