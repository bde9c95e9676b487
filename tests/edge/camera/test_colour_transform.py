"""Colours moved to a bundle's: where a known change of colours was put on, it is taken away again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.camera.colour_transform import MOST_STRETCH, colour_table
from edge.contracts.colours import COLOUR_TRANSFORM, Colours, ReferenceColours, SourceColours

pytestmark = pytest.mark.timeout(20)

PBC = Colours(empty=(202, 227, 240), red_cells=(166, 164, 203))
OTHER = Colours(empty=(166, 182, 214), red_cells=(141, 129, 168))


def reference(*colours: Colours) -> ReferenceColours:
    return ReferenceColours(sources={str(k): SourceColours(colours=each, images=9) for k, each in enumerate(colours)})


def test_the_references_own_colours_stay() -> None:
    table = colour_table(PBC, reference(PBC)).table
    levels = np.arange(5, 250)
    assert np.abs(table[levels].astype(int) - levels[:, None]).max() <= 1


@given(
    gains=st.tuples(*[st.floats(0.55, 1.0)] * 3),
    contrast=st.floats(1 / MOST_STRETCH, MOST_STRETCH),
)
@settings(max_examples=60, deadline=None)
def test_a_tint_and_a_contrast_are_taken_away(gains: tuple[float, float, float], contrast: float) -> None:
    """Lambert-Beer: a lamp multiplies, a stain raises to a power."""

    def changed(level: float, channel: int) -> float:
        empty = (PBC.empty[channel] + 1) / 256
        return float(256 * gains[channel] * empty * ((level + 1) / 256 / empty) ** contrast - 1)

    def seen(colour: tuple[float, float, float]) -> tuple[float, float, float]:
        return changed(colour[0], 0), changed(colour[1], 1), changed(colour[2], 2)

    own = Colours(empty=seen(PBC.empty), red_cells=seen(PBC.red_cells))
    table = colour_table(own, reference(PBC)).table
    for colour in (PBC.empty, PBC.red_cells, (120.0, 90.0, 130.0)):
        there = [int(table[round(level), channel]) for channel, level in enumerate(seen(colour))]
        assert there == pytest.approx(colour, abs=4), "whole grey levels, stretched"


def test_the_contrast_is_changed_no_more_than_false_cells_allow() -> None:
    faint = Colours(empty=(200, 200, 200), red_cells=(195, 194, 196))
    table = colour_table(faint, reference(PBC)).table.astype(float)
    before = np.log(201 / 195)
    after = np.log((table[200, 1] + 1) / (table[194, 1] + 1))
    assert after <= MOST_STRETCH * before + 0.01


def test_the_mean_of_the_sources_is_aimed_at() -> None:
    table = colour_table(PBC, reference(PBC, OTHER)).table
    assert 190 < table[227, 1] < 227, "between the two"


def test_an_overexposed_slide_is_moved_like_any_other() -> None:
    table = colour_table(Colours(empty=(255, 255, 255), red_cells=(215, 195, 190)), reference(PBC)).table
    assert table[255].tolist() == pytest.approx([202, 227, 240], abs=1)


def test_the_name_tells_one_table_from_another() -> None:
    names = {colour_table(own, reference(PBC)).name for own in (PBC, OTHER, PBC)}
    assert len(names) == 2 and all(name.startswith(f"{COLOUR_TRANSFORM}:") for name in names)


def test_tables_rise() -> None:
    for own in (PBC, OTHER):
        table = colour_table(own, reference(OTHER, PBC)).table.astype(int)
        assert (np.diff(table, axis=0) >= 0).all()
