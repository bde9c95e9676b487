"""A slide whose colours have left the profile's is told of once, and says what has changed."""

import numpy as np
import pytest
from support.smears import EMPTY, RED, smear

from edge.contracts.colours import Colours, MeasuredColours, MeasuredLight
from edge.contracts.detections import Image
from edge.quality import ColourDrift
from edge.quality.colour_drift import AT_FIRST

pytestmark = pytest.mark.timeout(30)

DATED = {"measured_at": "2026-01-01T00:00:00+00:00", "width_px": 400, "height_px": 360, "source": "folder:x"}
COLOURS = MeasuredColours(
    **DATED,
    colours=Colours(empty=EMPTY, red_cells=RED),
    spread=Colours(empty=(1, 1, 1), red_cells=(2, 2, 2)),
    fields=30,
    saturated=(0, 0, 0),
    um_per_px=0.13,
    fields_sha256="0" * 64,
)
SIDE = ((1.0, 0.6), (1.0, 0.6))
LIGHT = MeasuredLight(
    **DATED, shade=(SIDE, SIDE, SIDE), white=(220, 220, 220), residual=0.001, fields=5, fields_sha256="0" * 64
)


def fields(gain: tuple[float, float, float], n: int = 20) -> list[Image]:
    drawn = (smear(400, 360, seed=seed) * np.array(gain) for seed in range(n))
    return [np.asarray(field.clip(0, 255), np.uint8) for field in drawn]


def watched(images: list[Image], light: MeasuredLight | None = None) -> tuple[list[str], list[float | None]]:
    drift = ColourDrift(COLOURS, light, 0.13)
    said, seen = [], []
    for number, image in enumerate(images):
        drift.look(str(number), image)
        seen.append(drift.of(str(number)))
        said.append(drift.sentence())
    return [sentence for sentence in said if sentence], seen


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        pytest.param((1.0, 1.0, 1.0), "", id="the profile's own"),
        pytest.param((0.97, 1.02, 1.0), "", id="slides of one stain differ by so much"),
        pytest.param((0.8, 1.0, 1.0), "empty slide in this run is 0.2", id="the lamp has lost its blue"),
        pytest.param((0.75, 0.75, 0.75), "darker", id="half the lamp"),
    ],
)
def test_drift(gain: tuple[float, float, float], says: str) -> None:
    said, seen = watched(fields(gain))
    assert len(said) == (1 if says else 0), "it is said once"
    assert says in "".join(said)
    looked = [value for value in seen if value is not None]
    assert len(looked) == AT_FIRST + 1, "each at first, then one in so many"
    assert float(np.median(looked)) == pytest.approx(np.abs(np.log(np.array(gain))).max(), abs=0.05)


def test_a_vignette_that_the_profile_knows_is_no_drift() -> None:
    dimmed = [np.asarray(field * np.linspace(1.0, 0.6, 400)[None, :, None], np.uint8) for field in fields((1, 1, 1))]
    assert not watched(dimmed, LIGHT)[0]


def test_fields_without_cells_say_nothing() -> None:
    said, seen = watched([np.full((360, 400, 3), 90, np.uint8)] * 30)
    assert not said and set(seen) == {None}
