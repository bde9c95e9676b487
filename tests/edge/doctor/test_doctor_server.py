"""`leuko-edge doctor` of an inference server that settings name: what it is, and whether a run would compute there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.emulated_server import NAME, EmulatedServer, emulated_server
from support.made_up_engine import machine
from support.ports import free_endpoint
from support.signed import secret_of, sign, trusting
from support.tiny_bundle import write_tiny_bundle
from typer.testing import CliRunner

from edge.command_list import app
from edge.contracts.bundle import Bundle
from edge.contracts.errors import LeukoError
from edge.doctor import diagnosis_text, what_opens
from edge.doctor.diagnosis_text import findings, question_of
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("asked") / "bundle")


@pytest.fixture(scope="module")
def server(bundle: Bundle) -> Iterator[EmulatedServer]:
    with emulated_server(bundle) as found:
        yield found


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis_text, "look_at_machine", lambda *, everything: machine(None))


@pytest.mark.parametrize(
    ("at", "words", "code", "says"),
    [
        pytest.param("here", (), 5, "has not passed its parity gate; run `leuko-build verify", id="never compared"),
        pytest.param("here", ("--server-fallback",), 5, "has not passed its parity gate", id="no reason to fall back"),
        pytest.param("here", ("--allow-ungated-engine",), 0, f"{NAME} 0 (onnxruntime) at", id="allowed"),
        pytest.param(
            "here",
            ("--allow-ungated-engine", "--server-fallback"),
            0,
            "; where it fails, OpenVINO",
            id="allowed, and a fallback",
        ),
        pytest.param("nowhere", (), 5, "cannot be reached", id="nobody there"),
        pytest.param("nowhere", ("--server-fallback",), 0, "OpenVINO", id="nobody there, and a fallback"),
        pytest.param("no address", (), 2, "is no HOST:PORT", id="no address"),
        pytest.param("here", ("--signers", "KEYS"), 2, "cannot be signed", id="signatures are asked for"),
        pytest.param("here", ("--server-ca", "/none"), 2, "holds no certificates", id="no such file"),
        pytest.param(
            "here", ("--server-ca", "/none", "--server-fallback"), 2, "holds no certificates", id="a setting is no fault"
        ),
    ],
)
def test_what_a_server_is_is_told(
    bundle: Bundle, server: EmulatedServer, tmp_path: Path, at: str, words: tuple[str, ...], code: int, says: str
) -> None:
    """By an option and by a configuration alike."""
    address = {"here": server.address, "nowhere": free_endpoint().removeprefix("tcp://")}.get(at, at)
    asked = server.does.asked
    config = tmp_path / "edge.toml"
    config.write_text(f"server = {address!r}\nbundle = {str(bundle.path)!r}\njournal = 'memory'\n")
    if "KEYS" in words:
        secret = secret_of(tmp_path, "me")
        sign(bundle.path, secret)
        words = ("--signers", str(trusting(tmp_path / "keys", secret)))
    for first in (("--config", str(config)), (str(bundle.path), "--server", address, "--journal", "memory")):
        done = CliRunner().invoke(app, ["doctor", *first, *words, "--json"])
        found = json.loads(done.stdout)
        told = done.exception.exit_code if isinstance(done.exception, LeukoError) else done.exit_code
        assert told == code, done.output
        assert says in (found["problem"] or found["opens"]["text"])
        fact = found["facts"]["inference server"]
        assert fact["usable"] == (code == 0 and at == "here")
    assert server.does.asked == asked, "nothing is computed"


def test_without_its_client_the_part_is_named(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "edge.engine.remote", None)
    done = CliRunner().invoke(app, ["doctor", str(bundle.path), "--server", "127.0.0.1:1", "--json"])
    assert json.loads(done.stdout)["opens"] is None and what_opens.SERVER in json.loads(done.stdout)["facts"]


def test_a_controller_that_asks_hears_of_it(bundle: Bundle) -> None:
    setup = resolve({"source": "virtual:seed=1", "bundle": bundle.path, "server": free_endpoint().removeprefix("tcp://")})
    found = {each.name: each for each in findings(question_of(setup))}
    assert not found["inference server"].usable and "cannot be reached" in found["inference server"].text
    assert not found["a run"].usable and found["bundle"].usable
