"""YOLOv3's loss on hand-made cases: which prior a cell trains on a 64 px image with grids of 16 and 32 px; a perfect answer,
each mistake alone, special labels, and both forms of the box term."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.yolo_cases import GRIDS, HEADS, cells, perfect, place_of

from edge.contracts.cells import INDEX
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL
from trainer.models.catalogue import build_detector
from trainer.models.detector import Targets
from trainer.models.yolo_head import YoloHead, YoloOptions
from trainer.models.yolo_loss import assign, background, class_loss, shape_iou, squared_loss, yolo_loss

Row = tuple[float, float, float, float, int]
Place = tuple[int, int, int, int]


def around(x: float, y: float, side: float, label: int = 1) -> Row:
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2, label)


@pytest.mark.parametrize(
    ("rows", "also_positive_iou", "expected"),
    [
        pytest.param([around(40, 24, 40)], None, {(0, 1, 1, 2): 0}, id="the-anchor-of-its-size-where-its-centre-is"),
        pytest.param([around(40, 24, 80)], None, {(1, 0, 0, 1): 0}, id="a-large-cell-belongs-to-the-coarse-head"),
        pytest.param([around(40, 24, 50)], None, {(0, 2, 1, 2): 0}, id="only-the-best-of-two-anchors-that-fit"),
        pytest.param([around(40, 24, 50)], 0.6, {(0, 1, 1, 2): 0, (0, 2, 1, 2): 0}, id="others-that-fit-when-asked-for"),
        pytest.param([around(40, 24, 3)], 0.6, {(0, 0, 1, 2): 0}, id="a-cell-that-fits-no-anchor-still-has-its-best"),
        pytest.param([around(32, 16, 40)], None, {(0, 1, 1, 2): 0}, id="a-centre-on-a-grid-line-is-right-and-below-of-it"),
        pytest.param([around(64, 64, 40)], None, {(0, 1, 3, 3): 0}, id="a-centre-on-the-image-border-stays-in-the-grid"),
        pytest.param([around(0, 0, 40)], None, {(0, 1, 0, 0): 0}, id="a-centre-in-the-corner"),
        pytest.param([around(8, 8, 30), around(9, 9, 38)], None, {(0, 1, 0, 0): 1}, id="the-better-shape-wins-a-prior"),
        pytest.param([around(9, 9, 38), around(8, 8, 30)], None, {(0, 1, 0, 0): 0}, id="whichever-comes-first"),
        pytest.param([around(8, 8, 40), around(9, 9, 40)], None, {(0, 1, 0, 0): 0}, id="of-equal-shapes-the-first"),
        pytest.param(
            [around(8, 8, 20), around(8, 8, 40)], None, {(0, 0, 0, 0): 0, (0, 1, 0, 0): 1}, id="one-place-two-sizes-two-priors"
        ),
        pytest.param([around(40, 24, 40, -2)], 0.6, {}, id="an-ignored-region-is-never-positive"),
        pytest.param(
            [around(8, 8, 40, -2), around(40, 24, 40)], None, {(0, 1, 1, 2): 1}, id="the-index-counts-ignored-regions"
        ),
        pytest.param([around(40, 24, 40, -1)], None, {(0, 1, 1, 2): 0}, id="an-untyped-leukocyte-is-positive"),
        pytest.param([around(40, 24, 40, -3)], None, {(0, 1, 1, 2): 0}, id="an-untyped-neutrophil-is-positive"),
        pytest.param([], None, {}, id="a-field-without-cells"),
    ],
)
def test_assignment(rows: list[Row], also_positive_iou: float | None, expected: dict[Place, int]) -> None:
    _, prior, cell = assign(HEADS, GRIDS, [cells(*rows)], also_positive_iou)
    assert {place_of(p): k for p, k in zip(prior.tolist(), cell.tolist(), strict=True)} == expected


@pytest.mark.parametrize(
    ("box", "rows", "ignore_iou", "trained"),
    [
        pytest.param((0, 0, 40, 20), [(0, 0, 40, 40, 1)], 0.5, True, id="at-the-threshold-it-is-background"),
        pytest.param((0, 0, 40, 21), [(0, 0, 40, 40, 1)], 0.5, False, id="over-the-threshold-it-is-left-out"),
        pytest.param((0, 0, 40, 21), [(0, 0, 40, 40, 1)], 0.7, True, id="a-higher-threshold-leaves-fewer-out"),
        pytest.param((0, 0, 40, 21), [(0, 0, 40, 40, -1)], 0.5, False, id="an-untyped-cell-is-a-cell"),
        pytest.param((0, 0, 40, 40), [(40, 0, 80, 40, 1)], 0.5, True, id="a-neighbour-that-only-touches"),
        pytest.param((10, 10, 20, 20), [(0, 0, 64, 64, -2)], 0.5, False, id="small-within-an-ignored-region"),
        pytest.param((10, 10, 20, 20), [(0, 0, 64, 64, 1)], 0.5, True, id="small-within-a-cell-is-background"),
        pytest.param((0, 0, 20, 20), [(12, 0, 64, 64, -2)], 0.5, True, id="mostly-outside-an-ignored-region"),
        pytest.param((-30, -30, 20, 20), [(0, 0, 64, 64, -2)], 0.5, False, id="all-that-is-visible-of-it-is-ignored"),
        pytest.param((40, 40, 90, 90), [(50, 40, 64, 64, -2)], 0.5, False, id="the-border-left-a-strip-of-a-cell"),
        pytest.param((0, 0, 20, 20), [], 0.5, True, id="a-field-without-cells-is-all-background"),
    ],
)
def test_background(box: tuple[int, ...], rows: list[Row], ignore_iou: float, trained: bool) -> None:
    assert bool(background(torch.tensor([box]).float(), cells(*rows), ignore_iou, (64, 64))[0]) is trained


def on_raster(rows: list[tuple[int, int, int, int, int]]) -> Targets:
    """Centres and sizes in steps, so that centres fall on grid lines, cells share places and shapes fit equally well."""
    return cells(*((4 * x - 5 * w, 4 * y - 5 * h, 4 * x + 5 * w, 4 * y + 5 * h, k) for x, y, w, h, k in rows))


places, sizes = st.integers(0, 16), st.integers(1, 16)
fields_of_cells = st.lists(st.tuples(places, places, sizes, sizes, st.integers(-3, 2)), max_size=8).map(on_raster)


@settings(max_examples=60)
@given(fields=st.lists(fields_of_cells, min_size=1, max_size=3), also=st.sampled_from([None, 0.3, 0.6]))
def test_a_batch_is_assigned_as_its_cells_are_one_by_one(fields: list[Targets], also: float | None) -> None:
    anchors = torch.cat([head.anchors for head in HEADS])
    expected: dict[tuple[int, int], tuple[float, int]] = {}
    before = 0
    for image, target in enumerate(fields):
        for k, (box, label) in enumerate(zip(target.boxes, target.labels.tolist(), strict=True)):
            fits = shape_iou((box[2:] - box[:2])[None], anchors)[0]
            for a, fit in enumerate(fits.tolist()):
                if label == IGNORE or not (a == int(fits.argmax()) or (also is not None and bool(fits[a] > also))):
                    continue
                head, local = (0, a) if a < 3 else (1, a - 3)
                rows, columns = GRIDS[head]
                x, y = ((box[:2] + box[2:]) / 2 // HEADS[head].stride_px).long().tolist()
                prior = 48 * head + (local * rows + min(y, rows - 1)) * columns + min(x, columns - 1)
                if fit > expected.get((image, prior), (-1.0, 0))[0]:
                    expected[image, prior] = (fit, before + k)
        before += len(target.labels)
    found = assign(HEADS, GRIDS, fields, also)
    assert list(zip(found.image.tolist(), found.prior.tolist(), strict=True)) == sorted(expected)
    assert found.cell.tolist() == [expected[place][1] for place in sorted(expected)]


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
