"""um/px from stage moves: right to a fifth of a per cent, or a sentence."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.micrometer_scene import Scene, draw_scene
from support.moved_fields import moved

from calib.stage_moves import StageImage, measure_moves
from edge.contracts.errors import DataError

WITHIN = 0.002
CROSS = [(0.0, 0.0), (20.0, 0.0), (0.0, 15.0), (-18.0, -9.0)]


@pytest.mark.parametrize(
    ("images", "um_per_px"),
    [
        pytest.param(lambda: moved(CROSS), 0.13, id="four positions"),
        pytest.param(lambda: moved(CROSS[:2]), 0.13, id="one move"),
        pytest.param(lambda: moved([(0, 0), (10, 10), (20, 20)]), 0.13, id="along one line"),
        pytest.param(lambda: moved(CROSS, turned_deg=-35), 0.13, id="a camera turned far"),
        pytest.param(lambda: moved(CROSS, turned_deg=178), 0.13, id="a camera upside down"),
        pytest.param(lambda: moved(CROSS, backlash_um=0.01), 0.13, id="a stage that repeats to 10 nm"),
        pytest.param(lambda: moved([(x * 5, y * 5) for x, y in CROSS], um_per_px=0.65), 0.65, id="low power"),
    ],
)
def test_the_scale_is_right(images: object, um_per_px: float) -> None:
    found = measure_moves(images())  # type: ignore[operator]
    assert found.um_per_px == pytest.approx(um_per_px, rel=WITHIN)
    assert found.standard_error < WITHIN * um_per_px * 1.5


def _blank() -> list[StageImage]:
    return [StageImage(str(at), np.full((360, 480, 3), 200, np.uint8), 10.0 * at, 0) for at in range(2)]


def _stretched() -> list[StageImage]:
    return [replace(each, image=np.asarray(cv2.resize(each.image, (480, 450)), np.uint8)) for each in moved(CROSS)]


def _repeating() -> list[StageImage]:
    lines = np.minimum(
        draw_scene(Scene(ticks_px=(3000, 3000, 3000), top_px=-1500, rotation_deg=0)),
        draw_scene(Scene(ticks_px=(3000, 3000, 3000), top_px=-1500, rotation_deg=90)),
    )
    return [StageImage(str(at), np.ascontiguousarray(lines[:400, 100 * at : 500 + 100 * at]), 10.0 * at, 0) for at in range(2)]


@pytest.mark.parametrize(
    ("images", "says"),
    [
        pytest.param(lambda: moved(CROSS[:1]), "one position is no move", id="one image"),
        pytest.param(lambda: moved([(0, 0), (2, 0)]), "must be between", id="too small a move"),
        pytest.param(lambda: moved([(0, 0), (75, 0)]), "do not show one another", id="nothing is seen twice"),
        pytest.param(lambda: moved([(0, 0), (0, 0)]), "one stage position", id="no move"),
        pytest.param(_blank, "no detail", id="empty fields"),
        pytest.param(_repeating, "do not show one another", id="a grid"),
        pytest.param(lambda: moved(CROSS, backlash_um=1.5), "do not agree", id="backlash"),
        pytest.param(_stretched, "in another", id="pixels that are not square"),
        pytest.param(
            lambda: [replace(each, x_um=2 * each.x_um) for each in moved(CROSS)], "in another", id="an axis in other units"
        ),
        pytest.param(
            lambda: [*moved(CROSS[:2]), replace(moved(CROSS)[2], image=moved(CROSS)[2].image[:300])],
            "different sizes",
            id="sizes",
        ),
        pytest.param(
            lambda: [moved(CROSS)[0], replace(moved(CROSS, turned_deg=9)[1])],
            "moved differently|do not show",
            id="turned between",
        ),
    ],
)
def test_what_cannot_be_told_is_one_sentence(images: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        measure_moves(images())  # type: ignore[operator]
