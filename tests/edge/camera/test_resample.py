"""The fit keeps scale, loses no pixel, and brings boxes back to where they were."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.camera.resample import FitPlan, background_of, plan_fit
from edge.contracts.errors import ConfigError

pytestmark = pytest.mark.timeout(30)
UM, WIDTH, HEIGHT = 0.13, 732, 574
CELL_PX = 20.0 / UM

plans = st.builds(
    lambda width_um, height_um, um: plan_fit(round(width_um / um), round(height_um / um), um, UM, WIDTH, HEIGHT),
    st.floats(10.2, 340),
    st.floats(10.2, 270),
    st.floats(0.05, 0.25),
)
"""Frames from a tenth of the field to over three times its size each way, at any usual scale."""


def slots_for(plan: FitPlan) -> np.ndarray:
    return np.zeros((plan.n_tiles, plan.engine_height_px, plan.engine_width_px, 3), np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "um", "engine", "n_tiles", "untouched"),
    [
        pytest.param(732, 574, 0.13, (732, 574), 1, True, id="the bundle's own field"),
        pytest.param(720, 576, 0.13, (720, 576), 1, True, id="1.6 % narrower: the engine takes the camera's size"),
        pytest.param(732, 574, 0.132, (732, 574), 1, True, id="1.5 % coarser"),
        pytest.param(732, 574, 0.134, (732, 574), 4, False, id="3 % coarser is enlarged, and no longer fits one frame"),
        pytest.param(640, 480, 0.073, (732, 574), 1, False, id="finer and smaller: shrunk and centred"),
        pytest.param(
            1280, 1024, 0.0742, (731, 584), 1, False, id="finer, of nearly the same view: shrunk, the engine takes its size"
        ),
        pytest.param(1600, 574, 0.13, (732, 574), 3, False, id="wider: a row of tiles"),
        pytest.param(1464, 1148, 0.13, (732, 574), 9, False, id="twice as large each way"),
        pytest.param(1600, 300, 0.13, (732, 574), 3, False, id="a row of tiles, centred in height"),
    ],
)
def test_how_a_frame_reaches_the_graph(
    width: int, height: int, um: float, engine: tuple[int, int], n_tiles: int, untouched: bool
) -> None:
    plan = plan_fit(width, height, um, UM, WIDTH, HEIGHT)
    assert (plan.engine_width_px, plan.engine_height_px) == engine
    assert (plan.n_tiles, plan.is_untouched) == (n_tiles, untouched)
    assert ("cut into" in plan.summary) is (n_tiles > 1) and f"{width} x {height} px" in plan.summary
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    slots = slots_for(plan)
    address = slots.ctypes.data
    plan.write(image, list(slots))
    assert slots.ctypes.data == address and slots.any(axis=(1, 2, 3)).all(), "every slot is written, in place"
    if untouched:
        np.testing.assert_array_equal(slots[0], image)


@given(plan=plans, data=st.data())
@settings(max_examples=150, deadline=None)
def test_boxes_return_to_the_frame(plan: FitPlan, data: st.DataObject) -> None:
    """Take a cell of the frame to a tile by the plan's own statement of where tiles lie, and back."""
    tile = data.draw(st.integers(0, plan.n_tiles - 1))
    corners = np.array([[0, 0, plan.engine_width_px, plan.engine_height_px]], np.float32)
    x1, y1, x2, y2 = plan.to_frame(corners, tile)[0]
    box = data.draw(st.tuples(*(st.floats(0, 1) for _ in range(4))))
    inside = np.array([[x1 + box[0] * (x2 - x1), y1 + box[1] * (y2 - y1), x1 + box[2] * (x2 - x1), y1 + box[3] * (y2 - y1)]])
    to_tile = np.array([plan.engine_width_px / (x2 - x1), plan.engine_height_px / (y2 - y1)] * 2)
    there = ((inside - [x1, y1, x1, y1]) * to_tile).astype(np.float32)
    back = plan.to_frame(there, tile)
    np.testing.assert_allclose(plan.to_tile(back, tile), there, atol=1e-2)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, inside, atol=0.5)


@given(plan=plans)
@settings(max_examples=150, deadline=None)
def test_every_pixel_is_in_a_tile_and_every_cell_whole_in_one(plan: FitPlan) -> None:
    whole_frame = np.array([[0, 0, plan.engine_width_px, plan.engine_height_px]], np.float32)
    tiles = np.array([plan.to_frame(whole_frame, tile)[0] for tile in range(plan.n_tiles)])
    for low, high, size, engine in ((0, 2, plan.width_px, plan.engine_width_px), (1, 3, plan.height_px, plan.engine_height_px)):
        spans = sorted({(float(tile[low]), float(tile[high])) for tile in tiles})
        assert spans[0][0] <= 0.01 and spans[-1][1] >= size - 0.01
        per_px = engine / (spans[0][1] - spans[0][0])
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert (end - start) * per_px >= CELL_PX - 1.0, "a cell on the seam would be whole in neither tile"


@pytest.mark.parametrize(
    ("width", "height", "um"),
    [
        pytest.param(732, 574, 0.13, id="untouched"),
        pytest.param(640, 480, 0.073, id="shrunk and centred"),
        pytest.param(500, 400, 0.2, id="enlarged"),
        pytest.param(1600, 1200, 0.13, id="tiled without resampling"),
        pytest.param(1920, 1200, 0.1, id="resampled and tiled"),
    ],
)
def test_a_cell_in_the_pixels_is_found_where_its_box_says(width: int, height: int, um: float) -> None:
    """Ink a disc, look for it in every slot's pixels, map its extent back."""
    plan = plan_fit(width, height, um, UM, WIDTH, HEIGHT)
    radius = round(5.0 / um)
    for cx, cy in ((width // 2 + 3, height // 2 + 1), (radius + 2, radius + 2), (width - radius - 2, height - radius - 2)):
        image = np.full((height, width, 3), 230, np.uint8)
        cv2.circle(image, (cx, cy), radius, (20, 20, 20), -1)
        slots = slots_for(plan)
        plan.write(image, list(slots))
        found = 0
        for tile, slot in enumerate(slots):
            ys, xs = np.nonzero(slot[..., 0] < 125)
            if not len(xs) or any(
                inner and near for inner, near in zip(plan.inner_borders(tile), _touching(xs, ys, plan), strict=True)
            ):
                continue
            box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
            expected = [cx - radius, cy - radius, cx + radius + 1, cy + radius + 1]
            np.testing.assert_allclose(plan.to_frame(box, tile)[0], expected, atol=max(1.0, UM / um))
            found += 1
        assert found >= 1


def _touching(xs: np.ndarray, ys: np.ndarray, plan: FitPlan) -> tuple[bool, bool, bool, bool]:
    return bool(xs.min() == 0), bool(ys.min() == 0), xs.max() == plan.engine_width_px - 1, ys.max() == plan.engine_height_px - 1


def test_a_small_field_lies_on_its_own_background() -> None:
    image = np.full((300, 400, 3), (225, 215, 230), np.uint8)
    cv2.circle(image, (200, 150), 90, (90, 40, 120), -1)
    plan = plan_fit(400, 300, UM, UM, WIDTH, HEIGHT)
    slots = slots_for(plan)
    plan.write(image, list(slots))
    np.testing.assert_array_equal(slots[0, 0, 0], (225, 215, 230))
    np.testing.assert_array_equal(slots[0, 137:437, 166:566], image)
    np.testing.assert_array_equal(background_of(image), (225, 215, 230))


@pytest.mark.parametrize(
    ("width", "height", "um"),
    [
        pytest.param(4000, 3000, 1.3, id="um/px ten times too large"),
        pytest.param(100, 80, 0.001, id="nothing would remain"),
        pytest.param(640, 480, 0.0073, id="um/px ten times too small: no leukocyte fits into the field"),
        pytest.param(7320, 70, 0.13, id="a strip that is narrower than a leukocyte"),
    ],
)
def test_scales_that_cannot_be_right_are_refused(width: int, height: int, um: float) -> None:
    with pytest.raises(ConfigError, match="check the um/px you gave"):
        plan_fit(width, height, um, UM, WIDTH, HEIGHT)
