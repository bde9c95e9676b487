"""The way to an inference server: its address, and TLS where a file says who vouches for the server."""

import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from edge.contracts.errors import ConfigError, EngineError, first_line
from edge.settings import EdgeSettings

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")
_HANDSHAKE_S = 2.0


@dataclass(frozen=True, slots=True)
class ServerWanted:
    """Which server computes, within which time, and whether this machine does where it fails. `ca`: a PEM file with the
    certificates of who may vouch for it; the connection is TLS then."""

    address: str
    deadline_ms: float = 1000.0
    fallback: bool = False
    ca: Path | None = None

    def __post_init__(self) -> None:
        found = _ADDRESS.fullmatch(self.address)
        if found is None or not 0 < int(found[2]) < 65536:
            raise ConfigError(f"--server {self.address!r} is no HOST:PORT; write for example 10.0.0.5:8001, its gRPC port.")

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


def server_of(settings: EdgeSettings) -> ServerWanted:
    """What the settings say of it. Raises `ConfigError` for an address that is none, and where no server is set."""
    if settings.server is None:
        raise ConfigError("no server is set; give --server HOST:PORT.")
    return ServerWanted(settings.server, settings.server_deadline_ms, settings.server_fallback, settings.server_ca)


def connected(server: ServerWanted) -> "grpc.InferenceServerClient":
    """A client; the server need not be there yet. Raises `ConfigError` for a file of certificates that holds none."""
    if server.ca is None:
        return grpc.InferenceServerClient(server.address)
    _context(server.ca)
    return grpc.InferenceServerClient(server.address, ssl=True, root_certificates=str(server.ca))


def unreachable(server: ServerWanted, problem: InferenceServerException) -> EngineError:
    """Why nothing was heard from it, as a sentence; what is wrong with its certificate is found out by a handshake."""
    why = _trouble_of_tls(server)
    if why:
        return EngineError(f"inference server {server.address} {why}")
    return EngineError(
        f"inference server {server.address} cannot be reached ({said_by(problem)}); start it, check --server, or ask for "
        "--server-fallback."
    )


def said_by(problem: InferenceServerException) -> str:
    """The first line of what it says, and no more than a sentence has room for."""
    text = str(problem.message() or problem.status() or "no reason given").strip().splitlines()[0]
    return text.rstrip(".") if len(text) <= 200 else f"{text[:197]}..."


def _context(ca: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as problem:
        raise ConfigError(
            f"--server-ca {ca} holds no certificates that can be read ({first_line(problem)}); give the PEM file of the "
            "authority that signed the server's certificate."
        ) from problem
    return context


def _trouble_of_tls(server: ServerWanted) -> str:
    """What keeps its certificate from being accepted, or that it wants TLS; empty where that is not what is wrong."""
    if server.ca is None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        heard = _handshake(server, context)
        return "" if heard is not None else "speaks TLS; give its authority's certificate with --server-ca FILE."
    problem = _handshake(server, _context(server.ca))
    if isinstance(problem, ssl.SSLCertVerificationError):
        return (
            f"is not the one that --server-ca {server.ca} vouches for ({problem.verify_message.rstrip('.')}); give the "
            "authority that signed its certificate, and the host by the name that the certificate has."
        )
    if isinstance(problem, ssl.SSLError):
        return f"does not speak TLS as --server-ca asks ({first_line(problem)}); leave that out, or start the server with TLS."
    return ""


def _handshake(server: ServerWanted, context: ssl.SSLContext) -> Exception | None:
    """None when it went well."""
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((server.host, server.port), _HANDSHAKE_S) as plain:
            plain.settimeout(_HANDSHAKE_S)
            with context.wrap_socket(plain, server_hostname=server.host):
                return None
    except (OSError, ValueError) as problem:  # of which SSLError is one
        return problem
