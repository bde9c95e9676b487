"""Buffers that are lent, counters that wrap, pixels, and what stands behind the address of a camera."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.camera.frame import Frame, PixelFormat
from edge.camera.industrial.camera_options import CameraOptions, parse_options
from edge.camera.industrial.genicam_device import Lender
from edge.camera.industrial.watchdog import FrameIds
from edge.camera.pixels import bgr_of, to_bgr
from edge.camera.uri import open_source
from edge.contracts.errors import ConfigError

pytestmark = pytest.mark.timeout(30)


def test_a_buffer_is_lent_until_the_last_image_over_it_is_gone() -> None:
    returned: list[int] = []
    lender, images = Lender(4), []
    for number in range(3):
        pixels = np.full((2, 2), number, np.uint8)
        images.append(lender.lend(pixels, number, returned.append))
        del pixels
    assert returned == [2], "half of the driver's buffers are lent; the third frame is a copy"
    assert [int(image[0, 0]) for image in images] == [0, 1, 2]
    part = images[0][:1][None]
    images[0] = np.zeros(1, np.uint8)
    assert returned == [2], "a view needs it still"
    del part
    assert returned == [2, 0]
    assert lender.lent == 1
    with pytest.raises(ValueError, match="directly over a buffer"):
        lender.lend(np.zeros((4, 4), np.uint8)[:2], 9, returned.append)


@given(st.integers(1, 65535), st.lists(st.integers(1, 30_000), max_size=40))
def test_ids_are_unwrapped_whatever_is_missing(first: int, steps: list[int]) -> None:
    ids, true, seen = FrameIds(), first, [first]
    assert ids.unwrap(first) == first
    for step in steps:
        true += step
        seen.append(ids.unwrap((true - 1) % 65535 + 1))
    assert seen[-1] - seen[0] == true - first


def test_ids_of_64_bits_do_not_wrap() -> None:
    ids = FrameIds()
    assert [ids.unwrap(raw) for raw in (65534, 65535, 65536, 65537, 200_000)] == [65534, 65535, 65536, 65537, 200_000]


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


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        pytest.param(",trigger=software", "names no camera", id="no address"),
        pytest.param("10.0.0.1,exposure=5", "`exposure` is not a known key", id="unknown option"),
        pytest.param("10.0.0.1,trigger=sometimes", "`trigger`", id="unknown trigger"),
        pytest.param("10.0.0.1,buffers", "is not NAME=VALUE", id="no value"),
        pytest.param("10.0.0.1,format=YUV422", "`format`", id="a format nobody can read"),
    ],
)
def test_a_mistake_in_the_address_is_one_sentence(rest: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_source(f"aravis:{rest}", 0.13)


@pytest.mark.parametrize(
    ("rest", "address", "lost_s"),
    [
        pytest.param("0", "0", 15.0, id="an index"),
        pytest.param("0,lost_s=3", "0", 3.0, id="an index and an option"),
        pytest.param("rtsp://a:b@host/x?y=1,2,z=3,lost_s=3", "rtsp://a:b@host/x?y=1,2,z=3", 3.0, id="a URL with commas"),
        pytest.param(
            "v4l2src ! video/x-raw,width=640 ! appsink", "v4l2src ! video/x-raw,width=640 ! appsink", 15.0, id="GStreamer"
        ),
    ],
)
def test_options_follow_an_address_that_may_hold_commas(rest: str, address: str, lost_s: float) -> None:
    found, options = parse_options("opencv", rest, CameraOptions, address_pattern=r"\S.*")
    assert (found, options.lost_s) == (address, lost_s)
