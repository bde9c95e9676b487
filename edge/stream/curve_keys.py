"""CURVE keys: who may talk to an edge, and to which edge a client talks.

A pair is two files, NAME.key (public) and NAME.key_secret (for its owner alone). The edge's directory holds its own pair,
`edge`, and under `allowed` the public keys of the clients that it lets in.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.auth

from edge.contracts.errors import StreamError, first_line
from edge.contracts.signature import NAME_PATTERN
from edge.contracts.whole_file import SMALL_BYTES, read_whole

EDGE = "edge"
ALLOWED = "allowed"
PUBLIC, SECRET = ".key", ".key_secret"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Both halves, in ZeroMQ's text form (Z85)."""

    public: bytes
    secret: bytes


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a client needs: its own pair, and the public key of the one edge that it trusts."""

    own: KeyPair
    edge: bytes

    def apply(self, socket: "zmq.Socket[bytes]") -> None:
        """Before the socket connects."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = self.own.public, self.own.secret, self.edge


def new_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new pair; the secret file is readable by its owner alone. Raises `StreamError` when one is there already."""
    _check_name(name)
    public, secret = folder / f"{name}{PUBLIC}", folder / f"{name}{SECRET}"
    for file in (public, secret):
        if file.exists():
            raise StreamError(f"{file} is there already, and whoever uses it would be locked out; choose another name.")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = os.umask(0o077)  # pyzmq writes the secret before anybody could change its mode
        try:
            zmq.auth.create_certificates(folder, name)
        finally:
            os.umask(before)
        public.chmod(0o644)
    except OSError as problem:
        raise StreamError(f"keys cannot be written to {folder} ({problem.strerror}); give another directory.") from problem
    return public, secret


def read_public(file: Path) -> bytes:
    """The public key of a .key file. Raises `StreamError` when it holds none."""
    return _read(file)[0]


def read_pair(folder: Path, name: str) -> KeyPair:
    """A pair from its secret file. Raises `StreamError`, also when others could read the secret."""
    file = folder / f"{name}{SECRET}"
    public, secret = _read(file)
    if secret is None:
        raise StreamError(f"{file} holds no secret key; make a pair with `leuko-edge keys new {name} --out {folder}`.")
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StreamError(f"others than its owner may read {file}, so it is no secret; `chmod 600 {file}` if nobody has.")
    return KeyPair(public, secret)


def client_keys(secret_file: Path, edge_file: Path) -> ClientKeys:
    """Keys of a client from its own .key_secret file and the edge's .key file. Raises `StreamError`."""
    return ClientKeys(read_pair(secret_file.parent, secret_file.name.removesuffix(SECRET)), read_public(edge_file))


class AllowList:
    """Clients that an edge lets in. It is read at every handshake: allowing and revoking need no restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ALLOWED

    def allow(self, file: Path) -> str:
        """Let the owner of a public key in; returns its name. Raises `StreamError`."""
        key, name = read_public(file), file.name.removesuffix(PUBLIC)
        _check_name(name)
        known = self.names()
        if name in known and known[name] != key:
            raise StreamError(f"another key is allowed as {name} already; revoke it first: `leuko-edge keys revoke {name}`.")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{name}{PUBLIC}").write_bytes(read_whole(file, SMALL_BYTES))
        except OSError as problem:
            raise StreamError(f"{self._folder} cannot be written ({problem.strerror}); check --keys.") from problem
        return name

    def revoke(self, name: str) -> None:
        """Shut a client out: no new connection of it is taken. Raises `StreamError` when it is not in."""
        _check_name(name)
        file = self._folder / f"{name}{PUBLIC}"
        if not file.is_file():
            raise StreamError(f"no key is allowed as {name}; `leuko-edge keys list` names those that are.")
        file.unlink()

    def names(self) -> dict[str, bytes]:
        """Public key by client name, in order of name."""
        return {file.name.removesuffix(PUBLIC): read_public(file) for file in sorted(self._folder.glob(f"*{PUBLIC}"))}

    def keys(self) -> set[bytes]:
        """Public keys of all who are let in; nobody's when the list cannot be read."""
        try:
            return set(self.names().values())
        except StreamError:
            return set()

    def callback(self, domain: str, key: bytes) -> bool:
        """What pyzmq asks at a handshake; a list that cannot be read lets nobody in."""
        return key in self.keys()


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise StreamError(f"{name!r} is no name for keys; use letters, digits, points and dashes, such as scanner-1.")


def _read(file: Path) -> tuple[bytes, bytes | None]:
    try:
        read_whole(file, SMALL_BYTES)  # a pipe would keep the next line waiting
        return zmq.auth.load_certificate(file)
    except (OSError, ValueError) as problem:
        raise StreamError(
            f"{file} is no key file ({first_line(problem)}); make one with `leuko-edge keys new NAME --out DIR`, or give the "
            "right path."
        ) from problem
