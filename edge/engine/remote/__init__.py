"""A bundle that a server computes (KServe v2 over gRPC), behind the interface of every engine."""

from edge.engine.remote.connection import ServerWanted, server_of
from edge.engine.remote.opening import open_remote
from edge.engine.remote.remote_engine import RemoteEngine

__all__ = ["RemoteEngine", "ServerWanted", "open_remote", "server_of"]
