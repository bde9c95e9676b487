"""The largest activation is found and named; one beyond FP16, or none at all, stops the build with layer, value and image."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper
from support.tiny_bundle import blob_field, tiny_model

import edge
from builder.half_graph import to_half
from builder.images import read_images
from builder.ranges import measure_ranges
from edge.contracts.bundle import load_bundle
from edge.contracts.detections import Image
from edge.contracts.errors import EngineError

SHIPPED = Path(edge.__file__).parent / "bundles" / "yolov3-tiny-416-look"


def _shipped() -> onnx.ModelProto:
    return onnx.load(str(SHIPPED / "model.onnx"))


def _drawn(limit: int) -> Image:
    return read_images(None, load_bundle(SHIPPED), 732, 574, limit).frames


def test_the_largest_value_is_the_one_that_whole_tensors_show() -> None:
    model, frames = _shipped(), _drawn(2)
    half = to_half(model)
    report = measure_ranges(model, half, frames, images_are_synthetic=True)
    for name in half.half_tensors:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    whole = [np.abs(tensor).max() for tensor in session.run(list(half.half_tensors), {"frames": frames})]
    assert report.largest_activation == pytest.approx(max(whole), rel=1e-5)
    assert report.at_layer == list(half.half_tensors.values())[int(np.argmax(whole))]
    assert (report.images, report.images_are_synthetic) == (2, True)
    assert report.executor.startswith(f"onnxruntime {onnxruntime.__version__}")


def test_an_activation_beyond_half_is_refused_with_its_layer() -> None:
    model = _shipped()
    conv = next(node for node in model.graph.node if node.name == "node_conv2d")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == conv.input[2])
    # In range itself, and beyond it as soon as the next layer adds up 16 channels of it.
    bias.CopyFrom(numpy_helper.from_array(np.full(16, 60000.0, np.float32), bias.name))
    with pytest.raises(EngineError) as refused:
        measure_ranges(model, to_half(model), _drawn(1), images_are_synthetic=True, names=["slide 7"])
    message = str(refused.value)
    assert "layer node_conv2d_1 (tensor conv2d_1) reaches" in message
    assert "beyond FP16's largest value (65504), on slide 7" in message
    assert message.count(". ") == 0


def _one_layer(body: str) -> onnx.ModelProto:
    """A graph with one convolution that hands on what `body` makes (`a`) of the pixels (`p`)."""
    return onnx.parser.parse_model(
        f"""
        <ir_version: 9, opset_import: ["" : 18]>
        one (uint8[N,H,W,3] frames) => (float[N,1,h,w] y)
        <float[1,3,1,1] w = {{1.0, 0.0, 0.0}}, float factor = {{300.0}}>
        {{
          f = Cast <to = 1> (frames)
          p = Transpose <perm = [0, 3, 1, 2]> (f)
          {body}
          y = Conv (a, w)
        }}
        """
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param("a = Mul (p, factor)", "layer a (tensor a) reaches 76500, beyond", id="a convolution's input is held too"),
        pytest.param("a = Exp (p)", "layer a (tensor a) gives inf", id="beyond FP32 as well"),
        pytest.param("z = Sub (p, p) b = Mul (p, z) a = Div (b, z)", "layer a (tensor a) gives nan", id="no number at all"),
    ],
)
def test_what_one_image_shows_is_blamed_on_that_image(body: str, says: str) -> None:
    model = _one_layer(body)
    frames = np.full((3, 8, 8, 3), 1, np.uint8)
    frames[2, 4, 4] = 255
    with pytest.raises(EngineError) as refused:
        measure_ranges(model, to_half(model), frames, images_are_synthetic=True)
    assert says in str(refused.value)
    assert ("image 1 of 3" if "nan" in says else "image 3 of 3") in str(refused.value)


def test_the_edge_of_the_range_is_accepted() -> None:
    model = _one_layer("a = Mul (p, factor)")
    frames = np.full((1, 8, 8, 3), 218, np.uint8)
    report = measure_ranges(model, to_half(model), frames, images_are_synthetic=False)
    assert (report.largest_activation, report.at_layer) == (65400.0, "a")


def test_no_image_and_images_that_the_graph_cannot_take_are_called_so() -> None:
    model = _one_layer("a = Identity (p)")
    half = to_half(model)
    with pytest.raises(EngineError, match="without an image"):
        measure_ranges(model, half, np.empty((0, 8, 8, 3), np.uint8), images_are_synthetic=True)
    with pytest.raises(EngineError, match="cannot be run on image 1 of 1 of 8 x 8 px"):
        measure_ranges(model, half, np.zeros((1, 8, 8, 4), np.uint8), images_are_synthetic=True)


def test_a_graph_that_keeps_nothing_in_half_has_nothing_to_measure() -> None:
    model = onnx.load_model_from_string(tiny_model())
    report = measure_ranges(model, to_half(model), blob_field()[np.newaxis], images_are_synthetic=True)
    assert (report.largest_activation, report.at_layer) == (0.0, "none")
