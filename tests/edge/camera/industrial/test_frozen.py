"""The very same pixels again and again are no new fields."""

import numpy as np
import pytest

from edge.camera.industrial.camera_device import CameraLost
from edge.camera.industrial.frozen import FrozenStream, is_stand_in

GRAIN = [np.random.default_rng(seed).integers(0, 255, (8, 10, 3), np.uint8) for seed in range(4)]
ONE_BIT = GRAIN[0].copy()
ONE_BIT[3, 3, 1] ^= 1
TALL = np.random.default_rng(9).integers(0, 255, (256, 30, 3), np.uint8)


def clock(number: int, *, blank: bool = False) -> np.ndarray:
    picture = np.full_like(TALL, 255) if blank else TALL.copy()
    picture[:20, :12] = 20 * number
    return picture


COLOUR = np.full((8, 10, 3), (255, 255, 250), np.uint8)


@pytest.mark.parametrize(
    ("frames", "new"),
    [
        pytest.param([0, 1, 2, 3], [True] * 4, id="each another"),
        pytest.param([0, 0, 1, 1, 2], [True, False, True, False, True], id="it goes on in between"),
        pytest.param([0, ONE_BIT, 1], [True] * 3, id="one bit is noise"),
        pytest.param([0, 1, 0, 1], [True, True, False, False], id="two in turn"),
        pytest.param([0, 1, 2, 0, 1], [True] * 3 + [False] * 2, id="a ring"),
        pytest.param([0, COLOUR, 0], [True, True, False], id="a blank in between"),
        pytest.param([clock(0), clock(1), clock(2)], [True, False, False], id="a clock goes on in a picture that stands"),
        pytest.param([clock(0, blank=True), clock(1, blank=True)], [True] * 2, id="a clock on a blank"),
        pytest.param([COLOUR] * 9, [True] * 9, id="one constant: overexposed"),
        pytest.param([GRAIN[0][..., 0], GRAIN[0][..., 0]], [True, False], id="one value per pixel"),
        pytest.param([GRAIN[0][::-1], GRAIN[0][::-1]], [True, False], id="memory of any order"),
    ],
)
def test_what_is_new(frames: list[int | np.ndarray], new: list[bool]) -> None:
    stream = FrozenStream("camera", 3)
    assert [not stream.look(GRAIN[frame] if isinstance(frame, int) else frame) for frame in frames] == new


def test_after_so_many_the_camera_is_lost() -> None:
    stream = FrozenStream("camera", 3)
    assert not stream.look(GRAIN[0])
    assert stream.look(GRAIN[0]) and stream.has_just_begun
    assert stream.look(GRAIN[0]) and not stream.has_just_begun
    with pytest.raises(CameraLost, match="the very same pixels 4 times in a row"):
        stream.look(GRAIN[0])
    stream.begin()
    assert not stream.look(GRAIN[0])


@pytest.mark.parametrize(
    ("model", "is_one"),
    [("Emulation", True), ("Fake", True), ("TLSimuMono", True), ("Viky", True), ("acA1920-40uc", False), ("", False)],
)
def test_programs_that_stand_in_for_a_camera_may_repeat_themselves(model: str, is_one: bool) -> None:
    assert is_stand_in({"model": model}) is is_one
