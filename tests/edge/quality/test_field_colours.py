"""Colours of a field by what every smear shows, against the colours it was drawn in."""

import cv2
import numpy as np
import pytest
from support.smears import EMPTY, NUCLEUS, RED, smear

from edge.contracts.detections import Image
from edge.quality import colours_of

pytestmark = pytest.mark.timeout(20)

CELLS = ((60, 60, 34), (150, 120, 30))


@pytest.mark.parametrize(
    ("um_per_px", "width_px", "height_px"),
    [
        pytest.param(0.13, 400, 360, id="the scale of most"),
        pytest.param(0.26, 400, 360, id="coarse: looked at as it is"),
        pytest.param(0.065, 1200, 900, id="fine: looked at smaller"),
    ],
)
def test_the_colours_that_were_drawn_are_found(um_per_px: float, width_px: int, height_px: int) -> None:
    field = smear(200, 180, CELLS, seed=5)
    found = colours_of(np.asarray(cv2.resize(field, (width_px, height_px)), np.uint8), um_per_px)
    assert found is not None and found.nuclei is not None
    assert found.empty == pytest.approx(EMPTY, abs=3)
    assert found.red_cells == pytest.approx(RED, abs=6)
    assert found.nuclei == pytest.approx(NUCLEUS, abs=8)
    assert found.saturated.max() < 0.01


@pytest.mark.parametrize(
    ("change", "what"),
    [
        pytest.param(lambda image: image * np.array([0.7, 0.6, 0.8]), "a colour cast", id="cast"),
        pytest.param(lambda image: image * 0.5, "half the light", id="dark"),
        pytest.param(lambda image: 255 * (image / 255) ** 0.6, "a bright gamma", id="gamma"),
    ],
)
def test_they_follow_the_camera(change: object, what: str) -> None:
    changed = np.asarray(change(smear(400, 360, CELLS, seed=6).astype(float)), np.uint8)  # type: ignore[operator]
    found = colours_of(changed, 0.13)
    assert found is not None, what
    wanted = [np.asarray(change(np.array([[colour]], float)))[0, 0] for colour in (EMPTY, RED)]  # type: ignore[operator]
    assert found.empty == pytest.approx(wanted[0], abs=4)
    assert found.red_cells == pytest.approx(wanted[1], abs=7)


def test_an_overexposed_slide_says_so() -> None:
    found = colours_of(np.asarray((smear(400, 360, seed=7) * 1.3).clip(0, 255), np.uint8), 0.13)
    assert found is not None
    assert found.saturated.tolist() == pytest.approx([1, 1, 1], abs=0.05)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(np.full((300, 400, 3), 230, np.uint8), id="nothing at all"),
        pytest.param((230 + np.random.default_rng(1).normal(0, 4, (300, 400, 3))).astype(np.uint8), id="noise"),
        pytest.param(np.zeros((300, 400, 3), np.uint8), id="the lamp is off"),
        pytest.param(np.full((300, 400, 3), (90, 40, 60), np.uint8), id="all nucleus"),
    ],
)
def test_a_field_without_red_cells_has_no_colours(field: Image) -> None:
    assert colours_of(field, 0.13) is None
