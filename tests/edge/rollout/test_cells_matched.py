"""Which cells two models have in common: each at most once, the best overlap first, whatever they are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contracts.records import Detection
from edge.rollout.cells_matched import SAME_CELL_IOU, match_cells

Box = tuple[float, float, float, float]


def cell(box: Box, label: str = "lymphocyte") -> Detection:
    size = (1.0, 1.0)
    return Detection(label=label, best_class=label, is_wbc=True, score=0.9, presence=0.9, margin=0.5, box_px=box, size_um=size)


A, B = (0.0, 0.0, 10.0, 10.0), (100.0, 0.0, 110.0, 10.0)
CASES = [
    pytest.param([], [], [], id="no cell at all"),
    pytest.param([A], [], [], id="one without a counterpart"),
    pytest.param([A, B], [B, A], [(0, 1), (1, 0)], id="the order means nothing"),
    pytest.param([A], [(0.0, 0.0, 10.0, 5.0)], [(0, 0)], id="half of it is enough"),
    pytest.param([A], [(0.0, 0.0, 10.0, 4.9)], [], id="less is not"),
    pytest.param([A], [(2.0, 0.0, 12.0, 10.0), (1.0, 0.0, 11.0, 10.0)], [(0, 1)], id="the nearer of two"),
    pytest.param([(0.0, 0.0, 10.0, 10.0), (2.0, 0.0, 12.0, 10.0)], [(2.0, 0.0, 12.0, 10.0)], [(1, 0)], id="of two, the nearer"),
    pytest.param([(5.0, 5.0, 5.0, 5.0)], [(5.0, 5.0, 5.0, 5.0)], [], id="a box without area is nobody's"),
]


@pytest.mark.parametrize(("first", "second", "pairs"), CASES)
def test_pairs(first: list[Box], second: list[Box], pairs: list[tuple[int, int]]) -> None:
    found = match_cells([cell(box) for box in first], [cell(box, "eosinophil") for box in second])
    assert sorted(found.pairs) == pairs
    assert found.only_first == [k for k in range(len(first)) if k not in {a for a, _ in pairs}]
    assert found.only_second == [k for k in range(len(second)) if k not in {b for _, b in pairs}]


BOXES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(1, 20)), max_size=8)


@given(BOXES, BOXES)
def test_no_cell_is_paired_twice_and_none_is_lost(first: list[tuple[int, ...]], second: list[tuple[int, ...]]) -> None:
    def cells(boxes: list[tuple[int, ...]]) -> list[Detection]:
        return [cell((float(x), float(y), float(x + w), float(y + h))) for x, y, w, h in boxes]

    one, other = cells(first), cells(second)
    found, turned = match_cells(one, other), match_cells(other, one)
    assert sorted([a for a, _ in found.pairs] + found.only_first) == list(range(len(one)))
    assert sorted([b for _, b in found.pairs] + found.only_second) == list(range(len(other)))
    assert all(iou >= SAME_CELL_IOU for iou in found.ious) and found.ious == sorted(found.ious, reverse=True)
    assert len(turned.pairs) == len(found.pairs) or len(set(found.ious)) < len(found.ious), "unless there are ties"
    assert [pair for pair in match_cells(one, one).ious] == [1.0] * len(one) or len(set(first)) < len(first)
