"""SSD's default boxes: how many, where, and what is written relative to them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.models.default_boxes import corners, decode, default_boxes, encode, scales
from trainer.models.ssd import Ssd, Ssd300, Ssd512, per_prior


def boxes_of(ssd: type[Ssd], s_min: float = 0.2) -> torch.Tensor:
    return default_boxes(ssd.grids, ssd.ratios, s_min, 0.9, ssd.size_px)


@pytest.mark.parametrize(
    ("ssd", "count"),
    [
        pytest.param(Ssd300, 8732, id="the-count-of-the-paper-and-of-the-reference"),
        pytest.param(Ssd512, 24564, id="the-count-of-the-paper"),
    ],
)
def test_there_are_exactly_as_many_default_boxes_as_published(ssd: type[Ssd], count: int) -> None:
    assert boxes_of(ssd).shape == (count, 4)


@pytest.mark.parametrize(
    ("n_maps", "s_min", "expected"),
    [
        pytest.param(6, 0.2, [0.1, 0.2, 0.375, 0.55, 0.725, 0.9, 1.075], id="ssd300-of-the-paper"),
        pytest.param(6, 0.1, [0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1], id="ssd300-with-the-references-smaller-boxes"),
        pytest.param(7, 0.2, [0.1, 0.2, 0.34, 0.48, 0.62, 0.76, 0.9, 1.04], id="ssd512-of-the-reference"),
    ],
)
def test_scales_are_even_after_conv4_3_which_has_half_of_the_smallest(n_maps: int, s_min: float, expected: list[float]) -> None:
    assert scales(n_maps, s_min, 0.9) == pytest.approx(expected)


def test_a_place_of_conv4_3_has_two_squares_and_a_lying_and_an_upright_box() -> None:
    third_column_of_second_row = boxes_of(Ssd300)[(1 * 38 + 2) * 4 :][:4]
    x, y, root = 2.5 * 300 / 38, 1.5 * 300 / 38, math.sqrt(2)
    expected = [[x, y, 30, 30], [x, y, 30 * root, 30 * root], [x, y, 30 * root, 30 / root], [x, y, 30 / root, 30 * root]]
    torch.testing.assert_close(third_column_of_second_row, torch.tensor(expected))


def test_a_place_of_fc7_has_six_boxes_and_the_ratio_three_keeps_the_area() -> None:
    first = boxes_of(Ssd300)[38 * 38 * 4 :][:6]
    assert (first[4, 2] / first[4, 3]).item() == pytest.approx(3) and (first[5, 3] / first[5, 2]).item() == pytest.approx(3)
    assert first[[0, 2, 3, 4, 5], 2:].prod(dim=1).tolist() == pytest.approx([60.0 * 60.0] * 5)


def test_outputs_of_a_map_are_laid_out_in_the_order_of_the_boxes() -> None:
    side, per_place = 3, 4
    channels, rows, columns = torch.meshgrid(torch.arange(per_place * 4), torch.arange(side), torch.arange(side), indexing="ij")
    said = per_prior((channels * 100 + rows * 10 + columns)[None], 4)
    boxes = default_boxes((side, 1, 1), ((2.0,), (), ()), 0.2, 0.9, side)[: side * side * per_place]
    for prior in range(len(boxes)):
        box, value = prior % per_place, 2
        assert said[0, prior, value] == (box * 4 + value) * 100 + int(boxes[prior, 1]) * 10 + int(boxes[prior, 0])


REAL = boxes_of(Ssd300)


# From 20 px on no box is over e^3 times the cell, where a size would be cut off on purpose.
@settings(max_examples=50)
@given(x=st.floats(0, 250), y=st.floats(0, 250), w=st.floats(20, 250), h=st.floats(20, 250), prior=st.integers(0, 8731))
def test_decoding_undoes_encoding(x: float, y: float, w: float, h: float, prior: int) -> None:
    cell, box = torch.tensor([[x, y, x + w, y + h]]), REAL[prior : prior + 1]
    torch.testing.assert_close(decode(encode(cell, box)[None], box)[0], cell, atol=0.01, rtol=1e-4)


def test_a_wild_offset_decodes_to_a_finite_box() -> None:
    box = torch.tensor([[150.0, 150.0, 30.0, 30.0]])
    assert torch.isfinite(decode(torch.full((1, 1, 4), 1e4), box)).all()


def test_corners_are_the_outer_edges() -> None:
    assert corners(torch.tensor([[20.0, 30.0, 10.0, 40.0]])).tolist() == [[15.0, 10.0, 25.0, 50.0]]
