"""The weights of a bundle's own graph back in a detector, exactly: exported again, they are the same to the last bit."""

import copy
from collections.abc import Mapping

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from pydantic import ValidationError
from torch import Tensor

from edge.contracts.bundle import Bundle
from edge.contracts.errors import DataError
from edge.engine import open_engine
from edge.postprocess import ious
from trainer.checkpoint import Checkpoint
from trainer.evaluation.torch_engine import TorchEngine
from trainer.models.detector import Detector
from trainer.models.layers import ConvBlock, fuse
from trainer.overrides import complaint
from trainer.recipe import Recipe
from trainer.second_look.carried_look import Look

PREFIX, HALF = "detector.", "_fp16"
"""How `trainer.export.graph` names the detector's weights, and those stored in half precision."""

ROWS_COMPARED = 20
SAME_BOX_IOU, SAME_SCORE = 0.97, 0.005
"""Between torch and the engine; other anchors or layers in another order are further off by far."""


def started_from_bundle(bundle: Bundle) -> Checkpoint:
    """A bundle as a checkpoint to start from: its recipe, weights and the history of its training.

    Raises `DataError` for random weights, a recipe of another version, and a graph that is not this architecture's as
    `leuko-train export` writes it: quantised, of another program, or one that computes something else than its weights say.
    """
    training = bundle.manifest.training
    recipe, detector, look = parts_of(bundle)
    weights = detector.state_dict()
    about = {
        "bundle_id": bundle.bundle_id,
        "bundle": bundle.manifest.name,
        "thresholds": bundle.manifest.thresholds.model_dump(mode="json"),
    }
    kept = look.as_kept() if look else {}
    return Checkpoint(recipe, recipe.total_steps, weights, weights, {}, training.data, bundle=about, look=kept)


def parts_of(bundle: Bundle) -> tuple[Recipe, Detector, Look | None]:
    """A bundle's recipe, detector in inference mode and second look. Raises `DataError` as `started_from_bundle` does."""
    training, where = bundle.manifest.training, bundle.path
    if not training.trained:
        raise DataError(f"bundle {where} holds random weights; there is nothing to start from: give a trained one.")
    try:
        recipe = Recipe.model_validate(training.recipe)
    except ValidationError as problem:
        what = complaint(problem, Recipe, training.recipe)
        raise DataError(f"the recipe in bundle {where} is not one of this version ({what}); train anew.") from problem
    detector = recipe.detector().eval()
    detector.load_state_dict(weights_of(bundle, detector))
    look = Look.of_bundle(bundle)
    _require_same_function(bundle, detector, recipe.top_k, look)
    return recipe, detector, look


def weights_of(bundle: Bundle, detector: Detector) -> dict[str, Tensor]:
    """What to load into `detector`, which is of the bundle's architecture.

    The graph has its normalisations folded into the convolutions: they come back as normalisations that change nothing but the
    bias. Raises `DataError` naming the first tensor that does not fit.
    """
    try:
        graph = onnx.load_from_string(bundle.read_model()).graph
    except DecodeError as problem:
        raise DataError(f"{bundle.model_path} is no ONNX graph ({problem}); export the bundle again.") from problem
    stored = {_name(tensor.name): tensor for tensor in graph.initializer if tensor.name.startswith(PREFIX)}
    stored.update(_left_out_biases(graph, stored))
    fused = copy.deepcopy(detector)
    fuse(fused)
    # What is not learnt (means, default boxes) follows from the recipe; the exporter may have folded it into something else.
    constants = dict(fused.named_buffers())
    stored = {name: tensor for name, tensor in stored.items() if name not in constants}
    wanted = dict(fused.named_parameters())
    stored.update(_reshaped(graph, {name: value for name, value in wanted.items() if name not in stored}))
    wrong = [name for name in sorted(wanted.keys() | stored.keys()) if name not in wanted or name not in stored]
    wrong += [name for name, value in wanted.items() if name in stored and tuple(stored[name].dims) != tuple(value.shape)]
    wrong += [name for name in stored if stored[name].data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)]
    if wrong:
        raise DataError(
            f"the graph of bundle {bundle.path} does not hold the weights of {bundle.manifest.architecture}: {len(wrong)} are "
            f"missing, unknown or of another kind, first `{wrong[0]}`; a quantised graph or another program's cannot be "
            "trained further: start from the bundle or checkpoint that it was made of."
        )
    values = {name: torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32)) for name, tensor in stored.items()}
    if broken := [name for name, value in values.items() if not bool(value.isfinite().all())]:
        raise DataError(f"the weights `{broken[0]}` of bundle {bundle.path} are no numbers; export the bundle again.")
    return _unfused(detector, values)


def _reshaped(graph: onnx.GraphProto, missing: Mapping[str, Tensor]) -> dict[str, onnx.TensorProto]:
    """A weight that the network uses in another shape is stored in that shape, under a name of the exporter's own; taken where
    only one tensor can be meant."""
    own = [tensor for tensor in graph.initializer if not tensor.name.startswith(PREFIX)]
    found = {}
    for name, value in missing.items():
        fitting = [tensor for tensor in own if [n for n in tensor.dims if n > 1] == [n for n in value.shape if n > 1]]
        if len(fitting) == 1 and value.numel() > 1 and fitting[0].data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(fitting[0]).reshape(tuple(value.shape))
            found[name] = numpy_helper.from_array(values, name)
    return found


def _left_out_biases(graph: onnx.GraphProto, stored: Mapping[str, onnx.TensorProto]) -> dict[str, onnx.TensorProto]:
    """The exporter leaves out a bias of nothing but zeros: of convolutions that have none, it is that."""
    without = [_name(node.input[1]) for node in graph.node if node.op_type == "Conv" and len(node.input) == 2]
    named = [(name.removesuffix("weight") + "bias", stored[name].dims[0]) for name in without if name in stored]
    return {name: numpy_helper.from_array(np.zeros(n, np.float32), name) for name, n in named if name not in stored}


def _name(stored: str) -> str:
    return stored.removeprefix(PREFIX).removesuffix(HALF)


def _unfused(detector: Detector, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """`values` under the names of a detector whose normalisations are not folded."""
    result: dict[str, Tensor] = {}
    for path, module in detector.named_modules():
        if isinstance(module, ConvBlock):
            ones = torch.ones_like(module.norm.weight)
            result[f"{path}.conv.weight"] = values[f"{path}.0.weight"]
            result[f"{path}.norm.bias"] = values[f"{path}.0.bias"]
            result[f"{path}.norm.weight"] = ones
            result[f"{path}.norm.running_mean"] = torch.zeros_like(ones)
            # Its root with `eps` added is 1 in float32, so that folding multiplies by exactly 1.
            result[f"{path}.norm.running_var"] = ones - module.norm.eps
            result[f"{path}.norm.num_batches_tracked"] = torch.zeros((), dtype=torch.long)
    own = detector.state_dict()
    learnt = {name for name, _ in detector.named_parameters()}
    return {
        name: result[name] if name in result else values[name] if name in learnt else value.clone()
        for name, value in own.items()
    }


def _require_same_function(bundle: Bundle, detector: Detector, top_k: int, look: Look | None) -> None:
    """Raises `DataError` when torch computes something else of these weights than the bundle's graph does."""
    manifest = bundle.manifest
    size = (manifest.field_width_px, manifest.field_height_px)
    rng = np.random.default_rng(20190629)
    coarse = rng.integers(60, 255, (size[1] // 24 + 1, size[0] // 24 + 1, 3), dtype=np.uint8)
    frame = coarse.repeat(24, axis=0).repeat(24, axis=1)[: size[1], : size[0]]
    found = []
    ours = TorchEngine(detector, top_k, *size, device="cpu", look=look)
    theirs = open_engine(bundle, *size, slots=1, engine="openvino", precision="f32")
    for engine in (theirs, ours):
        engine.slot(0)[0][...] = frame
        engine.submit(0, 1)
        found.append(engine.collect(0))
        engine.close()
    graph, torch_side = found
    same_box = ious(graph.boxes[0][:ROWS_COMPARED], torch_side.boxes[0]) >= SAME_BOX_IOU
    same_label = graph.labels[0][:ROWS_COMPARED, None] == torch_side.labels[0][None]
    same_score = np.abs(graph.scores[0][:ROWS_COMPARED, None] - torch_side.scores[0][None]) <= SAME_SCORE
    if not (same_box & same_label & same_score).any(axis=1).all():
        raise DataError(
            f"the graph of bundle {bundle.path} computes something else than its recipe says of the same weights (other "
            "anchors, or another program's graph); start from a checkpoint, or from a bundle that `leuko-train export` wrote."
        )
