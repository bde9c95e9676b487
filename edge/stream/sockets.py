"""What every socket of the edge needs: its address checked and bound, and a way to wake the thread that polls it.

An address is checked before ZeroMQ sees it, because libzmq takes port 99999 and silently uses 34463.
"""

import contextlib
import fcntl
import ipaddress
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import zmq

from edge.contracts.errors import StreamError

_TCP = re.compile(r"tcp://(?P<host>[^/]+):(?P<port>\*|\d{1,6})")
_IPC = "ipc://"
_ANSWER_S = 1.0


def check_endpoint(endpoint: str) -> str:
    """Return `endpoint` if it is tcp://HOST:PORT (or ipc://PATH). Raises `StreamError`."""
    match = _TCP.fullmatch(endpoint)
    if match and (match["port"] == "*" or int(match["port"]) <= 65535):
        return endpoint
    if re.fullmatch(rf"{_IPC}.+", endpoint):
        return endpoint
    raise StreamError(
        f"{endpoint!r} is not an address that can be used; write tcp://HOST:PORT with a port up to 65535, "
        "such as tcp://127.0.0.1:5570."
    )


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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def speak_ipv6(socket_: "zmq.Socket[bytes]", endpoint: str) -> None:
    """Let a socket use an IPv6 address. Not for other ones: a name would mean its IPv6 address first, where nobody listens."""
    if endpoint.startswith("tcp://["):
        socket_.setsockopt(zmq.IPV6, 1)


def bound(unbound: "zmq.Socket[bytes]", endpoint: str, option: str) -> str:
    """Bind; returns the address with the port that was taken. Raises `StreamError` with the option that chooses another."""
    speak_ipv6(unbound, endpoint)
    try:
        with _free_path(endpoint, option):
            unbound.bind(endpoint)
    except zmq.ZMQError as problem:
        if problem.errno == zmq.EADDRINUSE:
            raise StreamError(
                f"{endpoint} is already in use; stop the other process or choose another port with {option}."
            ) from problem
        raise StreamError(
            f"{endpoint} cannot be bound ({problem.strerror}); give {option} an address of this machine, such as "
            "tcp://127.0.0.1:5570."
        ) from problem
    return unbound.getsockopt_string(zmq.LAST_ENDPOINT)


@contextlib.contextmanager
def _free_path(endpoint: str, option: str) -> Iterator[None]:
    """Within, nobody listens at the path of an ipc:// address, and no other edge begins to.

    libzmq removes whatever has that path before it binds: another edge's socket, which then waits for ever, or any file.
    """
    path = Path(endpoint.removeprefix(_IPC))
    if not endpoint.startswith(_IPC) or str(path).startswith("@") or not path.parent.is_dir():
        yield  # no path, or libzmq says what is wrong with it
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if path.exists() and not path.is_socket():
            raise StreamError(f"{endpoint} names a file that is no socket; choose another path with {option}.")
        if _answers(path):
            raise StreamError(f"{endpoint} is already in use; stop the other process or choose another path with {option}.")
        yield
    except PermissionError as problem:
        raise StreamError(
            f"{endpoint} belongs to another user ({problem.strerror}); choose another path with {option}."
        ) from problem
    finally:
        os.close(folder)


def _answers(path: Path) -> bool:
    """Whether somebody listens at this path; what a killed process has left there does not answer. Raises PermissionError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_ANSWER_S)
        try:
            caller.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError:
            raise
        except OSError:
            return path.exists()  # it is there, and too busy to answer
        return True


class Waker:
    """Wakes a poll from another thread, so that nothing has to poll the journal.

    It is a socket pair: `wake` from any thread, `fileno` for the poller, `drain` from the polling thread."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._lock = threading.Lock()
        self._open = True

    def fileno(self) -> int:
        return self._receiver.fileno()

    def wake(self) -> None:
        """Make the poll return. Never blocks; after `close` it does nothing, because the journal may outlive the server."""
        with self._lock, contextlib.suppress(BlockingIOError):  # a full buffer wakes as well as one byte more
            if self._open:
                self._sender.send(b"w")

    def drain(self) -> None:
        """Forget the wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            while len(self._receiver.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        with self._lock:
            self._open = False
            self._sender.close()
            self._receiver.close()
