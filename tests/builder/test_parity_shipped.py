"""The shipped bundle passes its own gate, and each kind of damage to its FP16 graph fails it for the right reason.

On drawn fields always; on real images where LEUKO_DATA names them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from builder.executors import CpuExecutor
from builder.half_graph import to_half
from builder.images import FieldImages, read_images
from builder.inspection import read_graph
from builder.parity import compare, find_cells
from edge.camera.virtual import VirtualSource
from edge.contracts.bundle import load_bundle
from edge.contracts.cells import INDEX, N_CLASSES
from edge.contracts.detections import Cells
from edge.contracts.engine_files import ParityResult
from edge.virtual import UM_PER_PX

_BUNDLE = load_bundle(Path(__file__).parents[2] / "edge/bundles/yolov3-tiny-416-look")
_WIDTH_PX, _HEIGHT_PX = _BUNDLE.manifest.field_width_px, _BUNDLE.manifest.field_height_px
_PER_PRIOR = 5 + N_CLASSES


@dataclass(frozen=True)
class Bench:
    """Images, and what the reference finds on them."""

    images: FieldImages

    def cells(self, model: onnx.ModelProto, *, is_emulation: bool) -> list[Cells]:
        executor = CpuExecutor(model, is_emulation=is_emulation)
        return find_cells(executor, self.images.frames, self.images.names, _BUNDLE.manifest.thresholds)

    @cached_property
    def reference(self) -> list[Cells]:
        return self.cells(read_graph(_BUNDLE.model_path), is_emulation=False)

    def judge(self, change: Callable[[onnx.ModelProto], None]) -> ParityResult:
        model = to_half(read_graph(_BUNDLE.model_path)).model
        change(model)
        return compare(self.reference, self.cells(model, is_emulation=True), "emulation", is_emulation=True)


def _bench(folder: Path, n: int, um_per_px: float) -> Bench:
    return Bench(read_images(folder, _BUNDLE, _WIDTH_PX, _HEIGHT_PX, n, um_per_px))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Twice as many cells in a field as the command draws by itself: these have the 200 that are needed, and six more."""
    folder, n = tmp_path_factory.mktemp("drawn"), 32
    source = VirtualSource(f"seed=1,mix=even,wbc=6,variants=4,fields={n},width={_WIDTH_PX},height={_HEIGHT_PX}")
    for index in range(n):
        image = source.read(10.0).image
        assert image is not None
        cv2.imwrite(str(folder / f"{index:02d}.png"), image)
    source.close()
    return _bench(folder, n, UM_PER_PX)


@pytest.fixture(scope="module")
def real(real_data: Path) -> Bench:
    return _bench(real_data / "bccd/JPEGImages", 215, 0.073)


def _nothing(model: onnx.ModelProto) -> None:
    pass


def _each(model: onnx.ModelProto, n_dims: int, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
    for index, tensor in enumerate(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.ndim == n_dims and values.dtype in {np.dtype(np.float16), np.dtype(np.float32)}:
            changed = change(values.astype(np.float64)).astype(values.dtype)
            model.graph.initializer[index].CopyFrom(numpy_helper.from_array(changed, tensor.name))


def _four_bits(model: onnx.ModelProto) -> None:
    def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
        mantissa, exponent = np.frexp(values)
        return np.asarray(np.ldexp(np.round(mantissa * 16) / 16, exponent))

    _each(model, 4, rounded)


def _swapped_colours(model: onnx.ModelProto) -> None:
    _each(model, 4, lambda values: values[:, ::-1] if values.shape[1] == 3 else values)


def _one_class_favoured(model: onnx.ModelProto) -> None:
    def favoured(values: NDArray[np.float64]) -> NDArray[np.float64]:
        if values.size != 3 * _PER_PRIOR:
            return values
        changed = values.reshape(3, _PER_PRIOR).copy()
        changed[:, 5 + INDEX["basophil"]] += 6.0
        return changed.reshape(-1)

    _each(model, 1, favoured)


def _moved_boxes(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == "boxes":
                node.output[index] = "boxes_before"
    model.graph.initializer.append(helper.make_tensor("three_px", onnx.TensorProto.FLOAT, [], [3.0]))
    model.graph.node.append(helper.make_node("Add", ["boxes_before", "three_px"], ["boxes"]))


_DAMAGE = [
    pytest.param(_four_bits, {"scores", "another label"}, id="weights of 4 bits"),
    pytest.param(
        _one_class_favoured,
        {"scores", "another label", "unidentified are"},
        id="one class's bias moved",
        marks=pytest.mark.soak,
    ),
    pytest.param(_moved_boxes, {"median IoU"}, id="boxes moved by three pixels", marks=pytest.mark.soak),
    pytest.param(_swapped_colours, {"scores", "another label", "missed"}, id="red for blue"),
]


def _assert_healthy(bench: Bench) -> None:
    result = bench.judge(_nothing)
    assert result.failures == ()
    assert result.cells >= 200
    # Exactly 0 would mean that nothing was rounded. A box that moves by a hair may move its crop by a whole pixel.
    assert 0 < result.max_score_difference < 0.1


def _assert_damaged(bench: Bench, damage: Callable[[onnx.ModelProto], None], says: set[str]) -> None:
    failures = bench.judge(damage).failures
    missing = {reason for reason in says if not any(reason in failure for failure in failures)}
    assert not missing, failures
    if damage is _moved_boxes:
        assert all("IoU" in failure for failure in failures), failures


def test_the_shipped_bundle_passes_on_drawn_fields(drawn: Bench) -> None:
    _assert_healthy(drawn)


@pytest.mark.parametrize(("damage", "says"), _DAMAGE)
def test_damage_fails_on_drawn_fields(drawn: Bench, damage: Callable[[onnx.ModelProto], None], says: set[str]) -> None:
    _assert_damaged(drawn, damage, says)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_shipped_bundle_passes_on_real_images(real: Bench) -> None:
    _assert_healthy(real)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_damage_fails_on_real_images(real: Bench) -> None:
    _assert_damaged(real, _four_bits, {"missed", "another label", "scores", "neutrophil_band are"})
