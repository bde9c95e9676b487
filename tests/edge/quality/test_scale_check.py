"""A scale that cannot be right is doubted, by the cells that were counted and by those that were not; a right one never is."""

import cv2
import numpy as np
import pytest

from edge.contracts.detections import Image
from edge.contracts.records import Detection
from edge.postprocess import Findings
from edge.quality.scale_check import AT_FIRST, THEN_EVERY, ScaleCheck, nucleus_px

SLIDE, RED_CELL, NUCLEUS = (235, 225, 225), (150, 130, 200), (130, 40, 90)
RIGHT_UM_PER_PX = 0.13
NUCLEUS_PX = 60
"""7.8 um at the right scale."""


def cell(size_um: float, is_wbc: bool = True, at_border: bool = False) -> Detection:
    label = "lymphocyte" if is_wbc else "platelet_giant"
    return Detection(
        label=label,
        best_class=label,
        is_wbc=is_wbc,
        score=0.9,
        presence=0.9,
        margin=0.9,
        box_px=(0, 0, 2, 2),
        size_um=(size_um, size_um),
        touches_border=at_border,
    )


def field(diameter_px: int = 0, at: tuple[int, int] = (320, 240), slide: tuple[int, int, int] = SLIDE) -> Image:
    """A field with red cells, and a nucleus of that size unless it is 0."""
    image = np.full((480, 640, 3), slide, np.uint8)
    for x in range(40, 640, 110):
        cv2.circle(image, (x, 90), 28, RED_CELL, -1)
    if diameter_px:
        cv2.circle(image, at, diameter_px // 2, NUCLEUS, -1)
    return image


def doubts(um_per_px: float, fields: list[tuple[Image, list[Detection]]]) -> tuple[str, ...]:
    check = ScaleCheck(um_per_px)
    for number, (image, cells) in enumerate(fields):
        check.look(f"t{number}", image)
        check.counted(f"t{number}", Findings(tuple(cells), {}, overflow=False))
    return check.doubts()


EMPTY, SHOWN = field(), field(NUCLEUS_PX)
WRONG_CELLS, WRONG_NUCLEI, MISSED = "have a median diameter of", "the dark nuclei in", "show a dark nucleus"


@pytest.mark.parametrize(
    ("um_per_px", "fields", "says"),
    [
        pytest.param(0.13, [(SHOWN, [cell(13.0)])] * 20, [], id="leukocytes of their own size"),
        pytest.param(0.13, [(SHOWN, [cell(1.3)])] * 20, [WRONG_CELLS], id="far too small"),
        pytest.param(0.13, [(SHOWN, [cell(26.0)])] * 20, [WRONG_CELLS], id="the scale of another objective"),
        pytest.param(0.13, [(SHOWN, [cell(1.3)])] * 4, [], id="too few to judge"),
        pytest.param(0.13, [(SHOWN, [cell(13.0), cell(2.0, is_wbc=False)])] * 20, [], id="platelets are small"),
        pytest.param(0.13, [(SHOWN, [cell(13.0), cell(2.0, at_border=True)])] * 20, [], id="cells cut by the border"),
        pytest.param(1.3, [(SHOWN, [cell(13.0)])] * 20, [WRONG_NUCLEI], id="red cells counted as leukocytes"),
        pytest.param(0.013, [(SHOWN, [])] * 20, [WRONG_NUCLEI, MISSED], id="nothing found at a scale ten times too small"),
        pytest.param(0.065, [(SHOWN, [])] * 20, [MISSED], id="nothing found at half the scale"),
        pytest.param(0.13, [(SHOWN, [])] * 18 + [(SHOWN, [cell(13.0)])] * 22, [], id="some are missed on any slide"),
        pytest.param(0.013, [(EMPTY, [])] * 40, [], id="a smear without leukocytes shows nothing"),
        pytest.param(0.013, [(SHOWN, [])] * 8 + [(EMPTY, [])] * 40, [], id="four dark spots are dirt"),
        pytest.param(0.013, [(EMPTY, [])] * 2000 + [(SHOWN, [])] * 112, [], id="a fold in one corner of a slide"),
        pytest.param(0.13, [], [], id="no field at all"),
    ],
)
def test_what_cannot_be_right_is_said(um_per_px: float, fields: list[tuple[Image, list[Detection]]], says: list[str]) -> None:
    found = doubts(um_per_px, fields)
    assert len(found) == len(says)
    assert all(words in sentence for words, sentence in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("image", "diameter_px"),
    [
        pytest.param(SHOWN, NUCLEUS_PX, id="a nucleus"),
        pytest.param(EMPTY, 0, id="red cells are no nuclei"),
        pytest.param(field(NUCLEUS_PX, slide=(255, 255, 255)), NUCLEUS_PX, id="an overexposed slide"),
        pytest.param(field(20), 0, id="a platelet"),
        pytest.param(field(NUCLEUS_PX, at=(5, 240)), 0, id="cut by the border"),
        pytest.param(np.full((480, 640, 3), 40, np.uint8), 0, id="a dark frame has nothing darker than itself"),
        pytest.param(np.zeros((480, 640, 3), np.uint8), 0, id="a black frame"),
        pytest.param(np.full((8, 8, 3), 255, np.uint8), 0, id="a very small one"),
    ],
)
def test_the_largest_dark_spot_is_measured(image: Image, diameter_px: float) -> None:
    assert nucleus_px(image) == pytest.approx(diameter_px, rel=0.1)


def test_few_fields_are_looked_at_and_those_that_fail_afterwards_cost_no_memory() -> None:
    check = ScaleCheck(RIGHT_UM_PER_PX)
    for number in range(AT_FIRST + 1000 * THEN_EVERY):
        check.look(f"t{number}", EMPTY[:12, :12])
    assert len(check._looks) == 256
