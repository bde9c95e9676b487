"""From a bundle to its int8 child: what it names, what it is held against, and who refuses it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.builder_here import leuko_build
from support.tiny_bundle import BLOB_PX, BLOBS, STEP_PX, blob_field, tiny_model, write_tiny_bundle

from builder.engine_build import BuildOptions, prepare
from builder.graph_contract import check_graph
from builder.quantised_gate_run import find_parent
from builder.quantised_graph import behind_the_choice
from builder.serving import write_repository
from edge.contracts.bundle import MODEL, Bundle, load_bundle, write_bundle
from edge.contracts.engine_files import PARITY
from edge.contracts.errors import BundleError, ConfigError, EngineError
from edge.doctor.diagnosis import Question, diagnose
from edge.engine.choice import open_engine
from edge.engine.machine import look_at_machine

pytestmark = pytest.mark.timeout(180)  # NNCF takes seconds to load
_SIZE = (160, 128)


def _convolving() -> bytes:
    """The tiny graph, whose windows are averaged by a convolution: there is something to quantise."""
    model = onnx.load_model_from_string(tiny_model())
    weight = np.full((3, 1, BLOB_PX, BLOB_PX), 1 / BLOB_PX**2, np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "window_weight"))
    (at,) = (k for k, node in enumerate(model.graph.node) if node.op_type == "AveragePool")
    old = model.graph.node[at]
    new = helper.make_node(
        "Conv", [old.input[0], "window_weight"], list(old.output), name="windows", group=3, strides=[STEP_PX] * 2
    )
    model.graph.node[at].CopyFrom(new)
    return bytes(model.SerializeToString())


def _spoilt_by_rounding() -> bytes:
    """The same, and between windows and colours a convolution whose inputs include one a thousand times as large: in 8 bits
    nothing is left of the others."""
    model = onnx.load_model_from_string(_convolving())
    (at,) = (k for k, node in enumerate(model.graph.node) if node.name == "windows")
    means, one = model.graph.node[at].output[0], np.eye(3, dtype=np.float32)
    model.graph.node[at].output[0] = "plain_means"
    for name, weight in (("widen", np.vstack([one, [[0, 1000, 0]]])), ("narrow", np.hstack([one, [[0]] * 3]))):
        stored = np.asarray(weight, np.float32)[:, :, None, None]
        model.graph.initializer.append(numpy_helper.from_array(stored, f"{name}_weight"))
    new = [
        helper.make_node("Conv", ["plain_means", "widen_weight"], ["wide"], name="widen"),
        helper.make_node("Conv", ["wide", "narrow_weight"], [means], name="narrow"),
    ]
    for offset, node in enumerate(new, start=1):
        model.graph.node.insert(at + offset, node)
    return bytes(model.SerializeToString())


def _bundle(folder: Path, model: bytes, like: Bundle) -> Bundle:
    return write_bundle(folder, like.manifest.model_dump(exclude={"files"}), {MODEL: model})


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 fields with 6 cells each: 20 set the scales, 240 cells judge."""
    folder, names = tmp_path_factory.mktemp("fields"), list(BLOBS)
    for index in range(60):
        blobs = [(names[(index + k) % 4], 4 + 52 * (k % 3), 8 + 60 * (k // 3)) for k in range(6)]
        cv2.imwrite(str(folder / f"{index:03d}.png"), blob_field(blobs))
    return folder


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory, fields: Path) -> tuple[Bundle, Bundle, dict[str, object]]:
    """A bundle, its int8 child, and what the command said; quantised once."""
    place = tmp_path_factory.mktemp("bundles")
    parent = _bundle(place / "parent", _convolving(), write_tiny_bundle(tmp_path_factory.mktemp("like") / "tiny"))
    called = leuko_build("quantize", parent.path, "--images", fields, "--um-per-px", 0.13, "--out", place / "child", "--json")
    assert called.code == 0, called.err
    return parent, load_bundle(place / "child"), json.loads(called.out)


@pytest.fixture
def child(family: tuple[Bundle, Bundle, dict[str, object]], tmp_path: Path) -> Bundle:
    """A copy of the bundle with its verdict, to be spoilt."""
    shutil.copytree(family[1].path.parent, tmp_path / "copy")
    return load_bundle(tmp_path / "copy" / "child")


def _report(child: Bundle) -> Path:
    (found,) = (child.path.parent / "engines").glob(f"int8-*/{PARITY}")
    return found


def test_the_child_names_its_parent_and_has_passed(family: tuple[Bundle, Bundle, dict[str, object]]) -> None:
    parent, child, said = family
    about = child.manifest.quantisation
    assert about is not None and said["passed"] is True
    assert child.manifest.parent_bundle_id == about.parent_bundle_id == parent.bundle_id
    assert about.parent_onnx_sha256 == parent.manifest.files[MODEL]
    assert (about.images, about.convolutions, about.float_convolutions) == (20, 1, ())
    model = onnx.load(str(child.model_path))
    assert check_graph(model, child.manifest.top_k) == []
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}
    report = json.loads(_report(child).read_text())
    assert (report["frames"], report["reference_cells"]) == (40, 240), "what set the scales does not judge"
    assert report["reference_executor"].endswith("f32") and report["engine"]["executor"].endswith("int8")


def test_what_rounding_spoils_goes_back_to_floating_point_by_itself(
    family: tuple[Bundle, Bundle, dict[str, object]], fields: Path, tmp_path: Path
) -> None:
    parent = _bundle(tmp_path / "spoilt", _spoilt_by_rounding(), family[0])
    called = leuko_build(
        "quantize", parent.path, "--images", fields, "--um-per-px", 0.13, "--out", tmp_path / "child", "--json"
    )
    assert called.code == 0, called.err
    said, child = json.loads(called.out), load_bundle(tmp_path / "child")
    about = child.manifest.quantisation
    assert about is not None and (about.convolutions, about.float_convolutions) == (2, ("narrow",)), about
    assert about.method.endswith("taken back for the count: 1")
    (worst, *others) = said["layers"]
    assert (worst["name"], worst["taken_back"]) == ("narrow", True) and worst["share"] > 0.9
    assert [each["taken_back"] for each in others] == [False, False]
    weights = {tensor.name: tensor.data_type for tensor in onnx.load(str(child.model_path)).graph.initializer}
    assert weights["narrow_weight/float"] == onnx.TensorProto.FLOAT
    assert sum(kind == onnx.TensorProto.INT8 for kind in weights.values()) >= 2, "the others are still int8"


def test_a_run_opens_it_and_names_the_precision(child: Bundle) -> None:
    engine = open_engine(child, *_SIZE)
    try:
        assert (engine.info.precision, engine.info.parity) == ("int8", "passed")
    finally:
        engine.close()


def _gone(report: dict[str, object]) -> None:
    report.clear()


def _elsewhere(report: dict[str, object]) -> None:
    report["engine"]["executor"] = "OpenVINO 1.0 on another CPU, int8"  # type: ignore[index]


def _differs(report: dict[str, object]) -> None:
    report["engine"]["failures"] = ["9 cells missed"]  # type: ignore[index]


def _few(report: dict[str, object]) -> None:
    report["engine"]["undecided"] = "3 cells are under 200"  # type: ignore[index]


def _drawn(report: dict[str, object]) -> None:
    report["images_are_synthetic"] = True


def _of_other_graph(report: dict[str, object]) -> None:
    report["plan_sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("spoil", "sentence", "parity"),
    [
        (_gone, "has not passed its parity gate; run `leuko-build verify", "waived"),
        (_elsewhere, "on another processor or version of OpenVINO only", "waived"),
        (_differs, "does not count as its parent does; run its parent", "failed"),
        (_few, "on too few cells", "waived"),
        (_drawn, "on drawn fields only", "waived"),
        (_of_other_graph, "has not passed its parity gate", "waived"),
    ],
)
def test_without_a_passed_verdict_it_is_refused(
    child: Bundle, spoil: Callable[[dict[str, object]], None], sentence: str, parity: str
) -> None:
    file = _report(child)
    report = json.loads(file.read_text())
    spoil(report)
    file.write_text(json.dumps(report)) if report else file.unlink()
    with pytest.raises(EngineError, match=sentence):
        open_engine(child, *_SIZE)
    said = diagnose(Question(child.path), look_at_machine())
    assert said.opening.problem is not None and sentence in str(said.opening.problem), "doctor says the same"
    engine = open_engine(child, *_SIZE, allow_ungated=True)
    engine.close()
    assert engine.info.parity == parity


def test_a_damaged_report_is_a_sentence(child: Bundle) -> None:
    _report(child).write_text("{")
    with pytest.raises(EngineError, match=PARITY):
        open_engine(child, *_SIZE)


def test_a_child_that_counts_otherwise_fails_and_is_refused(child: Bundle, fields: Path) -> None:
    model = onnx.load(str(child.model_path))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) // 2, tensor.name))
    other = _bundle(child.path.parent / "other", bytes(model.SerializeToString()), child)
    called = leuko_build("verify", other.path, "--images", fields, "--um-per-px", 0.13)
    assert called.code == 5 and "did not pass the parity gate" in called.err, called.err
    with pytest.raises(EngineError, match="does not count as its parent does"):
        open_engine(other, *_SIZE)


def test_verify_finds_the_parent_and_no_other(child: Bundle, fields: Path, tmp_path: Path) -> None:
    _report(child).unlink()
    called = leuko_build("verify", child.path, "--images", fields, "--um-per-px", 0.13, "--limit", 6, "--json")
    assert called.code == 10, "too few cells decide nothing"
    assert json.loads(called.out)["verdict"] == "not decided"
    with pytest.raises(BundleError, match="is not bundle"):
        find_parent(child, write_tiny_bundle(tmp_path / "stranger").path)
    shutil.rmtree(child.path.parent / "parent")
    with pytest.raises(BundleError, match="does not lie beside it; give its directory with --parent"):
        find_parent(child, None)


def test_who_else_refuses_it_says_so_in_a_sentence(child: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is built from its parent"):
        prepare(child, BuildOptions("tensorrt_rtx", *_SIZE))
    with pytest.raises(ConfigError, match="serve its parent"):
        write_repository(child, tmp_path / "served", max_batch=1, queue_delay_us=0, gpu=False)
    with pytest.raises(EngineError, match="is an int8 one for CPUs"):
        open_engine(child, *_SIZE, engine="tensorrt")
    with pytest.raises(EngineError, match="leave it at auto"):
        open_engine(child, *_SIZE, precision="f32")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["child", "--out", "new"], 3, "is an int8 one already"),
        (["parent", "--out", "child"], 3, "bundles are immutable"),
        (["parent", "--out", "new", "--float", "roof"], 5, "no convolution called roof; it has windows"),
        (["parent", "--out", "new", "--float", "windows"], 5, "no convolution is left"),
    ],
)
def test_what_cannot_be_quantised(child: Bundle, fields: Path, words: list[str], code: int, sentence: str) -> None:
    place = child.path.parent
    given = [place / word if word in {"child", "parent", "new"} else word for word in words]
    called = leuko_build("quantize", *given, "--images", fields, "--um-per-px", 0.13)
    assert (called.code, sentence in called.err) == (code, True), called.err
    assert not (place / "new").exists()


def test_a_second_look_stays_in_floating_point() -> None:
    """What computes on the graph's own choice is behind a TopK."""
    nodes = [
        helper.make_node("Conv", ["frames", "w"], ["seen"], name="detector"),
        helper.make_node("TopK", ["seen", "k"], ["best", "where"], name="choice"),
        helper.make_node("Gather", ["frames", "where"], ["crop"], name="crop"),
        helper.make_node("Conv", ["crop", "w"], ["types"], name="look"),
    ]
    assert behind_the_choice(helper.make_graph(nodes, "g", [], [])) == {"look"}
