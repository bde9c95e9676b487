"""A server by TLS: reached with the authority that vouches for it, and with every other a sentence that says what is wrong."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from support.emulated_server import emulated_server
from support.ports import free_endpoint
from support.tiny_bundle import blob_field, write_tiny_bundle
from support.tls_files import Authority

from edge.contracts.bundle import Bundle
from edge.contracts.errors import ConfigError, EngineError
from edge.engine.remote import RemoteEngine, ServerWanted
from edge.engine.remote.served_look import look_at_server

pytestmark = pytest.mark.timeout(90)
SIZE = (160, 128)
HERE, OTHER = "127.0.0.1", "10.9.8.7"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("tls") / "bundle")


def test_it_computes_by_tls_and_says_so(bundle: Bundle, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with emulated_server(bundle, authority.key_and_certificate(HERE)) as server:
        wanted = ServerWanted(server.address, 20_000, ca=authority.file)
        assert "by TLS serves bundle" in look_at_server(bundle, SIZE, wanted, None).text
        engine = RemoteEngine(bundle, *SIZE, wanted, share=False)
        engine.slot(0)[0] = blob_field([("lymphocyte", 40, 40)])
        engine.submit(0, 1)
        found = engine.collect(0)
        engine.close()
    assert found.scores[0, 0] > 0.5 and np.isfinite(found.boxes).all() and "gRPC over TLS" in engine.info.device


def _file(folder: Path, name: str) -> Path | None:
    if name == "garbage":
        (folder / "garbage").write_bytes(b"-----BEGIN CERTIFICATE-----\nno\n")
    return None if name == "" else folder / (name if name in {"garbage", "missing"} else f"{name}.pem")


@pytest.mark.parametrize(
    ("certificate", "ca", "error", "says"),
    [
        pytest.param((HERE, 1), "another", EngineError, "is not the one that --server-ca", id="another authority"),
        pytest.param((OTHER, 1), "authority", EngineError, "IP address mismatch", id="another host's certificate"),
        pytest.param((HERE, -1), "authority", EngineError, "has expired", id="an old one"),
        pytest.param((HERE, 1), "", EngineError, "speaks TLS; give its authority's certificate", id="TLS there, none here"),
        pytest.param(None, "authority", EngineError, "does not speak TLS as --server-ca asks", id="none there, TLS here"),
        pytest.param((HERE, 1), "garbage", ConfigError, "holds no certificates that can be read", id="no PEM"),
        pytest.param((HERE, 1), "missing", ConfigError, "holds no certificates that can be read", id="no file"),
    ],
)
def test_a_certificate_that_does_not_fit_is_a_sentence(
    bundle: Bundle, tmp_path: Path, certificate: tuple[str, int] | None, ca: str, error: type[Exception], says: str
) -> None:
    authority, _ = Authority(tmp_path), Authority(tmp_path, "another")
    with ExitStack() as held:
        own = None if certificate is None else authority.key_and_certificate(certificate[0], days=certificate[1])
        server = held.enter_context(emulated_server(bundle, own))
        wanted = ServerWanted(server.address, 5000, ca=_file(tmp_path, ca))
        ways: tuple[Callable[[], object], ...] = (
            lambda: look_at_server(bundle, SIZE, wanted, None),
            lambda: RemoteEngine(bundle, *SIZE, wanted),
        )
        for opening in ways:
            with pytest.raises(error, match=r"inference server|--server-ca") as raised:
                opening()
            assert says in str(raised.value)


def test_nobody_there_is_nobody_there_by_tls_too(bundle: Bundle, tmp_path: Path) -> None:
    wanted = ServerWanted(free_endpoint().removeprefix("tcp://"), ca=Authority(tmp_path).file)
    with pytest.raises(EngineError, match="cannot be reached"):
        look_at_server(bundle, SIZE, wanted, None)
