"""Light and colours on the way into a slot: the same whatever the fit does with the frame, and the exact values."""

import cv2
import numpy as np
import pytest

from edge.camera.colour_transform import balance, gains_table
from edge.camera.correction import Correction, light_at
from edge.camera.resample import background_of, plan_fit
from edge.contracts.detections import Image

pytestmark = pytest.mark.timeout(20)

TABLE = np.asarray(np.stack([np.arange(256), np.arange(256) // 2, 255 - np.arange(256)], axis=1), np.uint8)
DIMMER = tuple(((1.0, 0.5), (1.0, 0.5)) for _ in range(3))
"""Full light at the left border, half of it at the right one."""


def picture(width_px: int, height_px: int) -> Image:
    return np.random.default_rng(3).integers(40, 120, (height_px, width_px, 3), np.uint8)


@pytest.mark.parametrize(
    ("width_px", "height_px", "um_per_px"),
    [
        pytest.param(160, 128, 0.13, id="untouched: one pass from the frame into the slot"),
        pytest.param(320, 256, 0.065, id="resampled"),
        pytest.param(100, 90, 0.13, id="smaller: what is around it is background after the correction"),
        pytest.param(420, 300, 0.13, id="tiles, each with its part of the light"),
        pytest.param(420, 90, 0.13, id="tiles one way, background the other"),
        pytest.param(420, 300, 0.1, id="tiles of what was resampled"),
    ],
)
@pytest.mark.parametrize(
    "correction",
    [
        pytest.param(Correction(table=TABLE), id="colours"),
        pytest.param(Correction(shade=DIMMER), id="light"),
        pytest.param(Correction(shade=DIMMER, table=TABLE), id="light, then colours"),
    ],
)
def test_every_way_into_a_slot_is_corrected_alike(
    width_px: int, height_px: int, um_per_px: float, correction: Correction
) -> None:
    """Against the plain fit, whose tiles are corrected by hand."""
    image = picture(width_px, height_px)
    asked = (width_px, height_px, um_per_px, 0.13, 160, 128)
    plain, corrected = plan_fit(*asked), plan_fit(*asked, correction=correction)
    shape = (plain.n_tiles, plain.engine_height_px, plain.engine_width_px, 3)
    before, after = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    plain.write(image.copy(), list(before))
    corrected.write(image.copy(), list(after))
    x, y = plain._x, plain._y
    light = light_at(correction.shade, x.scaled, y.scaled) if correction.shade else np.ones((y.scaled, x.scaled, 3))
    for number, (x0, y0) in enumerate(plain._origins):
        inside = plain._inside(before[number]).astype(float)
        height, width = inside.shape[:2]
        wanted = inside / light[y0 : y0 + height, x0 : x0 + width]
        if correction.table is not None:
            levels = np.rint(wanted).clip(0, 255).astype(np.uint8)
            wanted = np.take_along_axis(correction.table, levels.reshape(-1, 3), axis=0).reshape(levels.shape).astype(float)
        got = plain._inside(after[number])
        assert np.abs(got - wanted).max() <= 2, "a gain is exact to a half of 1/128"
        if got.shape != after[number].shape:
            assert (after[number][0, 0] == background_of(got)).all() or (after[number][-1, -1] == background_of(got)).all()


@pytest.mark.parametrize(
    ("height_px", "width_px"),
    [
        pytest.param(574, 732, id="the reference's field"),
        pytest.param(101, 33, id="an odd number of pixels"),
        pytest.param(64, 33, id="odd rows"),
        pytest.param(1, 1, id="one"),
    ],
)
def test_pairs_plane_by_plane_are_what_three_channels_at_once_would_be(height_px: int, width_px: int) -> None:
    image = np.random.default_rng(5).integers(0, 256, (height_px, width_px, 3), np.uint8)
    wide = np.zeros((600, 800, 3), np.uint8)
    inside = wide[10 : 10 + height_px, 20 : 20 + width_px]  # as the part of a slot that shows a smaller field
    Correction(table=TABLE).apply(image, inside, None)
    assert np.array_equal(inside, cv2.LUT(image, TABLE[None]))
    wide[10 : 10 + height_px, 20 : 20 + width_px] = 0
    assert not wide.any()


def test_what_is_copied_into_the_slot_already_is_corrected_in_place() -> None:
    image, slot = picture(160, 128), np.zeros((128, 160, 3), np.uint8)
    plan = plan_fit(160, 128, 0.13, 0.13, 160, 128, correction=Correction(shade=DIMMER, table=TABLE))
    plan.write(image, [slot])
    plan.correct(image)
    assert (slot == image).all()


def test_without_a_correction_nothing_changes() -> None:
    image, slot = picture(160, 128), np.zeros((128, 160, 3), np.uint8)
    plan = plan_fit(160, 128, 0.13, 0.13, 160, 128)
    plan.write(image, [slot])
    plan.correct(slot)
    assert (slot == image).all()


def test_light_lies_on_the_borders_and_straight_between() -> None:
    light = light_at((((1.0, 0.8), (0.6, 0.4)),) * 3, 4, 2)
    assert light.shape == (2, 4, 3)
    assert light[0, 0, 0] == pytest.approx(0.75 * (0.875 + 0.125 * 0.8) + 0.25 * (0.875 * 0.6 + 0.125 * 0.4))
    assert light[:, :, 2].mean() == pytest.approx(0.7)


def test_light_below_half_is_raised_no_further_than_two() -> None:
    gains = Correction(shade=(((1.0, 0.3), (1.0, 0.3)),) * 3).gains(50, 2)
    assert gains is not None and gains.max() == 255


@pytest.mark.parametrize(
    ("white", "becomes"),
    [
        pytest.param((200.0, 210.0, 230.0), (210, 210, 210), id="to the middle channel"),
        pytest.param((255.0, 254.0, 100.0), (250, 250, 250), id="no brighter than a pixel can be"),
        pytest.param((180.0, 180.0, 180.0), (180, 180, 180), id="grey stays as it is"),
    ],
)
def test_white_balance(white: tuple[float, float, float], becomes: tuple[int, int, int]) -> None:
    found = balance(white)
    assert [int(found.table[round(level), channel]) for channel, level in enumerate(white)] == pytest.approx(becomes, abs=1)
    assert found.name.startswith("white-1:") and balance(white).name == found.name


def test_a_table_of_gains_ends_where_a_byte_does() -> None:
    table = gains_table(np.array([1.0, 2.0, 0.5]))
    assert table[200].tolist() == [200, 255, 100]
