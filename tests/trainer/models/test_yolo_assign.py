"""Which prior a cell trains: hand-made cases on a 64 px image with grids of 16 and 32 px."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.yolo_cases import GRIDS, HEADS, cells, place_of

from trainer.data.annotation import IGNORE
from trainer.models.detector import Targets
from trainer.models.yolo_loss import assign, background, shape_iou

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
