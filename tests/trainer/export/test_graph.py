"""The exported graph: agrees with torch, takes frames of any size, and holds nothing an engine would refuse."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from support.agreement import agreement, run
from support.yolo_cases import spread

from edge.contracts.errors import DataError
from trainer.export.export_bundle import export_random
from trainer.export.graph import store_weights_as_half, to_onnx
from trainer.models.detector import Detector
from trainer.recipe import load_recipe

TOP_K = 64


@pytest.fixture(scope="module")
def detector() -> Detector:
    return spread("yolov3-tiny", (96, 96), seed=3)


@pytest.fixture(scope="module")
def exported(detector: Detector) -> onnx.ModelProto:
    return to_onnx(detector, TOP_K, 170, 140)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((2, 140, 170, 3), id="the-size-it-was-traced-with"),
        pytest.param((1, 140, 170, 3), id="a-single-frame"),
        pytest.param((3, 121, 233, 3), id="another-camera"),
        pytest.param((1, 96, 96, 3), id="the-networks-own-size"),
    ],
)
def test_onnx_agrees_with_torch(detector: Detector, exported: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = agreement(detector, store_weights_as_half(exported), frames)
    assert found.score < 1e-4 and found.box < 1e-4, found
    boxes, scores, labels = run(exported, frames)
    assert (boxes.dtype, scores.dtype, labels.dtype) == (np.float32, np.float32, np.int32)


def test_boxes_are_in_pixels_of_the_frame_whatever_its_size(exported: onnx.ModelProto) -> None:
    small = np.random.default_rng(1).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    large = small.repeat(2, axis=1).repeat(2, axis=2)  # the stretch to 96 x 96 halves it again, exactly
    # Bilinear sampling at the middle of a 2 x 2 block of equal pixels gives that pixel.
    np.testing.assert_allclose(run(exported, large)[0], 2 * run(exported, small)[0], rtol=1e-3, atol=0.05)


def test_every_size_is_symbolic_and_no_operator_depends_on_data(exported: onnx.ModelProto) -> None:
    dims = exported.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["N", "H", "W", 3]
    used = {node.op_type for node in exported.graph.node}
    assert used.isdisjoint({"NonMaxSuppression", "NonZero", "Loop", "If", "EfficientNMS_TRT"})
    assert all(node.domain in {"", "ai.onnx"} for node in exported.graph.node)


def test_weights_are_stored_as_half_and_computed_as_single(exported: onnx.ModelProto) -> None:
    stored = store_weights_as_half(exported)
    assert len(stored.SerializeToString()) < 0.52 * len(exported.SerializeToString())
    frames = np.random.default_rng(2).integers(0, 256, (1, 140, 170, 3), dtype=np.uint8)
    np.testing.assert_allclose(run(stored, frames)[1], run(exported, frames)[1], atol=5e-3)
    inferred = onnx.shape_inference.infer_shapes(stored)
    kinds = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}
    convolutions = [node.output[0] for node in inferred.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 13 and all(kinds[name] == onnx.TensorProto.FLOAT for name in convolutions)


def test_a_weight_beyond_half_range_is_refused_by_name(exported: onnx.ModelProto) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(exported)
    tensor = max(broken.graph.initializer, key=lambda t: len(t.raw_data))
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[0] = 1e6
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    with pytest.raises(DataError, match=tensor.name):
        store_weights_as_half(broken)


def test_the_random_bundle_says_that_it_is_untrained(
    exported: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.export.export_bundle.graph_to_onnx", lambda *_: exported)  # one export is enough
    scale = {"network_width_px": 96, "network_height_px": 96}
    recipe = load_recipe("yolov3-tiny-416", {"scale": scale})
    bundle = export_random(recipe, tmp_path / "random")
    assert bundle.manifest.training.trained is False
    assert "Random weights" in (bundle.path / "CARD.md").read_text(encoding="utf-8")
