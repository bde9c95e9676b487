"""Which precision a bundle is computed in: bf16 where the CPU has it and no verdict speaks against it; and what is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.made_up_engine import report
from support.signed import secret_of, sign, trusting
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.choices import Precision
from edge.contracts.engine_files import PARITY
from edge.contracts.errors import EngineError
from edge.engine.precision_gate import choose_precision
from edge.engine.quantised_gate import keep_report, report_name
from edge.signing import Signers

pytestmark = pytest.mark.timeout(30)
HERE = "OpenVINO 9 on a CPU, bf16"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bundle]:
    """A bundle on a machine that computes bf16 natively."""
    monkeypatch.setattr("edge.engine.openvino.look_at_cpu", lambda: ("9", "a CPU", "bf16"))
    yield write_tiny_bundle(tmp_path / "tiny")


def keep(bundle: Bundle, gate: str, executor: str = HERE) -> Path:
    """A verdict among the bundle's engines; its file."""
    said = report(bundle, bundle.manifest.files[MODEL], gate)
    assert said.engine is not None
    ran = said.engine.model_copy(update={"executor": executor})
    return keep_report(bundle, None, said.model_copy(update={"engine": ran}), "bf16") / PARITY


@pytest.mark.parametrize(
    ("gate", "asked", "precision", "parity", "says"),
    [
        pytest.param(None, "auto", "bf16", "not_needed", "has not been compared", id="nobody has looked"),
        pytest.param("passed", "auto", "bf16", "passed", "", id="it has passed"),
        pytest.param("failed", "auto", "f32", "not_needed", "so f32 is computed", id="it differs: the reference"),
        pytest.param("undecided", "auto", "bf16", "not_needed", "on too few cells", id="too few cells"),
        pytest.param("drawn", "auto", "bf16", "not_needed", "on drawn fields", id="drawn fields"),
        pytest.param("elsewhere", "auto", "bf16", "not_needed", "on another processor", id="another CPU"),
        pytest.param("failed elsewhere", "auto", "f32", "not_needed", "so f32 is computed", id="it differs on another CPU"),
        pytest.param(None, "bf16", "bf16", "not_needed", "has not been compared", id="asked for, and nobody has looked"),
        pytest.param("passed", "bf16", "bf16", "passed", "", id="asked for, and it has passed"),
        pytest.param("failed", "f32", "f32", "not_needed", "", id="whoever asks for f32 has no question"),
    ],
)
def test_what_is_computed_and_what_is_said(
    bundle: Bundle, gate: str | None, asked: Precision, precision: str, parity: str, says: str
) -> None:
    if gate is not None and "elsewhere" in gate:
        keep(bundle, "failed" if gate != "elsewhere" else "passed", "OpenVINO 9 on another CPU, bf16")
    elif gate is not None:
        keep(bundle, gate)
    found = choose_precision(bundle, asked)
    assert (found.precision, found.parity) == (precision, parity)
    assert found.gate == (None if asked == "f32" else (gate or "none").removesuffix(" elsewhere"))
    assert says in found.said and bool(found.said) is bool(says)
    if precision == "bf16" and gate != "passed":
        assert f"leuko-build verify {bundle.path} --images DIR --um-per-px SCALE --precision bf16" in found.said


def test_bf16_by_name_that_has_failed_is_refused_or_on_record(bundle: Bundle) -> None:
    keep(bundle, "failed")
    with pytest.raises(EngineError, match=r"has failed its parity gate: .*leave the precision at auto"):
        choose_precision(bundle, "bf16")
    found = choose_precision(bundle, "bf16", allow_ungated=True)
    assert (found.precision, found.parity, found.gate) == ("bf16", "failed", "failed")


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": 1}'])
def test_a_verdict_that_cannot_be_read_is_none_and_stops_nobody(bundle: Bundle, content: str) -> None:
    keep(bundle, "passed").write_text(content)
    found = choose_precision(bundle, "auto")
    assert (found.precision, found.gate) == ("bf16", "none") and report_name(bundle, "bf16") in found.said


def test_a_verdict_counts_once_it_is_signed_where_signatures_are_asked_for(bundle: Bundle, tmp_path: Path) -> None:
    secret = secret_of(tmp_path / "keys", "lab-1")
    signers, kept = Signers(trusting(tmp_path / "signers", secret)), keep(bundle, "passed")
    found = choose_precision(bundle, "auto", signers=signers)
    assert (found.precision, found.gate) == ("bf16", "none") and "is not signed as --signers asks" in found.said
    sign(kept.parent, secret)
    assert choose_precision(bundle, "auto", signers=signers).gate == "passed"
    kept.write_text("{")
    with pytest.raises(EngineError, match=PARITY):
        sign(kept.parent, secret)


def test_without_bf16_there_is_no_question(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.engine.openvino.look_at_cpu", lambda: ("9", "a CPU", "f32"))
    keep(bundle, "failed")
    found = choose_precision(bundle, "auto")
    assert (found.precision, found.gate, found.said) == ("f32", None, "")
