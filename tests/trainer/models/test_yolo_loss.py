"""YOLOv3's loss on hand-made cases: a perfect answer, each mistake alone, special labels, and both forms of the box term."""

import pytest
import torch
from support.yolo_cases import GRIDS, HEADS, cells, perfect

from edge.contracts.cells import INDEX
from trainer.data.annotation import UNTYPED_NEUTROPHIL
from trainer.models.catalogue import build_detector
from trainer.models.detector import Targets
from trainer.models.yolo_head import YoloHead, YoloOptions
from trainer.models.yolo_loss import class_loss, squared_loss, yolo_loss

PAPER = YoloOptions()
OVERLAP = YoloOptions(box_loss="giou", box_weight=3.0)
FORMS = [pytest.param(PAPER, id="squared"), pytest.param(OVERLAP, id="giou")]


def terms(raw: list[torch.Tensor], target: Targets, options: YoloOptions = PAPER) -> dict[str, float]:
    return {name: float(value) for name, value in yolo_loss(HEADS, raw, [target], options).items()}


@pytest.mark.parametrize("options", FORMS)
def test_a_perfect_answer_costs_almost_nothing_and_each_mistake_costs_its_own_term(options: YoloOptions) -> None:
    target = cells((20, 4, 60, 44, 1))
    best = terms(perfect(target), target, options)
    assert max(best.values()) < 2e-3
    wrong_class, wrong_size, wrong_place, missed = (perfect(target) for _ in range(4))
    wrong_class[0][0, 1, 1, 2, 5:] *= -1
    wrong_size[0][0, 1, 1, 2, 2:4] += 1.0
    wrong_place[0][0, 1, 1, 2, :2] += 3.0
    missed[0][0, 1, 1, 2, 4] *= -1
    for raw, name in ((wrong_class, "class"), (wrong_size, "box"), (wrong_place, "box"), (missed, "objectness")):
        worse = terms(raw, target, options)
        assert worse[name] > 0.3
        assert all(worse[key] == pytest.approx(best[key], abs=1e-6) for key in best if key != name)


def test_the_squared_form_has_the_papers_gradient_truth_minus_prediction() -> None:
    raw = torch.tensor([[0.3, -1.2, 0.4, -0.2]], requires_grad=True)
    boxes = torch.tensor([[20.0, 4.0, 60.0, 44.0]])  # centre 2.5, 1.5 in grid cells of 16 px; the anchor is 20 x 80
    places = torch.tensor([[2.0, 1.0, 16.0, 20.0, 80.0]])
    squared_loss(raw, boxes, places, network_area_px2=6400.0).backward()
    prediction = torch.cat((raw[:, :2].sigmoid(), raw[:, 2:]), dim=1).detach()
    truth = torch.tensor([[0.5, 0.5, 2.0, 0.5]])
    truth[:, 2:] = truth[:, 2:].log()
    assert raw.grad is not None
    torch.testing.assert_close(raw.grad, (2 - 1600 / 6400) * (prediction - truth))


def test_a_centre_on_a_grid_line_has_a_finite_loss_and_gradient() -> None:
    target = cells((12, -4, 52, 36, 1))  # its centre is the corner of four grid cells
    raw = [x.requires_grad_() for x in perfect(target)]
    total = torch.stack(list(yolo_loss(HEADS, raw, [target], PAPER).values())).sum()
    total.backward()
    assert float(total.detach()) < 2e-3
    assert all(x.grad is not None and bool(x.grad.isfinite().all()) for x in raw)


def test_the_same_error_costs_a_small_cell_more() -> None:
    """The factor 2 minus the box's share of the image, as in Darknet."""
    costs = []
    for side in (20, 60):
        target = cells((32 - side / 2, 32 - side / 2, 32 + side / 2, 32 + side / 2, 1))
        raw = perfect(target)
        raw[0][..., 2] += 0.5
        costs.append(terms(raw, target)["box"])
    assert costs[0] / costs[1] == pytest.approx((2 - 400 / 4096) / (2 - 3600 / 4096), rel=1e-3)


@pytest.mark.parametrize("options", FORMS)
def test_an_untyped_leukocyte_has_no_class_loss_and_an_ignored_region_no_loss_at_all(options: YoloOptions) -> None:
    target = cells((20, 4, 60, 44, -1))
    wrong = perfect(target)
    wrong[0][0, 1, 1, 2, 2] += 1.0
    assert terms(wrong, target, options)["class"] == 0.0 < terms(wrong, target, options)["box"]
    raw = perfect(cells((20, 4, 60, 44, 1)))
    region = terms(raw, cells((20, 4, 60, 44, -2)), options)
    assert region["objectness"] < 1e-3 and region["box"] == region["class"] == 0.0
    assert terms(raw, cells(), options)["objectness"] > 5


def test_an_untyped_neutrophil_denies_the_other_types_and_leaves_its_own_two_open() -> None:
    logits = torch.zeros(1, 15)
    band, segmented, eosinophil = (INDEX[name] for name in ("neutrophil_band", "neutrophil_segmented", "eosinophil"))
    labels = torch.tensor([UNTYPED_NEUTROPHIL])
    indifferent = float(class_loss(logits, labels))
    for index, changes in ((band, False), (segmented, False), (eosinophil, True)):
        louder = logits.clone()
        louder[0, index] = 4.0
        assert (float(class_loss(louder, labels)) > indifferent + 1) is changes


def test_a_prior_that_overlaps_a_cell_without_being_its_best_is_left_out() -> None:
    target = cells((20, 4, 60, 44, 1))
    raw = perfect(target)
    neighbour = raw[0][0, 1, 1, 1]  # same anchor, one grid cell to the left, moved onto the cell
    neighbour[:2] = torch.tensor([0.999, 0.5]).logit()
    neighbour[4] = 12.0
    assert terms(raw, target)["objectness"] < 1e-3
    assert terms(raw, target, YoloOptions(ignore_iou=0.99))["objectness"] > 5


def test_the_loss_of_a_batch_is_the_sum_of_its_images() -> None:
    targets = [cells((20, 4, 60, 44, 1), (0, 0, 20, 20, -1)), cells(), cells((4, 4, 64, 64, 2))]
    generator = torch.Generator().manual_seed(0)
    raw = [torch.randn(3, len(h.anchors), *g, 8, generator=generator) for h, g in zip(HEADS, GRIDS, strict=True)]
    whole = yolo_loss(HEADS, raw, targets, PAPER)
    parts = [yolo_loss(HEADS, [x[n : n + 1] for x in raw], [target], PAPER) for n, target in enumerate(targets)]
    for name, value in whole.items():
        torch.testing.assert_close(value, torch.stack([part[name] for part in parts]).sum())


def test_priors_are_listed_in_the_order_of_decoding() -> None:
    head = YoloHead(16, [(20.0, 30.0), (40.0, 40.0), (60.0, 50.0)], n_classes=2)
    boxes = head.decode(torch.zeros(1, 3, 2, 4, 7))[0][0]
    column, row, stride, width, height = head.priors(2, 4).unbind(dim=1)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    torch.testing.assert_close(boxes, torch.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), dim=1))


@pytest.mark.parametrize(
    "options", [pytest.param({}, id="best-only"), pytest.param({"also_positive_iou": 0.6}, id="others-too")]
)
def test_positives_are_the_priors_whose_class_the_loss_trains(options: dict[str, float]) -> None:
    detector = build_detector(
        "yolov3-tiny", 15, (96, 64), {"anchors_px": [[s, s] for s in (8, 14, 20, 28, 40, 60)], **options}, 0
    )
    generator = torch.Generator().manual_seed(2)
    corners = torch.rand(40, 2, generator=generator) * torch.tensor([80.0, 50.0])
    boxes = torch.cat((corners, corners + 4 + 40 * torch.rand(40, 2, generator=generator)), dim=1)
    targets = [
        Targets(boxes[:25], torch.arange(25) % 15),
        Targets(boxes[25:25], torch.zeros(0).long()),
        Targets(boxes[25:], torch.arange(15)),
    ]
    raw = [torch.zeros(3, 3, 64 // s, 96 // s, 20, requires_grad=True) for s in (16, 32)]
    detector.loss(raw, targets)["class"].backward()  # type: ignore[no-untyped-call]
    trained = sum(int((x.grad[..., 5:] != 0).any(dim=-1).sum()) for x in raw if x.grad is not None)
    assert detector.positives(targets) == trained > 10
