"""YOLOv3-tiny: shapes, size, decoding and the loss on hand-made cases."""

import math

import pytest
import torch

from leukostream.edge.contracts.cells import INDEX
from leukostream.edge.contracts.errors import ConfigError
from leukostream.trainer.data.annotation import UNTYPED_NEUTROPHIL
from leukostream.trainer.models.catalogue import build_detector
from leukostream.trainer.models.detector import Targets
from leukostream.trainer.models.layers import SamePool, count_parameters, fuse
from leukostream.trainer.models.yolo_head import YoloHead
from leukostream.trainer.models.yolo_loss import assign, class_loss, yolo_loss


def target(*rows: tuple[float, float, float, float, int]) -> Targets:
    data = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return Targets(data[:, :4], data[:, 4].long())


def test_it_is_the_reference_model_in_heads_priors_and_parameters() -> None:
    model = build_detector("yolov3-tiny", 15, (416, 416), {}, seed=0).eval()
    raw = model(torch.zeros(1, 3, 416, 416))
    assert [tuple(x.shape) for x in raw] == [(1, 3, 26, 26, 20), (1, 3, 13, 13, 20)]
    boxes, scores = model.decode(raw)
    assert boxes.shape == (1, 2535, 4) and scores.shape == (1, 2535, 15)
    assert round(count_parameters(model) / 1e6, 1) == 8.7


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not() -> None:
    first, again, other = (build_detector("yolov3-tiny", 15, (416, 416), {}, seed).state_dict() for seed in (1, 1, 2))
    name = "to_stride_16.0.conv.weight"
    assert torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name])


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="yolov3-tiny"):
        build_detector("yolov9", 15, (416, 416), {}, 0)


def test_folding_the_normalisation_changes_nothing() -> None:
    model = build_detector("yolov3-tiny", 15, (416, 416), {}, seed=0)
    model(torch.rand(2, 3, 96, 96))  # moves the running statistics off their start
    model.eval()
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        before = model(images)
        fuse(model)
        after = model(images)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_same_pool_is_darknets_pool_that_ignores_what_lies_outside() -> None:
    x = torch.randn(1, 2, 5, 7) - 10  # all negative: a zero pad would win
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1), value=-math.inf)
    torch.testing.assert_close(SamePool()(x), torch.nn.functional.max_pool2d(padded, 2, 1))


def test_a_zero_logit_decodes_to_the_middle_of_its_cell_with_the_anchor_as_size() -> None:
    head = YoloHead(16, [(20.0, 30.0), (40.0, 40.0), (60.0, 50.0)], n_classes=2)
    boxes, _, _ = head.decode(torch.zeros(1, 3, 2, 4, 7))
    prior = (1 * 2 + 1) * 4 + 3  # second anchor, row 1, column 3
    assert boxes[0, prior].tolist() == [3.5 * 16 - 20, 1.5 * 16 - 20, 3.5 * 16 + 20, 1.5 * 16 + 20]


HEADS = [YoloHead(16, [(20.0, 20.0), (40.0, 40.0), (60.0, 60.0)], 3), YoloHead(32, [(80.0, 80.0), (160.0, 160.0)], 3)]
GRIDS = [(4, 4), (2, 2)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param(target((20, 4, 60, 44, 1)), {(1, 1, 2): 0}, id="best-anchor-at-the-cell-of-its-centre"),
        pytest.param(target((0, 0, 20, 20, -1)), {(0, 0, 0): 0}, id="an-untyped-leukocyte-trains-objectness"),
        pytest.param(target((0, 0, 20, 20, -2)), {}, id="an-ignored-region-is-never-positive"),
        pytest.param(target(), {}, id="a-field-without-cells-has-no-positives"),
        pytest.param(target((-20, -20, 20, 20, 1)), {(1, 0, 0): 0}, id="a-centre-on-the-border-stays-in-the-grid"),
        pytest.param(
            target((0, 0, 30, 30, 1), (0, 0, 40, 40, 2)),
            {(1, 0, 0): 1, (1, 1, 1): 1},
            id="the-better-shape-keeps-a-shared-prior",
        ),
    ],
)
def test_assignment(cells: Targets, expected: dict[tuple[int, int, int], int]) -> None:
    prior, cell = assign(HEADS, GRIDS, cells)
    flat = {(a * 4 + row) * 4 + column: k for (a, row, column), k in expected.items()}
    found = dict(zip(prior.tolist(), cell.tolist(), strict=True))
    if len(cells.labels) == 2:  # the small box may also take its own anchor; what matters is who holds the shared one
        assert found[(1 * 4 + 1) * 4 + 1] == 1
    else:
        assert found == flat


def perfect(cells: Targets, sharpness: float = 12.0) -> list[torch.Tensor]:
    """Logits that say exactly what `cells` hold."""
    raw = [torch.zeros(1, len(h.anchors), *g, 8) for h, g in zip(HEADS, GRIDS, strict=True)]
    for x in raw:
        x[..., 4] = -sharpness
        x[..., 5:] = -sharpness
    prior, cell = assign(HEADS, GRIDS, cells)
    for p, k in zip(prior.tolist(), cell.tolist(), strict=True):
        head = 0 if p < 48 else 1
        rows, columns = GRIDS[head]
        local = p - (0 if head == 0 else 48)
        a, row, column = local // (rows * columns), local // columns % rows, local % columns
        x1, y1, x2, y2 = cells.boxes[k].tolist()
        stride, anchor = HEADS[head].stride_px, HEADS[head].anchors[a]
        place = torch.tensor([(x1 + x2) / 2 / stride - column, (y1 + y2) / 2 / stride - row]).clamp(1e-4, 1 - 1e-4)
        values = raw[head][0, a, row, column]
        values[:2] = place.logit()
        values[2:4] = (torch.tensor([x2 - x1, y2 - y1]) / anchor).log()
        values[4] = sharpness
        if cells.labels[k] >= 0:
            values[5 + int(cells.labels[k])] = sharpness
    return raw


def test_a_perfect_answer_costs_almost_nothing_and_each_mistake_costs_its_own_term() -> None:
    cells = target((20, 4, 60, 44, 1))
    best = {name: float(value) for name, value in yolo_loss(HEADS, perfect(cells), [cells]).items()}
    assert max(best.values()) < 2e-3
    wrong_class = perfect(cells)
    wrong_class[0][0, 1, 1, 2, 5:] *= -1
    wrong_place = perfect(cells)
    wrong_place[0][0, 1, 1, 2, 2:4] += 1.0
    missed = perfect(cells)
    missed[0][0, 1, 1, 2, 4] *= -1
    for raw, name in ((wrong_class, "class"), (wrong_place, "box"), (missed, "objectness")):
        worse = {key: float(value) for key, value in yolo_loss(HEADS, raw, [cells]).items()}
        assert worse[name] > 0.3
        assert all(worse[key] == pytest.approx(best[key], abs=1e-6) for key in best if key != name)


def test_an_untyped_leukocyte_has_no_class_loss_and_an_ignored_region_no_loss_at_all() -> None:
    cells = target((20, 4, 60, 44, -1))
    assert float(yolo_loss(HEADS, perfect(cells), [cells])["class"]) == 0.0
    raw = perfect(target((20, 4, 60, 44, 1)))
    region = target((20, 4, 60, 44, -2))
    assert float(yolo_loss(HEADS, raw, [region])["objectness"]) < 1e-3
    assert float(yolo_loss(HEADS, raw, [target()])["objectness"]) > 5


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
    cells = target((20, 4, 60, 44, 1))
    raw = perfect(cells)
    neighbour = raw[0][0, 1, 1, 1]  # same anchor, one grid cell to the left, moved onto the cell
    neighbour[:2] = torch.tensor([0.999, 0.5]).logit()
    neighbour[4] = 12.0
    assert float(yolo_loss(HEADS, raw, [cells])["objectness"]) < 1e-3
