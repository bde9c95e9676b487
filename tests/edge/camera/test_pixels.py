"""Pixels of every format a camera has become BGR, in place where that is asked for."""

from typing import Any

import numpy as np
import pytest

from edge.camera.frame import Frame, PixelFormat
from edge.camera.pixels import bgr_of, to_bgr

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("pixel_format", "first", "expected"),
    [
        pytest.param("RGB8", [[[1, 2, 3]] * 4] * 4, [3, 2, 1], id="red and blue change places"),
        pytest.param("BGR8", [[[1, 2, 3]] * 4] * 4, [1, 2, 3], id="as it is"),
        pytest.param("Mono8", [[9] * 4] * 4, [9, 9, 9], id="grey"),
        pytest.param("BayerRG8", [[200, 100] * 4, [100, 50] * 4] * 4, [50, 100, 200], id="red first"),
        pytest.param("BayerBG8", [[50, 100] * 4, [100, 200] * 4] * 4, [50, 100, 200], id="blue first"),
        pytest.param("BayerGR8", [[100, 200] * 4, [50, 100] * 4] * 4, [50, 100, 200], id="green, then red"),
        pytest.param("BayerGB8", [[100, 50] * 4, [200, 100] * 4] * 4, [50, 100, 200], id="green, then blue"),
    ],
)
def test_pixels_become_bgr(pixel_format: PixelFormat, first: list[Any], expected: list[int]) -> None:
    pixels = np.array(first, np.uint8)
    assert to_bgr(pixels, pixel_format)[2, 2].tolist() == expected
    slots = np.zeros((3, *pixels.shape[:2], 3), np.uint8)
    to_bgr(pixels, pixel_format, into=slots[1])
    assert slots[1, 2, 2].tolist() == expected, "in place: the slot is written and nothing else"
    assert not slots[[0, 2]].any()
    image = bgr_of(Frame("t", 0, "ok", pixels, 0.13, 0, 0, pixel_format=pixel_format))
    assert image is not None
    assert image[2, 2].tolist() == expected


def test_a_conversion_that_would_not_land_in_the_slot_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be converted into"):
        to_bgr(np.zeros((4, 4), np.uint8), "Mono8", into=np.zeros((4, 5, 3), np.uint8))
