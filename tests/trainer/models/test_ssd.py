"""SSD300 and SSD512: the published shapes, what goes into the trunk, and the graph that is exported."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from support.agreement import agreement

from edge.contracts.errors import ConfigError
from trainer.export.graph import store_weights_as_half, to_onnx
from trainer.models.catalogue import build_detector
from trainer.models.ssd import L2Norm, Ssd300, Ssd512

TOP_K = 64


@pytest.mark.parametrize(
    ("architecture", "size", "sides", "priors", "millions"),
    [
        pytest.param("ssd300", 300, [38, 19, 10, 5, 3, 1], 8732, 25.6, id="ssd300-of-the-paper"),
        pytest.param("ssd512", 512, [64, 32, 16, 8, 4, 2, 1], 24564, 26.5, id="ssd512-of-the-paper"),
    ],
)
def test_maps_and_priors_are_the_published_ones(
    architecture: str, size: int, sides: list[int], priors: int, millions: float
) -> None:
    with torch.device("meta"):  # shapes alone: nothing is computed
        model = build_detector(architecture, 15, (size, size), {}, seed=0)
        images = torch.zeros(2, 3, size, size)
        assert isinstance(model, Ssd300 | Ssd512)
        assert [x.shape[2:] for x in model.feature_maps(images)] == [(side, side) for side in sides]
        raw = model(images)
        assert [x.shape for x in raw] == [(2, priors, 4), (2, priors, 16)]
        boxes, scores = model.decode(raw)
    assert boxes.shape == (2, priors, 4) and scores.shape == (2, priors, 15)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("size", "options", "named"),
    [
        pytest.param((416, 416), {}, "300x300", id="the-default-boxes-belong-to-one-size"),
        pytest.param((300, 300), {"s_min": 0.9, "s_max": 0.2}, "s_min", id="scales-the-wrong-way-round"),
        pytest.param((300, 300), {"s_max": 1.5}, "s_max", id="larger-than-the-field"),
        pytest.param((300, 300), {"normalisation": "bgr"}, "normalisation", id="an-unknown-normalisation"),
        pytest.param((300, 300), {"smin": 0.1}, "smin", id="a-misspelt-option"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(size: tuple[int, int], options: dict[str, object], named: str) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=named):
        build_detector("ssd300", 15, size, options, seed=0)


def test_images_of_another_size_are_refused_rather_than_decoded_at_the_wrong_places() -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="256x192"):
        build_detector("ssd300", 15, (300, 300), {}, seed=0)(torch.zeros(1, 3, 192, 256))


class Recorder(torch.nn.Module):
    """In the trunk's place: keeps what it is given."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.seen = x
        return torch.zeros(1, 512, 38, 38), torch.zeros(1, 1024, 19, 19)


@pytest.mark.parametrize(
    ("normalisation", "expected"),
    [
        pytest.param("caffe", [255 - 123, -117, 51 - 104], id="grey-levels-less-caffes-mean-in-rgb-order"),
        pytest.param(
            "imagenet", [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225], id="torchvisions-mean-and-deviation"
        ),
    ],
)
def test_the_trunk_gets_what_its_weights_were_trained_with(normalisation: str, expected: list[float]) -> None:
    model = Ssd300(15, 300, 300, normalisation=normalisation)
    recorder = Recorder()
    model.trunk = recorder  # type: ignore[assignment]
    with torch.no_grad():
        model(torch.tensor([1.0, 0.0, 0.2]).view(1, 3, 1, 1).expand(1, 3, 300, 300))
    assert recorder.seen[0, :, 7, 7].tolist() == pytest.approx(expected, abs=1e-4)


def test_random_weights_start_alike_whatever_the_normalisation() -> None:
    images, seen = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)), []
    for normalisation in ("imagenet", "caffe"):
        model = build_detector("ssd300", 15, (300, 300), {"normalisation": normalisation}, seed=0)
        assert isinstance(model, Ssd300)
        with torch.no_grad():
            seen.append(model.trunk((images - model.mean) / model.deviation)[1])
    assert float((seen[0] - seen[1]).abs().max()) < 0.1 * float(seen[0].max())


@pytest.mark.parametrize(
    ("value", "length"),
    [
        pytest.param(0.01, 20.0, id="quiet"),
        pytest.param(3000.0, 20.0, id="loud-its-squares-leave-float16"),
        pytest.param(0.0, 0.0, id="a-dead-position-stays-zero"),
    ],
)
def test_l2_norm_gives_every_position_the_length_20_and_a_finite_gradient(value: float, length: float) -> None:
    x = torch.full((1, 512, 2, 2), value, requires_grad=True)
    y = L2Norm(512, 20.0)(x)
    assert y.detach().square().sum(dim=1).sqrt().flatten().tolist() == pytest.approx([length] * 4, rel=1e-4)
    y.sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


@pytest.fixture(scope="module")
def detector() -> Ssd300:
    model = build_detector("ssd300", 15, (300, 300), {"normalisation": "imagenet"}, seed=3)
    assert isinstance(model, Ssd300)
    return model.eval()


@pytest.fixture(scope="module")
def exported(detector: Ssd300) -> onnx.ModelProto:
    return store_weights_as_half(to_onnx(detector, TOP_K, 170, 140))


def test_onnx_agrees_with_torch_for_a_batch_and_a_frame_size_it_was_not_traced_with(
    detector: Ssd300, exported: onnx.ModelProto
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 121, 233, 3), dtype=np.uint8)
    found = agreement(detector, exported, frames)
    assert found.score < 1e-4 and found.box < 1e-4, found


def test_the_graph_holds_nothing_that_an_engine_refuses(exported: onnx.ModelProto) -> None:
    dims = exported.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["N", "H", "W", 3]
    used = Counter(node.op_type for node in exported.graph.node)
    assert used["Conv"] == 35
    assert used.keys().isdisjoint({"NonMaxSuppression", "NonZero", "Loop", "If", "EfficientNMS_TRT", "Where", "ScatterND"})
    assert all(node.domain in {"", "ai.onnx"} for node in exported.graph.node)


def test_default_boxes_are_stored_exactly(detector: Ssd300, exported: onnx.ModelProto) -> None:
    stored = [onnx.numpy_helper.to_array(t) for t in exported.graph.initializer if list(t.dims) == [8732, 4]]
    assert [x.dtype for x in stored] == [np.float32]
    np.testing.assert_array_equal(stored[0], detector.priors.numpy())
