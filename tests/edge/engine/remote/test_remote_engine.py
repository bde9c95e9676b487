"""A bundle computed by a server: against an emulation on the client's own stubs, which can be slow, wrong, full, or gone."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.emulated_server import NAME, EmulatedServer, emulated_server
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.errors import ConfigError, EngineError
from edge.contracts.served_model import model_name, model_version
from edge.engine.openvino import OpenVinoEngine
from edge.engine.remote import RemoteEngine, ServerWanted, open_remote
from edge.engine.remote.fallback_engine import FallbackEngine

pytestmark = pytest.mark.timeout(90)
SIZE = (160, 128)
FIELDS = [blob_field([("lymphocyte", 8 + 40 * at, 40)]) for at in range(3)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("served") / "bundle")


@pytest.fixture
def server(bundle: Bundle) -> Iterator[EmulatedServer]:
    with emulated_server(bundle) as found:
        yield found


@pytest.mark.parametrize("shares", [True, False], ids=["shared memory", "gRPC"])
def test_it_computes_what_the_engine_here_does(bundle: Bundle, server: EmulatedServer, shares: bool) -> None:
    server.does.shares_memory = shares
    remote = RemoteEngine(bundle, *SIZE, ServerWanted(server.address, 20_000), max_batch=3)
    here = OpenVinoEngine(bundle, *SIZE, max_batch=3, precision="f32")
    try:
        assert remote.shares_memory == shares and f"by {'shared memory' if shares else 'gRPC'}" in remote.info.device
        for slot, n in ((0, 3), (1, 1), (2, 2)):
            remote.slot(slot)[:n] = FIELDS[:n]
            remote.submit(slot, n)
        for slot, n in ((0, 3), (1, 1), (2, 2)):
            here.slot(0)[:n] = FIELDS[:n]
            here.submit(0, n)
            wanted, found = here.collect(0), remote.collect(slot)
            np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
            best = wanted.scores[:, 0] > 0.5
            np.testing.assert_allclose(found.boxes[best, 0], wanted.boxes[best, 0], atol=0.5)
        assert (server.does.shared > 0) == shares
    finally:
        remote.close()
        here.close()
    assert not server.does.regions and not list(Path("/dev/shm").glob(f"leuko-{os.getpid()}-*"))


def test_who_computes_is_said(bundle: Bundle, server: EmulatedServer) -> None:
    engine = RemoteEngine(bundle, *SIZE, ServerWanted(server.address))
    info, identity = engine.info, engine.identity
    engine.close()
    assert (identity.server, identity.model, identity.version) == (
        NAME,
        f"leuko-{bundle.bundle_id}",
        str(model_version(bundle.bundle_id)),
    )
    assert info.plan_sha256 == identity.sha256() and info.key == identity.key(*SIZE) and info.parity == "waived"
    assert NAME in str(info) and server.address in str(info) and bundle.bundle_id in identity.configuration["parameters"]


@pytest.mark.parametrize(
    ("does", "says"),
    [
        pytest.param({"late_s": 3.0}, "gave no answer within 500 ms", id="late"),
        pytest.param({"fail": "CUDA out of memory"}, "did not compute a batch (CUDA out of memory)", id="fails"),
        pytest.param({"scores_by": float("nan")}, "not finite", id="no numbers"),
    ],
)
def test_a_server_that_fails_is_an_error_and_never_an_empty_field(
    bundle: Bundle, server: EmulatedServer, does: dict[str, object], says: str
) -> None:
    engine = RemoteEngine(bundle, *SIZE, ServerWanted(server.address, 500))
    for name, value in does.items():
        setattr(server.does, name, value)
    engine.submit(0, 1)
    with pytest.raises(EngineError) as failed:
        engine.collect(0)
    engine.close()
    assert says in str(failed.value)


@pytest.mark.parametrize(
    ("does", "says"),
    [
        pytest.param({"labels_type": "INT64"}, "its output 'labels' is INT64", id="another graph"),
        pytest.param({"fail": "out of memory"}, "did not compute a batch (out of memory)", id="cannot compute"),
    ],
)
def test_a_server_that_cannot_be_the_bundle_is_refused(
    bundle: Bundle, server: EmulatedServer, does: dict[str, object], says: str
) -> None:
    for name, value in does.items():
        setattr(server.does, name, value)
    with pytest.raises(EngineError) as refused:
        RemoteEngine(bundle, *SIZE, ServerWanted(server.address))
    assert says in str(refused.value)


def test_a_server_of_another_bundle_is_refused(server: EmulatedServer, tmp_path: Path) -> None:
    other = write_tiny_bundle(tmp_path / "other", top_k=64)
    with pytest.raises(EngineError, match=r"does not serve bundle tiny-test .*serve-repository"):
        RemoteEngine(other, *SIZE, ServerWanted(server.address))


def test_a_server_that_is_not_there_is_said(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="cannot be reached"):
        RemoteEngine(bundle, *SIZE, ServerWanted("127.0.0.1:9"))


@pytest.mark.parametrize("address", ["", "host", "host:port", "http://host:1", "host:", ":1", "a b:1", "host:0", "host:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no HOST:PORT"):
        ServerWanted(address)


def test_the_name_and_version_are_the_bundles_id(bundle: Bundle) -> None:
    assert model_name(bundle.bundle_id).endswith(bundle.bundle_id)
    for bundle_id in (bundle.bundle_id, "f" * 64, "0" * 64):
        assert 0 < model_version(bundle_id) < 2**63


def test_a_server_without_a_passed_gate_is_refused_unless_it_is_waived(bundle: Bundle, server: EmulatedServer) -> None:
    local = pytest.fail
    for fallback in (False, True):
        wanted = ServerWanted(server.address, fallback=fallback)
        with pytest.raises(EngineError, match="has not passed its parity gate; run `leuko-build verify"):
            open_remote(bundle, *SIZE, wanted, local)
    engine = open_remote(bundle, *SIZE, ServerWanted(server.address), local, allow_ungated=True)
    assert engine.info.parity == "waived"
    engine.close()


def test_the_fallback_computes_what_was_in_flight_and_says_so(
    bundle: Bundle, server: EmulatedServer, caplog: pytest.LogCaptureFixture
) -> None:
    def here() -> OpenVinoEngine:
        return OpenVinoEngine(bundle, *SIZE, max_batch=2, precision="f32")

    wanted = ServerWanted(server.address, 5000, fallback=True)
    engine = open_remote(bundle, *SIZE, wanted, here, max_batch=2, allow_ungated=True)
    assert isinstance(engine, FallbackEngine) and NAME in str(engine.info)
    for slot in (0, 1):
        engine.slot(slot)[:2] = FIELDS[slot], FIELDS[2]
    engine.submit(0, 2)
    before = engine.collect(0)
    assert engine.notes() == []
    engine.submit(0, 2)
    server.stop()
    engine.submit(1, 1)
    after, other = engine.collect(0), engine.collect(1)
    engine.submit(0, 2)
    again = engine.collect(0)
    (note,) = engine.notes()
    assert "From here on OpenVINO" in note and note in caplog.text and engine.notes() == []
    assert engine.info.runtime == "OpenVINO" and engine.info.slots == 3 and engine.info.parity == "not_needed"
    np.testing.assert_allclose(after.scores[:, 0], before.scores[:, 0], atol=1e-3)
    np.testing.assert_allclose(again.scores, after.scores, atol=1e-3)
    assert other.scores.shape[0] == 1 and other.scores[0, 0] > 0.9
    engine.close()


def test_the_fallback_of_a_server_that_is_not_there_is_the_engine_here(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = ServerWanted("127.0.0.1:9", fallback=True)
    engine = open_remote(bundle, *SIZE, wanted, lambda: OpenVinoEngine(bundle, *SIZE))
    assert engine.info.runtime == "OpenVINO" and "cannot be reached" in caplog.text and "Meanwhile OpenVINO" in caplog.text
    engine.close()
