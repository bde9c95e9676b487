"""A graph that keeps the contract is accepted, each way of breaking it is named, and the command says so in its exit code."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from support.made_up_engine import A4000, ORIN, machine, write_engine
from support.tiny_bundle import tiny_model, write_tiny_bundle

from builder.cli import main
from builder.graph_contract import check_graph
from builder.inspection import inspect_bundle
from edge.contracts.bundle import MODEL, write_bundle
from edge.contracts.engine_files import ENGINE_MANIFEST
from edge.contracts.errors import BundleError
from edge.engine.engine_places import place_to_build


def _model() -> onnx.ModelProto:
    return onnx.load_model_from_string(tiny_model(top_k=64))


def test_a_graph_that_keeps_the_contract_has_no_problem() -> None:
    assert check_graph(_model(), top_k=64) == []


def _fix_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _float_frames(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _planar_frames(model: onnx.ModelProto) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[1].dim_value, dims[3].dim_param = 3, "W"


def _second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("um_per_px", TensorProto.FLOAT, [1]))


def _open_rows(model: onnx.ModelProto) -> None:
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_param = "found"


def _non_zero(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("NonZero", ["best_scores"], ["where"]))


def _plugin(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("EfficientNMS_TRT", ["best_scores"], ["kept"], domain="TRT"))
    model.opset_import.append(helper.make_opsetid("TRT", 1))


def _early_transpose(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Transpose", ["frames"], ["turned"], perm=[0, 3, 1, 2]))


def _dangling(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "nowhere"


def _external(model: onnx.ModelProto) -> None:
    tensor = helper.make_tensor("outside", TensorProto.FLOAT, [1], [1.0])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(_fix_batch, "fixed sizes [1]", id="batch frozen by the export"),
        pytest.param(_float_frames, "frames are float and not uint8", id="pre-processing left outside"),
        pytest.param(_planar_frames, "is not [N, H, W, 3]", id="planes instead of pixels"),
        pytest.param(_second_input, "not frames alone", id="a second input"),
        pytest.param(_open_rows, "does not fix its number of rows", id="as many rows as cells"),
        pytest.param(_non_zero, "NonZero", id="shape depends on the data"),
        pytest.param(_plugin, "needs a plugin", id="a TensorRT plugin"),
        pytest.param(_early_transpose, "before they are cast", id="uint8 transposed"),
        pytest.param(_dangling, "no valid ONNX graph", id="an edge to nowhere"),
        pytest.param(_external, "are in another file", id="weights that no hash covers"),
    ],
)
def test_each_way_of_breaking_the_contract_is_named(change: Callable[[onnx.ModelProto], None], says: str) -> None:
    model = _model()
    change(model)
    assert says in "; ".join(check_graph(model, top_k=64))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param("labels_int64", "labels are int64", id="TopK's own index type"),
        pytest.param("scores_named_score", "its outputs are", id="a name is off"),
        pytest.param("boxes_flat", "is not [N, K, 4]", id="three corners"),
    ],
)
def test_outputs_of_another_kind_are_named(fault: str, says: str) -> None:
    model = onnx.load_model_from_string(tiny_model(fault=fault))  # type: ignore[arg-type]
    assert says in "; ".join(check_graph(model))


def test_more_rows_than_promised_are_named() -> None:
    assert "64 rows where the bundle promises 32" in "; ".join(check_graph(_model(), top_k=32))


def test_an_inspection_counts_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "counted"
    model = _model()
    model.graph.initializer.append(helper.make_tensor("w16", TensorProto.FLOAT16, [3, 5], [0.5] * 15))
    tiny = write_tiny_bundle(tmp_path / "tiny", top_k=64).manifest.model_dump(exclude={"files"})
    write_bundle(folder, tiny, {MODEL: model.SerializeToString()})
    found = inspect_bundle(folder)
    assert found.parameters["float16"] == 15
    assert found.operators["TopK"] == 1
    assert sum(found.operators.values()) == len(model.graph.node)
    assert [str(port) for port in found.inputs] == ["frames uint8 [N, H, W, 3]"]
    assert found.model_bytes == (folder / MODEL).stat().st_size
    assert found.problems == []


def _leuko_build(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["leuko-build", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_reports_a_good_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", trained=False)
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bundle_id"], said["problems"], said["training"]["trained"]) == (bundle.bundle_id, [], False)
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path)) == 0
    said_to_people = capsys.readouterr().out
    assert "random weights" in said_to_people
    assert "frames uint8 [N, H, W, 3]" in said_to_people


def test_the_command_refuses_a_graph_that_breaks_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", fault="labels_int64")
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path), "--json") == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["problems"] == ["labels are int64 and not int32"]
    assert said.err.count("\n") == 1


def test_a_changed_byte_stops_the_inspection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    content = bytearray(bundle.model_path.read_bytes())
    content[-1] ^= 1
    bundle.model_path.write_bytes(content)
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path)) == 3
    assert "damaged" in capsys.readouterr().err


def test_a_file_that_is_no_graph_is_called_so(tmp_path: Path) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny", top_k=64).manifest.model_dump(exclude={"files"})
    write_bundle(tmp_path / "other", tiny, {MODEL: b"\xff\xff\xff not protobuf"})
    with pytest.raises(BundleError, match="no ONNX model"):
        inspect_bundle(tmp_path / "other")


def test_the_engines_of_a_bundle_are_listed_each_with_what_it_can_do_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    engines = place_to_build(bundle)
    good = write_engine(bundle, engines)
    ungated = write_engine(bundle, engines, gate="none", frame_width_px=640, frame_height_px=480)
    foreign = write_engine(bundle, engines, gpu=ORIN)
    broken = write_engine(bundle, engines, max_batch=16)
    (broken.path / ENGINE_MANIFEST).write_text("{}")
    monkeypatch.setattr("edge.engine.machine.look_at_machine", lambda: machine(A4000))
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path), "--json") == 0
    listed = {each["key"]: each for each in json.loads(capsys.readouterr().out)["engines"]}
    assert {key: each["fits"] for key, each in listed.items()} == {
        good.path.name: True,
        ungated.path.name: True,  # an inspection has no camera of its own
        foreign.path.name: False,
        broken.path.name: False,
    }
    assert (listed[good.path.name]["gate"], listed[ungated.path.name]["gate"]) == ("passed", "none")
    assert listed[ungated.path.name]["remedy"].startswith("leuko-build verify")
    assert listed[foreign.path.name]["remedy"].startswith("leuko-build engine")
    assert listed[broken.path.name]["manifest"] is None
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 convolutions; largest value 1 of 65504 at conv, on 1 drawn image" in said
    assert "RTX A4000 (SM86, 48 SMs); frames of 640 x 480 px in batches up to 8" in said
    assert "this is RTX A4000" in said


def test_engines_are_looked_for_where_the_option_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    write_engine(bundle, tmp_path / "elsewhere")
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["engines"] == []
    assert _leuko_build(monkeypatch, "inspect", str(bundle.path), "--json", "--engine-dir", str(tmp_path / "elsewhere")) == 0
    (engine,) = json.loads(capsys.readouterr().out)["engines"]
    assert engine["manifest"]["convolutions_half"] == 1
