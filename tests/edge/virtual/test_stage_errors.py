"""A stage that does not stand where it says: how far, on which side, and until when."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.virtual.virtual_stage import StageSettings, VirtualStage

pytestmark = pytest.mark.timeout(60)
PLACES = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=20)


@given(PLACES, st.floats(0, 3), st.floats(0, 3), st.integers(0, 2**30))
def test_a_settled_stage_is_never_further_off_than_it_says_and_always_the_same(
    places: list[tuple[int, int]], repeatability_um: float, backlash_um: float, seed: int
) -> None:
    settings = StageSettings(repeatability_um=repeatability_um, backlash_um=backlash_um)
    walks = []
    for stage in (VirtualStage(settings, seed), VirtualStage(settings, seed)):
        walks.append([stage.move(at, (x * 90.0, y * 70.0), 2.0) for at, (x, y) in enumerate(places)])
    assert walks[0] == walks[1]
    for (x, y), standing in zip(places, walks[0], strict=True):
        limit_um = settings.largest_error_um + 0.021  # of the swing, a thousandth is left
        assert abs(standing.x_um - x * 90.0) <= limit_um and abs(standing.y_um - y * 70.0) <= limit_um
        assert math.hypot(*standing.smear_um) < 0.05


def test_a_position_reached_falling_lies_above_one_reached_rising_by_the_backlash() -> None:
    stage = VirtualStage(StageSettings(repeatability_um=0, backlash_um=2.0, settle_ms=0), 1)
    rising = stage.move(0, (100.0, 0.0), 2.0)
    stage.move(1, (200.0, 0.0), 2.0)
    falling = stage.move(2, (100.0, 0.0), 2.0)
    still = stage.move(3, (100.0, 50.0), 2.0)
    assert falling.x_um - rising.x_um == pytest.approx(2.0)
    assert still.x_um == falling.x_um, "an axis that does not move stays on its side"


def test_who_exposes_too_early_finds_the_field_off_its_place_and_smeared() -> None:
    settings = StageSettings(repeatability_um=0, backlash_um=0, settle_ms=200)
    early = VirtualStage(settings, 1).move(0, (90.0, 0.0), 10.0, waited=0.1)
    late = VirtualStage(settings, 1).move(0, (90.0, 0.0), 10.0)
    assert 2.0 < 90.0 - early.x_um < 20.0 and 1.0 < early.smear_um[0] < 20.0 and early.smear_um[1] == 0.0
    assert abs(90.0 - late.x_um) < 0.05


def test_a_stuck_stage_shows_the_place_before() -> None:
    stage = VirtualStage(StageSettings(repeatability_um=1.0), 1)
    before = stage.move(0, (90.0, 0.0), 2.0)
    stuck = stage.move(1, (180.0, 0.0), 2.0, stuck=True)
    assert (stuck.x_um, stuck.y_um) == (before.x_um, before.y_um)
