"""`leuko-edge sign` and `run --signers`, as an operator types them."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from support.bare_run import records_of_run
from support.made_up_engine import write_engine
from support.signed import secret_of, some_profile, trusting
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.cli import main
from edge.contracts.records import RunOutcome, RunStart, RunStop
from edge.engine.engine_places import place_to_build

pytestmark = pytest.mark.timeout(40)

Call = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A bundle with an engine, a profile, a field, and the keys of lab-1, whom the edge trusts, and of a stranger."""
    bundle = write_tiny_bundle(tmp_path / "bundle")
    write_engine(bundle, place_to_build(bundle)).path.rename(tmp_path / "engine")
    some_profile(tmp_path / "profile.json")
    trusting(tmp_path / "signers", secret_of(tmp_path / "keys", "lab-1"))
    secret_of(tmp_path / "keys", "stranger")
    (tmp_path / "empty").mkdir()
    (tmp_path / "fields").mkdir()
    cv2.imwrite(str(tmp_path / "fields" / "a.png"), blob_field())
    return tmp_path


@pytest.fixture
def call(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit code, standard output and standard error of a command in that place."""
    monkeypatch.chdir(place)

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["leuko-edge", *line.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


@pytest.mark.parametrize(
    ("what", "names"),
    [
        pytest.param("bundle", ["bundle bundle"], id="a bundle"),
        pytest.param("bundle/bundle.json", ["bundle bundle"], id="a bundle by its manifest"),
        pytest.param("profile.json", ["profile profile.json"], id="a profile"),
        pytest.param("engine", ["engine engine", "parity report of engine engine"], id="an engine with its report"),
    ],
)
def test_what_was_signed_passes_the_check(call: Call, what: str, names: list[str]) -> None:
    code, out, _ = call(f"sign put {what} --key keys/lab-1.pem")
    assert code == 0
    assert [line.split("  ")[:3] for line in out.splitlines()] == [["signed", name, "by lab-1"] for name in names]
    code, out, _ = call(f"sign check {what} --signers signers")
    assert (code, out.splitlines()) == (0, [f"valid  {name}  signed by lab-1" for name in names])


def test_a_new_pair_signs(call: Call) -> None:
    assert call("sign new lab-9 --out new")[:2] == (0, "public  new/lab-9.pub\nsecret  new/lab-9.pem\n")
    assert call("sign put bundle --key new/lab-9.pem")[0] == 0
    assert call("sign check bundle --signers new")[:2] == (0, "valid  bundle bundle  signed by lab-9\n")


_RUN = "run --log-level warning --source fields --um-per-px 0.13 --journal memory"


@pytest.mark.parametrize(
    ("before", "line", "code", "words"),
    [
        pytest.param("", "sign check bundle --signers signers", 3, "it has no bundle.json.sig", id="an unsigned bundle"),
        pytest.param(
            "", "sign check profile.json --signers signers", 3, "it has no profile.json.sig", id="an unsigned profile"
        ),
        pytest.param("", "sign check engine --signers signers", 5, "it has no engine.json.sig", id="an unsigned engine"),
        pytest.param("bundle", "sign check bundle --signers signers", 3, "'stranger'", id="a stranger's"),
        pytest.param("", "sign check bundle --signers empty", 2, "so nothing could be loaded", id="no signers"),
        pytest.param("", "sign check fields --signers signers", 2, "neither bundle, engine nor profile", id="nothing to sign"),
        pytest.param("", "sign put fields/a.png --key keys/lab-1.pem", 3, "a.png", id="an image"),
        pytest.param("", "sign put bundle --key keys/lab-1.pub", 2, "holds no secret key", id="the public half"),
        pytest.param("", "sign new lab-1 --out keys", 2, "is there already", id="a name that is taken"),
        pytest.param("", "sign new ../lab --out keys", 2, "is no name for a key", id="a name that is a path"),
        pytest.param("", f"{_RUN} --bundle bundle --signers signers", 3, "it has no bundle.json.sig", id="run, unsigned"),
        pytest.param("bundle", f"{_RUN} --bundle bundle --signers signers", 3, "'stranger'", id="run, a stranger's"),
        pytest.param("", f"{_RUN} --signers none", 2, "check the path given to --signers", id="run, a directory that is none"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_code(call: Call, before: str, line: str, code: int, words: str) -> None:
    if before:
        assert call(f"sign put {before} --key keys/stranger.pem")[0] == 0
    got, _, said = call(line)
    assert got == code, said
    assert said.count("\n") == 1, said
    assert words in said


def test_run_goes_past_a_signed_bundle_and_stops_at_an_unsigned_profile(call: Call) -> None:
    assert call("sign put bundle --key keys/lab-1.pem")[0] == 0
    wants = f"{_RUN} --bundle bundle --signers signers --bind nowhere"
    assert call(wants)[0] == 6, "only the address is wrong"
    assert call(f"{wants} --profile profile.json")[0] == 3
    assert call("sign put profile.json --key keys/lab-1.pem")[0] == 0
    assert call(f"{wants} --profile profile.json")[0] == 6


def test_a_run_records_who_signed_what_it_rests_on(call: Call) -> None:
    for what in ("bundle", "profile.json"):
        assert call(f"sign put {what} --key keys/lab-1.pem")[0] == 0
    given = "--source fields --bundle bundle --profile profile.json --signers signers --journal memory"
    records = records_of_run(*given.split())
    start, stop = records[0], records[-1]
    assert isinstance(start, RunStart)
    assert isinstance(stop, RunStop)
    assert (start.provenance.bundle_signer, start.provenance.profile_signer) == ("lab-1", "lab-1")
    assert stop.outcome is RunOutcome.COMPLETED


def test_a_signature_that_cannot_be_written_says_so(call: Call, place: Path) -> None:
    signature_of_bundle = place / "bundle" / "bundle.json.sig"
    signature_of_bundle.mkdir()
    code, _, said = call("sign put bundle --key keys/lab-1.pem")
    assert (code, said.count("\n")) == (3, 1)
    assert "cannot be written" in said
    assert [file.name for file in (place / "bundle").glob(".*")] == [], "nothing half-written stays"
