"""`leuko-build verify --precision bf16`: a bundle in bf16 against its own FP32 graph, and what an edge makes of the verdict."""

import json
from pathlib import Path

import cv2
import openvino
import pytest
from support.builder_here import Called, leuko_build
from support.tiny_bundle import BLOBS, blob_field, write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import PARITY, ParityReport
from edge.engine.choice import open_engine
from edge.engine.quantised_gate import report_name

pytestmark = pytest.mark.timeout(90)
NATIVE = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 fields with 6 cells each: as many as decide."""
    folder, names = tmp_path_factory.mktemp("fields"), list(BLOBS)
    for index in range(40):
        blobs = [(names[(index + k) % 4], 4 + 52 * (k % 3), 8 + 60 * (k // 3)) for k in range(6)]
        cv2.imwrite(str(folder / f"{index:03d}.png"), blob_field(blobs))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "bundles" / "tiny")


def verify(bundle: Bundle, fields: Path, *more: object) -> Called:
    given = ("--images", fields, "--um-per-px", 0.13, "--precision", "bf16")
    return leuko_build("verify", bundle.path, *given, *more)


@pytest.mark.skipif(not NATIVE, reason="this CPU does not compute bf16")
def test_a_verdict_lies_among_the_engines_and_a_run_names_it(bundle: Bundle, fields: Path) -> None:
    engine = open_engine(bundle, 160, 128, engine="openvino")
    assert (engine.info.precision, engine.info.precision_gate, engine.info.parity) == ("bf16", "none", "not_needed")
    called = verify(bundle, fields, "--json")
    said = json.loads(called.out)
    assert (called.code == 0) is said["passed"] and said["precision"] == "bf16" and said["f32_times"] > 0
    kept = bundle.path.parent / "engines" / report_name(bundle, "bf16") / PARITY
    report = ParityReport.model_validate_json(kept.read_bytes())
    assert report.reference_cells == 240 and report.engine is not None and report.engine.executor == str(engine.info)
    again = open_engine(bundle, 160, 128, engine="openvino").info
    expected = ("bf16", "passed", "passed") if said["passed"] else ("f32", "failed", "not_needed")
    assert (again.precision, again.precision_gate, again.parity) == expected
    failed = report.model_copy(update={"engine": report.engine.model_copy(update={"failures": ("9 cells missed",)})})
    kept.write_text(failed.model_dump_json())
    differs = open_engine(bundle, 160, 128, engine="openvino").info
    assert (differs.precision, differs.precision_gate, differs.parity) == ("f32", "failed", "not_needed")


@pytest.mark.skipif(NATIVE, reason="this CPU computes bf16")
def test_a_cpu_without_it_says_so_at_once(bundle: Bundle, fields: Path) -> None:
    called = verify(bundle, fields)
    assert called.code == 5 and "does not compute it natively" in called.err


@pytest.mark.parametrize("other", [("--server", "here:1"), ("--engine", "key"), ("--emulation-only",)])
def test_it_is_of_this_cpu_alone(bundle: Bundle, fields: Path, other: tuple[str, ...]) -> None:
    called = verify(bundle, fields, *other)
    assert called.code == 2 and "leave out --server, --engine and --emulation-only" in called.err
