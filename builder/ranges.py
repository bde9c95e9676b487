"""How near the values of the FP16 layers come to FP16's largest, measured on the FP32 graph with real images.

Weights are checked when the FP16 graph is made; activations depend on the image. One beyond 65504 becomes infinity in FP16 and
then boxes and scores that are not numbers, on just those fields that show what the measured ones did not: hence the report
says how much room is left, and on which images.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from builder.half_graph import LARGEST_HALF, HalfGraph
from edge.contracts.detections import Image
from edge.contracts.engine_files import RangeReport
from edge.contracts.errors import EngineError, first_line

_ERRORS_ONLY = 3


def measure_ranges(
    model: onnx.ModelProto,
    half: HalfGraph,
    images: Image,
    *,
    images_are_synthetic: bool,
    names: Sequence[str] = (),
) -> RangeReport:
    """Run the FP32 graph on every image and find the largest absolute value that `half` would keep in FP16.

    `images` uint8 [N, H, W, 3] BGR, N >= 1, as an engine takes them; they are run one by one on the CPU. `names` are theirs,
    for messages. Raises `EngineError` naming layer, value and image when a value is not finite or beyond `LARGEST_HALF`, and
    when the graph cannot be run on them.
    """
    if len(images) == 0:
        raise EngineError("the range of the FP16 layers cannot be measured without an image; give at least one.")
    # A graph without a convolution has nothing in FP16; onnxruntime refuses to run it for nothing.
    largest, at_layer = _largest(model, half, images, names) if half.half_tensors else (0.0, "none")
    return RangeReport(
        images=len(images),
        images_are_synthetic=images_are_synthetic,
        executor=f"onnxruntime {onnxruntime.__version__} on CPU, f32",
        largest_activation=largest,
        at_layer=at_layer,
    )


def _largest(model: onnx.ModelProto, half: HalfGraph, images: Image, names: Sequence[str]) -> tuple[float, str]:
    """The largest absolute value and the layer that makes it."""
    session = _session(_with_probes(model, list(half.half_tensors)))
    largest, at_layer = -1.0, ""
    for index in range(len(images)):
        name = names[index] if names else f"image {index + 1} of {len(images)}"
        found = _measure(session, images[index : index + 1], name)
        for value, (tensor, layer) in zip(found, half.half_tensors.items(), strict=True):
            if not value <= LARGEST_HALF:
                raise EngineError(_out_of_range(value, tensor, layer, name))
            largest, at_layer = max((largest, at_layer), (value, layer), key=lambda pair: pair[0])
    return largest, at_layer


def _with_probes(model: onnx.ModelProto, tensors: list[str]) -> onnx.ModelProto:
    """The graph with two numbers per tensor for its only outputs: reduced where they arise, whole tensors need not be kept."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    graph = probed.graph
    del graph.output[:]
    for index, tensor in enumerate(tensors):
        size = f"range_{index}_abs"
        graph.node.append(helper.make_node("Abs", [tensor], [size]))
        # onnxruntime's maximum overlooks NaN, its sum does not.
        for kind in ("Max", "Sum"):
            out = f"range_{index}_{kind.lower()}"
            graph.node.append(helper.make_node(f"Reduce{kind}", [size], [out], keepdims=0))
            graph.output.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, []))
    return probed


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Otherwise it reduces all tensors at the end and keeps them until then: 1.7 GB more for YOLOv3-608, in twice the time.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # see executors.py
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # onnxruntime's own classes share no base but this
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} cannot load the bundle's graph ({first_line(problem)}); export it again."
        ) from problem


def _measure(session: onnxruntime.InferenceSession, image: Image, name: str) -> list[float]:
    """Largest absolute value per tensor; NaN where a tensor holds one."""
    try:
        found: list[NDArray[Any]] = session.run(None, {session.get_inputs()[0].name: image})
    except Exception as problem:  # see above
        raise EngineError(
            f"the bundle's graph cannot be run on {name} of {image.shape[2]} x {image.shape[1]} px ({first_line(problem)}); "
            "give images of the size that the engine is built for."
        ) from problem
    return [float(top) if not np.isnan(total) else float("nan") for top, total in zip(found[::2], found[1::2], strict=True)]


def _out_of_range(value: float, tensor: str, layer: str, image: str) -> str:
    what = f"reaches {value:.6g}, beyond FP16's largest value ({LARGEST_HALF:.0f})," if np.isfinite(value) else f"gives {value}"
    return (
        f"layer {layer} (tensor {tensor}) {what} on {image}, so an FP16 engine of this bundle would be wrong; "
        "train anew with a lower learning rate or more weight decay, or run the bundle without a GPU engine."
    )
