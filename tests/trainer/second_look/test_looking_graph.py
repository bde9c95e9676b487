"""A graph that looks twice: both networks decide together, and nothing else of the contract changes."""

import numpy as np
import onnx
import pytest
import torch
from support.agreement import run
from support.yolo_cases import spread

from edge.contracts.bundle import SecondLook
from edge.contracts.cells import INDEX, N_CLASSES, NAMES
from trainer.export.graph import FrameGraph, graph_to_onnx
from trainer.models.detector import Detector
from trainer.second_look.carried_look import Look
from trainer.second_look.look_network import NO_CELL, UNKNOWN, LookNetwork
from trainer.second_look.looking_graph import AMONG, LookingGraph, overlaps

pytestmark = pytest.mark.timeout(240)

TOP_K = 64
SETTINGS = SecondLook(looks=4, crop_side_px=32, crop_um=8.32)
Array = np.ndarray


@pytest.fixture(scope="module")
def detector() -> Detector:
    return spread("yolov3-tiny", (96, 96), seed=3)


def that_says(output: int | None, seed: int = 0) -> LookNetwork:
    """A network that answers `output` whatever it sees, or by chance with None."""
    torch.manual_seed(seed)
    network = LookNetwork()
    if output is not None:
        with torch.no_grad():
            network.types.weight.zero_()
            network.types.bias.zero_()
            network.types.bias[output] = 30.0
    return network.eval()


def frames(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def answer(graph: FrameGraph, shown: Array) -> list[Array]:
    with torch.no_grad():
        return [out.numpy() for out in graph(torch.from_numpy(shown))]


@pytest.fixture(scope="module")
def exported(detector: Detector) -> onnx.ModelProto:
    return graph_to_onnx(LookingGraph(detector, TOP_K, that_says(None), SETTINGS), 170, 140)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((2, 140, 170, 3), id="the-size-it-was-traced-with"),
        pytest.param((1, 140, 170, 3), id="a-single-frame"),
        pytest.param((3, 121, 233, 3), id="another-camera"),
        pytest.param((1, 40, 36, 3), id="hardly-larger-than-a-crop"),
    ],
)
def test_onnx_agrees_with_torch(detector: Detector, exported: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    shown = frames(*shape)
    boxes, scores, labels = run(exported, shown)
    own_boxes, own_scores, _ = answer(LookingGraph(detector, TOP_K, that_says(None), SETTINGS), shown)
    assert (boxes.dtype, scores.dtype, labels.dtype) == (np.float32, np.float32, np.int32)
    assert boxes.shape == (shape[0], TOP_K, 4) and (np.diff(scores, axis=1) <= 0).all()
    # Where two boxes overlap by the limit to the last digit, rounding decides which of them stays.
    nearest = np.abs(scores[:, :, None] - own_scores[:, None]).min(axis=2)
    assert np.mean(nearest < 1e-4) > 0.98
    np.testing.assert_allclose(boxes[:, 0], own_boxes[:, 0], atol=0.01)


def test_no_operator_depends_on_data_and_sizes_are_symbolic(exported: onnx.ModelProto) -> None:
    dims = exported.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["N", "H", "W", 3]
    used = {node.op_type for node in exported.graph.node}
    assert used.isdisjoint({"NonMaxSuppression", "NonZero", "Loop", "If", "Unique", "Compress", "GridSample"})
    assert all(node.domain in {"", "ai.onnx"} for node in exported.graph.node)


def test_what_it_says_is_no_cell_is_gone_with_all_that_overlaps_it(detector: Detector) -> None:
    shown = frames(1, 140, 170, 3)
    settings = SETTINGS.model_copy(update={"presence_share": 1.0})
    graph = LookingGraph(detector, TOP_K, that_says(NO_CELL), settings)
    with torch.no_grad():
        tensor = torch.from_numpy(shown)
        boxes, scores = graph.detector.decode(graph.detector(graph.images(tensor)))
        found, presence, _ = graph.chosen(boxes * graph.scale_of(tensor, boxes), scores)
    left, score, _ = answer(graph, shown)
    assert (presence > 0.2).all(), "there was something to look at"
    still = torch.from_numpy(left[:, score[0] > 0.01])
    assert still.shape[1] == 0 or float(overlaps(found, still).max()) < settings.same_cell_iou


@pytest.mark.parametrize("name", [pytest.param("monocyte", id="a-leukocyte"), pytest.param("nrbc", id="another-cell")])
def test_what_it_says_a_cell_is_that_it_is(detector: Detector, name: str) -> None:
    settings = SETTINGS.model_copy(update={"type_share": 1.0, "presence_share": 0.0})
    shown = frames(1, 140, 170, 3)
    graph = LookingGraph(detector, TOP_K, that_says(INDEX[name]), settings)
    with torch.no_grad():
        tensor = torch.from_numpy(shown)
        boxes, scores = graph.detector.decode(graph.detector(graph.images(tensor)))
        found, presence, _ = graph.chosen(boxes * graph.scale_of(tensor, boxes), scores)
    rows, score, labels = answer(graph, shown)
    for box, there in zip(found[0].numpy(), presence[0].numpy(), strict=True):
        mine = np.flatnonzero(np.isclose(rows[0], box, atol=1e-3).all(axis=1))
        assert labels[0, mine[0]] == INDEX[name]
        assert score[0, mine[0]] == pytest.approx(there, rel=0.02), "the presence is the detector's alone"


@pytest.mark.parametrize(
    ("unknown", "most"),
    [
        pytest.param(0.0, 0.95, id="sure"),
        pytest.param(0.5, 0.95 * 0.5 + 0.5 / AMONG, id="as-likely-as-not"),
        pytest.param(0.999, 1 / AMONG, id="unknown"),
        pytest.param(None, 0.95, id="a-network-without-that-output"),
    ],
)
def test_what_is_unknown_stays_a_cell_and_is_called_by_no_name(detector: Detector, unknown: float | None, most: float) -> None:
    share = torch.full((1, 4, NO_CELL + 1), 0.05 / (N_CLASSES - 1))
    share *= torch.linspace(0.9, 1.1, NO_CELL + 1)
    share[..., INDEX["monocyte"]], share[..., NO_CELL] = 0.95, 0.0
    logits = (share * (1 - (unknown or 0.0))).clamp(min=1e-9).log()
    if unknown is not None:
        logits = torch.cat((logits, torch.full((1, 4, 1), max(unknown, 1e-9)).log()), dim=2)
    opinion = torch.full((1, 4, N_CLASSES), 0.06)
    settings = SETTINGS.model_copy(update={"type_share": 1.0, "presence_share": 0.9})
    with torch.no_grad():
        scores = LookingGraph(detector, TOP_K, that_says(None), settings).judged(opinion.sum(dim=2), opinion, logits)
    assert float(scores.sum(dim=2)[0, 0]) == pytest.approx(0.9**0.1, rel=1e-3), "it is as present as before"
    assert float((scores / scores.sum(dim=2, keepdim=True))[0, 0, INDEX["monocyte"]]) == pytest.approx(most, abs=2e-3)


AGREEMENT = [
    pytest.param("monocyte", 4.0, 1.0, id="alike"),
    pytest.param("eosinophil", 4.0, 0.0, id="each-is-sure-of-another-class"),
    pytest.param("eosinophil", 0.0, 1.0, id="it-does-not-count"),
]


@pytest.mark.parametrize(("said", "agreement", "known"), AGREEMENT)
def test_what_the_two_do_not_agree_in_is_called_by_no_name(
    detector: Detector, said: str, agreement: float, known: float
) -> None:
    opinion = torch.linspace(0.0009, 0.0011, N_CLASSES).repeat(1, 4, 1)
    opinion[..., INDEX["monocyte"]] = 0.9
    logits = torch.zeros(1, 4, UNKNOWN + 1)
    logits[..., INDEX[said]], logits[..., UNKNOWN] = 12.0, -12.0
    settings = SETTINGS.model_copy(update={"type_share": 0.8, "agreement": agreement})
    with torch.no_grad():
        scores = LookingGraph(detector, TOP_K, that_says(None), settings).judged(opinion.sum(dim=2), opinion, logits)[0, 0]
    presence = float(scores.sum())
    assert presence > 0.85, "it is as present as before"
    assert NAMES[int(scores.argmax())] == said, "the likeliest stays the likeliest"
    assert float(scores.max()) / presence == pytest.approx(known + (1 - known) / AMONG, abs=0.1)


def test_a_graph_of_before_it_said_unknown_is_carried_on(detector: Detector) -> None:
    torch.manual_seed(1)
    old = Look(LookNetwork(outputs=UNKNOWN).eval(), SETTINGS)
    again = Look.of_kept(old.as_kept())
    assert again is not None and not again.network.says_unknown and LookNetwork().says_unknown
    shown = frames(1, 140, 170, 3)
    for first, second in zip(
        *(answer(LookingGraph(detector, TOP_K, one.network, one.settings), shown) for one in (old, again)), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_shares_of_nothing_leave_the_detectors_word(detector: Detector) -> None:
    settings = SETTINGS.model_copy(update={"type_share": 0.0, "presence_share": 0.0})
    shown = frames(2, 140, 170, 3)
    graph = LookingGraph(detector, TOP_K, that_says(NO_CELL), settings)
    with torch.no_grad():
        tensor = torch.from_numpy(shown)
        boxes, scores = graph.detector.decode(graph.detector(graph.images(tensor)))
        _, presence, opinion = graph.chosen(boxes * graph.scale_of(tensor, boxes), scores)
        judged = graph.judged(presence, opinion, torch.zeros(2, settings.looks, NO_CELL + 1))
    shares = opinion / opinion.sum(dim=2, keepdim=True)
    torch.testing.assert_close(judged / presence.unsqueeze(-1), shares, atol=2e-3, rtol=0.01)


def test_cells_beyond_the_looks_keep_the_detectors_word(detector: Detector) -> None:
    shown = frames(1, 140, 170, 3)
    one = SETTINGS.model_copy(update={"looks": 1, "presence_share": 1.0})
    boxes, scores, _ = answer(LookingGraph(detector, TOP_K, that_says(NO_CELL), one), shown)
    alone_boxes, alone_scores, _ = answer(FrameGraph(detector, TOP_K), shown)
    assert scores[0, 0] > 0.2 and any(np.isclose(boxes[0, 0], box, atol=1e-3).all() for box in alone_boxes[0])
    share = {"presence_share": 0.0, "type_share": 0.0}
    own = answer(LookingGraph(detector, TOP_K, that_says(NO_CELL), one.model_copy(update=share)), shown)
    assert own[1][0, 0] in alone_scores[0], "the detector's own scores"
    raised = LookingGraph(detector, TOP_K, that_says(NO_CELL), one.model_copy(update={"presence_share": 0.9}))
    low, usual, sure = raised.raised(torch.tensor([[0.1, 0.2, 1.0]]))[0].tolist()
    assert (low, usual * 0.2, sure) == pytest.approx((1.0, 0.2**0.1 * 0.9**0.9, 0.9**0.9))


def test_a_crop_is_the_mean_of_four_pixels_around_the_middle_of_its_box(detector: Detector) -> None:
    graph = LookingGraph(detector, TOP_K, that_says(None), SETTINGS)
    shown = frames(2, 140, 170, 3)
    boxes = torch.tensor([[[60.0, 50, 101, 90]] * 4, [[0.0, 0, 20, 20]] * 4])
    with torch.no_grad():
        crops = graph.crops(torch.from_numpy(shown), boxes).numpy()
    assert crops.shape == (8, 3, 32, 32)
    inside = shown[0, 70 - 32 : 70 + 32, 80 - 32 : 80 + 32, ::-1].astype(np.float64)
    means = inside.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(crops[0], means, atol=1e-6)
    corner = np.pad(shown[1, :42, :42], ((22, 0), (22, 0), (0, 0)), mode="edge")[:64, :64, ::-1].astype(np.float64)
    means = corner.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(crops[4], means, atol=1e-6)


def test_each_cell_is_looked_at_once(detector: Detector) -> None:
    graph = LookingGraph(detector, TOP_K, that_says(None), SETTINGS)
    boxes = torch.tensor([[[10.0, 10, 50, 50], [12, 10, 52, 50], [14, 12, 53, 52], [80, 80, 120, 120], [81, 82, 119, 121.0]]])
    scores = torch.zeros(1, 5, 15)
    scores[0, :, 3] = torch.tensor([0.5, 0.9, 0.6, 0.4, 0.3])
    found, presence, _ = graph.chosen(boxes, scores)
    assert presence[0].tolist() == pytest.approx([0.9, 0.4, 0, 0])
    assert found[0, :2].tolist() == boxes[0, [1, 3]].tolist()


def test_class_weights_and_temperature_move_what_it_says(detector: Detector) -> None:
    logits = torch.zeros(1, 4, NO_CELL + 1)
    logits[..., INDEX["monocyte"]] = 4.0
    opinion = torch.full((1, 4, 15), 0.02)
    presence = opinion.sum(dim=2)
    plain = {"type_share": 1.0, "presence_share": 0.0}
    said = {}
    for key, more in (("sharp", {}), ("warm", {"temperature": 4.0}), ("light", {"class_weights": {"monocyte": 0.01}})):
        graph = LookingGraph(detector, TOP_K, that_says(None), SETTINGS.model_copy(update={**plain, **more}))
        said[key] = float((graph.judged(presence, opinion, logits) / presence[0, 0])[0, 0, INDEX["monocyte"]])
    assert said["sharp"] > 0.7 > said["warm"] > said["light"]
