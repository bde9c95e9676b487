"""SSD's loss on hand-made cases: matching, hard negatives, and what each label trains."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contracts.cells import INDEX, N_WBC
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.models.default_boxes import default_boxes, encode
from trainer.models.detector import Targets
from trainer.models.ssd import Ssd300
from trainer.models.ssd_loss import LEAST_NEGATIVES, class_loss, match, ssd_loss

C = 15
SIZE_PX = 300


def target(*rows: tuple[float, float, float, float, int]) -> Targets:
    data = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return Targets(data[:, :4], data[:, 4].long())


def priors(*corners: tuple[float, float, float, float]) -> torch.Tensor:
    """Given as x1 y1 x2 y2, which is easier to read beside a cell; returned as centre and size."""
    box = torch.tensor(corners)
    return torch.cat(((box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]), dim=1)


# Two boxes that overlap by 2/3, the upper half of the first, a large one around both, and one far away.
LEFT, RIGHT, HALF, AROUND, FAR = (0, 0, 20, 20), (4, 0, 24, 20), (0, 0, 20, 10), (0, 0, 60, 60), (200, 200, 220, 220)
PRIORS = priors(LEFT, RIGHT, HALF, AROUND, FAR)


@pytest.mark.parametrize(
    ("cells", "matched", "negative"),
    [
        pytest.param(
            target((0, 0, 20, 20, 3)), {0: 0, 1: 0}, [2, 3, 4], id="over-one-half-is-positive-exactly-one-half-is-not"
        ),
        pytest.param(target((30, 30, 60, 60, 3)), {3: 0}, [0, 1, 2, 4], id="a-cell-that-fits-nowhere-still-gets-its-best-box"),
        pytest.param(
            target((0, 0, 20, 20, 3), (2, 0, 22, 20, 5)), {0: 0, 1: 1}, [2, 3, 4], id="each-cell-keeps-a-box-of-its-own"
        ),
        pytest.param(
            target((0, 0, 20, 20, 3), (0, 0, 20, 20, 5)),
            {0: 0, 1: 1},
            [2, 3, 4],
            id="of-two-cells-at-one-place-the-second-gets-the-next-best",
        ),
        pytest.param(target((200, 200, 220, 220, UNTYPED_WBC)), {4: 0}, [0, 1, 2, 3], id="an-untyped-leukocyte-is-matched"),
        pytest.param(
            target((200, 200, 220, 220, UNTYPED_NEUTROPHIL)), {4: 0}, [0, 1, 2, 3], id="an-untyped-neutrophil-is-matched"
        ),
        pytest.param(
            target((0, 0, 30, 30, IGNORE)), {}, [3, 4], id="inside-an-ignored-region-nothing-is-trained-around-it-all-is"
        ),
        pytest.param(
            target((0, 0, 30, 30, IGNORE), (0, 0, 20, 20, 3)),
            {0: 1, 1: 1},
            [3, 4],
            id="a-marked-cell-in-an-ignored-region-is-trained",
        ),
        pytest.param(target(), {}, [0, 1, 2, 3, 4], id="an-empty-field-is-background-everywhere"),
        pytest.param(target((100, 0, 120, 20, 3)), {}, [0, 1, 2, 3, 4], id="a-cell-that-no-box-touches-is-no-ones"),
    ],
)
def test_matching(cells: Targets, matched: dict[int, int], negative: list[int]) -> None:
    found = match(PRIORS, cells, SIZE_PX)
    assert dict(zip(found.prior.tolist(), found.cell.tolist(), strict=True)) == matched
    assert torch.nonzero(found.negative).flatten().tolist() == negative


REAL = default_boxes(Ssd300.grids, Ssd300.ratios, 0.2, 0.9, 300)

cell_rows = st.tuples(st.floats(0, 260), st.floats(0, 260), st.floats(15, 80), st.floats(15, 80), st.integers(-3, 14))
fields = st.lists(cell_rows, max_size=6).map(lambda rows: target(*((x, y, x + w, y + h, k) for x, y, w, h, k in rows)))


@settings(max_examples=40)
@given(cells=fields)
def test_every_cell_is_matched_no_ignored_one_is_and_the_count_is_what_the_loss_uses(cells: Targets) -> None:
    found = match(REAL, cells, SIZE_PX)
    assert set(found.cell.tolist()) == set(torch.nonzero(cells.labels != IGNORE).flatten().tolist())
    assert not found.negative[found.prior].any()
    count = len(found.prior)
    typed = int((cells.labels[found.cell] >= 0).sum())
    neutrophils = int((cells.labels[found.cell] == UNTYPED_NEUTROPHIL).sum())
    terms = ssd_loss(REAL, torch.zeros(1, len(REAL), 4), torch.zeros(1, len(REAL), 1 + C), [cells], SIZE_PX)
    # Equal logits say 1/16 for everything, so the sums count boxes.
    expected = count * math.log(16) - (count - typed - neutrophils) * math.log(N_WBC) - neutrophils * math.log(2)
    assert float(terms["class"]) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    chosen = min(max(LEAST_NEGATIVES, 3 * count), int(found.negative.sum()))
    assert float(terms["background"]) == pytest.approx(chosen * math.log(16), rel=1e-4)


def perfect(boxes: torch.Tensor, cells: Targets, sharpness: float = 16.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Offsets and logits that say exactly what `cells` hold."""
    offsets, logits = torch.zeros(1, len(boxes), 4), torch.zeros(1, len(boxes), 1 + C)
    found = match(boxes, cells, SIZE_PX)
    offsets[0, found.prior] = encode(cells.boxes[found.cell], boxes[found.prior])
    said = torch.zeros(len(boxes), dtype=torch.long)
    said[found.prior] = 1 + cells.labels[found.cell]
    logits[0, torch.arange(len(boxes)), said] = sharpness
    return offsets, logits


CELL = target((0, 0, 20, 20, 3))


@pytest.mark.parametrize(
    ("where", "change", "term", "expected"),
    [
        pytest.param("offsets", {(0, 0): 0.5}, "box", 0.125, id="a-small-offset-costs-half-its-square"),
        pytest.param("offsets", {(0, 2): 2.0, (1, 3): -3.0}, "box", 4.0, id="a-large-one-its-size-less-one-half"),
        pytest.param("offsets", {(4, 0): 9.0}, "box", 0.0, id="the-offset-of-background-costs-nothing"),
        pytest.param("logits", {(0, 4): 0.0, (0, 5): 16.0}, "class", 16.0, id="another-class"),
        pytest.param("logits", {(0, 4): 0.0, (0, 0): 16.0}, "class", 16.0, id="a-missed-cell"),
        pytest.param("logits", {(4, 0): 0.0, (4, 9): 16.0}, "background", 16.0, id="a-cell-seen-where-none-is"),
    ],
)
def test_each_mistake_costs_its_own_term(where: str, change: dict[tuple[int, int], float], term: str, expected: float) -> None:
    offsets, logits = perfect(PRIORS, CELL)
    raw = offsets if where == "offsets" else logits
    for (prior, column), value in change.items():
        raw[0, prior, column] = raw[0, prior, column] + value if where == "offsets" else value
    terms = {name: float(value) for name, value in ssd_loss(PRIORS, offsets, logits, [CELL], SIZE_PX).items()}
    assert terms.pop(term) == pytest.approx(expected, abs=1e-3)
    assert max(terms.values()) < 1e-3


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param(target(), LEAST_NEGATIVES, id="an-empty-field-trains-the-least-number"),
        pytest.param(target((0, 0, 20, 20, 3)), LEAST_NEGATIVES, id="so-does-one-with-few-matches"),
        pytest.param(target(*((40 * k, 40, 40 * k + 20, 60, 3) for k in range(12))), 36, id="three-for-each-positive"),
        pytest.param(target(*((40 * k, 40, 40 * k + 20, 60, 3) for k in range(40))), 60, id="all-where-fewer-are-left"),
    ],
)
def test_the_worst_negatives_are_chosen_within_the_image(cells: Targets, expected: int) -> None:
    boxes = priors(*((40 * k, 40 * row, 40 * k + 20, 40 * row + 20) for row in (0, 1) for k in range(50)))
    loud = torch.zeros(2, len(boxes), 1 + C)
    loud[:, :, 1] = torch.linspace(-4, 4, len(boxes)).flip(0)
    free = match(boxes, cells, SIZE_PX).negative
    worst = (loud[0].logsumexp(dim=1) - loud[0, :, 0])[free].sort(descending=True).values[:expected]
    assert len(worst) == expected
    offsets = torch.zeros(2, len(boxes), 4)
    alone = ssd_loss(boxes, offsets[:1], loud[:1], [cells], SIZE_PX)
    assert float(alone["background"]) == pytest.approx(float(worst.sum()), rel=1e-5)
    # A neighbour in the batch changes nothing: a batch may be cut into parts.
    crowded = target(*((40 * k, 40, 40 * k + 20, 60, 3) for k in range(20)))
    other, both = (
        ssd_loss(boxes, offsets[1:], loud[1:], [crowded], SIZE_PX),
        ssd_loss(boxes, offsets, loud, [cells, crowded], SIZE_PX),
    )
    for name, value in both.items():
        assert float(value) == pytest.approx(float(alone[name]) + float(other[name]), rel=1e-5)


@pytest.mark.parametrize(
    ("label", "right", "wrong"),
    [
        pytest.param(INDEX["monocyte"], ["monocyte"], ["lymphocyte", "nrbc", "background"], id="a-known-type-is-only-that"),
        pytest.param(UNTYPED_WBC, ["blast", "basophil"], ["nrbc", "smudge", "background"], id="any-leukocyte-and-nothing-else"),
        pytest.param(
            UNTYPED_NEUTROPHIL,
            ["neutrophil_band", "neutrophil_segmented"],
            ["eosinophil", "metamyelocyte", "background"],
            id="band-or-segmented-and-no-other-leukocyte",
        ),
    ],
)
def test_a_label_trains_the_sum_of_what_the_cell_may_be(label: int, right: list[str], wrong: list[str]) -> None:
    def cost(name: str) -> float:
        logits = torch.zeros(1, 1 + C)
        logits[0, 0 if name == "background" else 1 + INDEX[name]] = 10.0
        return float(class_loss(logits, torch.tensor([label])))

    assert all(cost(name) < 0.01 for name in right) and all(cost(name) > 5 for name in wrong)


def test_two_types_that_a_cell_may_be_are_as_good_as_one() -> None:
    logits = torch.full((1, 1 + C), -20.0)
    logits[0, [1 + INDEX["neutrophil_band"], 1 + INDEX["neutrophil_segmented"]]] = 20.0
    logits.requires_grad_()
    loss = class_loss(logits, torch.tensor([UNTYPED_NEUTROPHIL]))
    loss.backward()
    assert (
        float(loss.detach()) == pytest.approx(0, abs=1e-6) and logits.grad is not None and float(logits.grad.abs().max()) < 1e-6
    )


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        pytest.param((0, 0, 30, 30), 0.0, id="inside-it-costs-nothing"),
        pytest.param((200, 200, 220, 220), 32.0, id="elsewhere-both-boxes-cost"),
    ],
)
def test_a_cell_that_is_seen_in_an_ignored_region(region: tuple[float, float, float, float], expected: float) -> None:
    offsets, logits = perfect(PRIORS, CELL)
    terms = ssd_loss(PRIORS, offsets, logits, [target((*region, IGNORE))], SIZE_PX)
    assert float(torch.stack(list(terms.values())).sum()) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("cells", "trained"),
    [
        pytest.param(target(), LEAST_NEGATIVES, id="fields-without-cells-train-background-only"),
        pytest.param(target((0, 0, SIZE_PX, SIZE_PX, IGNORE)), 0, id="a-field-ignored-whole-trains-nothing-at-its-corners-too"),
    ],
)
def test_a_batch_without_any_cell(cells: Targets, trained: int) -> None:
    offsets = torch.randn(2, len(REAL), 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = torch.randn(2, len(REAL), 1 + C, generator=torch.Generator().manual_seed(1)).requires_grad_()
    torch.stack(list(ssd_loss(REAL, offsets, logits, [cells, cells], SIZE_PX).values())).sum().backward()
    assert offsets.grad is not None and not offsets.grad.any()
    assert logits.grad is not None and [int(x.any(dim=1).sum()) for x in logits.grad] == [trained, trained]


def test_what_the_border_left_of_a_cell_is_ignored_by_boxes_that_reach_over_it() -> None:
    reaching_over = priors((-40, 100, 20, 160))  # a third of it is in the image, all of that in the region
    assert not match(reaching_over, target((0, 95, 25, 165, IGNORE)), SIZE_PX).negative.any()


def test_more_cells_than_boxes_leave_cells_without_one() -> None:
    found = match(PRIORS, target(*((0, 0, 20 + k, 20, k) for k in range(8))), SIZE_PX)
    assert len(set(found.prior.tolist())) == len(found.prior) == 4  # the fifth is far away
    assert len(set(found.cell.tolist())) == 4


@pytest.mark.parametrize("label", [0, UNTYPED_WBC, UNTYPED_NEUTROPHIL])
@pytest.mark.parametrize("loud", [1e4, -1e4])
def test_wild_logits_have_a_finite_loss_and_gradient(label: int, loud: float) -> None:
    logits = torch.zeros(1, 1 + C)
    logits[0, ::2] = loud
    logits.requires_grad_()
    loss = class_loss(logits, torch.tensor([label]))
    loss.backward()
    assert torch.isfinite(loss) and logits.grad is not None and torch.isfinite(logits.grad).all()
