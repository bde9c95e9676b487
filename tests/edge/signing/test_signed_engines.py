"""A compiled engine is machine code: where signatures are asked for it needs one, and so does the report that lets it run."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from support.made_up_engine import machine, write_engine
from support.signed import secret_of, sign, trusting
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import ENGINE_MANIFEST, PARITY, PLAN, EngineFiles, engine_folders
from edge.contracts.errors import EngineError
from edge.contracts.signature import signature_file
from edge.engine.choice import choose_engine
from edge.engine.engine_places import place_to_build
from edge.engine.survey import Wanted
from edge.signing import Signers

pytestmark = pytest.mark.timeout(20)

WANTED = Wanted(160, 128, 4)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "bundle")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return secret_of(tmp_path / "keys", "lab-1")


@pytest.fixture
def signers(tmp_path: Path, secret: Path) -> Signers:
    return Signers(trusting(tmp_path / "signers", secret))


@pytest.fixture
def engine(bundle: Bundle, secret: Path) -> EngineFiles:
    files = write_engine(bundle, place_to_build(bundle))
    sign(files.path, secret)
    return files


def test_a_signed_engine_is_chosen_and_its_signatures_are_no_engines(
    bundle: Bundle, engine: EngineFiles, signers: Signers
) -> None:
    assert choose_engine(bundle, machine(), WANTED, signers=signers) == engine
    assert engine_folders(place_to_build(bundle)) == [engine.path]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(
            lambda folder: signature_file(folder / ENGINE_MANIFEST).unlink(),
            "it is not signed as --signers asks: it has no engine.json.sig",
            id="unsigned",
        ),
        pytest.param(
            lambda folder: (folder / ENGINE_MANIFEST).write_text((folder / ENGINE_MANIFEST).read_text() + "\n"),
            "engine.json is not the one that lab-1 signed",
            id="another manifest",
        ),
        pytest.param(
            lambda folder: (folder / PARITY).write_text((folder / PARITY).read_text() + "\n"),
            "its parity report is not signed as --signers asks: parity.json is not the one that lab-1 signed",
            id="a report that was changed",
        ),
        pytest.param(
            lambda folder: signature_file(folder / PARITY).write_bytes(signature_file(folder / ENGINE_MANIFEST).read_bytes()),
            "another kind of thing (engine)",
            id="the manifest's signature for the report",
        ),
    ],
)
def test_an_engine_that_no_signer_vouches_for_is_not_loaded(
    bundle: Bundle,
    engine: EngineFiles,
    signers: Signers,
    spoil: Callable[[Path], object],
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(engine.path)
    with pytest.raises(EngineError) as caught:
        choose_engine(bundle, machine(), WANTED, runtime="tensorrt", allow_ungated=True, signers=signers)
    assert says in str(caught.value)
    assert f"leuko-edge sign put {engine.path} --key" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        assert choose_engine(bundle, machine(), WANTED, signers=signers) is None
    assert says in caplog.text and "Meanwhile OpenVINO computes" in caplog.text


def test_a_signed_engine_is_preferred_to_a_better_one_that_is_not(
    bundle: Bundle, engine: EngineFiles, signers: Signers
) -> None:
    better = write_engine(bundle, place_to_build(bundle), max_batch=4)
    assert choose_engine(bundle, machine(), WANTED) == better
    assert choose_engine(bundle, machine(), WANTED, signers=signers) == engine


def test_a_signed_engine_needs_its_gate_like_any_other(bundle: Bundle, secret: Path, signers: Signers) -> None:
    files = write_engine(bundle, place_to_build(bundle), gate="none")
    sign(files.path, secret)
    with pytest.raises(EngineError, match="has not passed its parity gate"):
        choose_engine(bundle, machine(), WANTED, signers=signers)
    assert choose_engine(bundle, machine(), WANTED, allow_ungated=True, signers=signers) == files


def test_nobody_signs_a_damaged_plan(engine: EngineFiles, secret: Path) -> None:
    (engine.path / PLAN).write_bytes(b"something else")
    with pytest.raises(EngineError, match="is damaged"):
        sign(engine.path, secret)
