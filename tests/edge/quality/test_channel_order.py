"""Exchanged red and blue are said of a run, and of nothing that merely looks unusual."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.folder_run import doubts_of, messages_of, records_over
from support.red_cell_fields import Smear, draw_smear
from support.tiny_bundle import write_tiny_bundle
from support.watched_fields import Seen, as_it_is, sentence_of, some_real_fields, under_a_lamp

from edge.contracts.detections import Image
from edge.quality import ChannelOrder, red_of_nuclei
from edge.quality.channel_order import ENOUGH

pytestmark = pytest.mark.timeout(60)

UM_PER_PX = 0.13


def exchanged(image: Image) -> Image:
    return np.ascontiguousarray(image[..., ::-1])


def exchanged_under_a_lamp(*bgr: float) -> Seen:
    return lambda image: exchanged(under_a_lamp(*bgr)(image))


@pytest.mark.parametrize(
    ("seen", "smear", "says"),
    [
        pytest.param(as_it_is, Smear(leukocytes=2), False, id="as it is"),
        pytest.param(exchanged, Smear(leukocytes=2), True, id="RGB called BGR"),
        pytest.param(under_a_lamp(0.5, 0.8, 1.0), Smear(leukocytes=2), False, id="a yellow lamp"),
        pytest.param(under_a_lamp(1.0, 0.8, 0.5), Smear(leukocytes=2), False, id="a blue filter"),
        pytest.param(exchanged_under_a_lamp(0.5, 0.8, 1.0), Smear(leukocytes=2), True, id="exchanged under a yellow lamp"),
        pytest.param(exchanged_under_a_lamp(1.0, 0.8, 0.5), Smear(leukocytes=2), True, id="exchanged under a blue filter"),
        pytest.param(as_it_is, Smear(leukocytes=2, cell=(200, 175, 180)), False, id="red cells that look blue"),
        pytest.param(exchanged, Smear(leukocytes=0), False, id="no leukocyte, of which nothing can be told"),
        pytest.param(exchanged, Smear(leukocytes=2, cells=0, platelets=0), False, id="no red cells beside them"),
        pytest.param(exchanged, Smear(leukocytes=2, diameter_px=27, cells=80), True, id="seen from further away"),
        pytest.param(under_a_lamp(1.2, 1.2, 1.2), Smear(leukocytes=2), False, id="overexposed"),
    ],
)
def test_what_is_said_of_drawn_fields(seen: Seen, smear: Smear, says: bool) -> None:
    um_per_px = UM_PER_PX * 54.6 / smear.diameter_px
    fields = [seen(draw_smear(smear, seed)) for seed in range(ENOUGH)]
    assert ("red and blue are most likely exchanged" in sentence_of(ChannelOrder(um_per_px), fields)) == says


def test_few_fields_and_a_few_among_many_say_nothing() -> None:
    right = [draw_smear(Smear(leukocytes=2), seed) for seed in range(ENOUGH)]
    wrong = [exchanged(image) for image in right]
    assert (
        sentence_of(ChannelOrder(UM_PER_PX), wrong[:-1]) == ""
        and sentence_of(ChannelOrder(UM_PER_PX), wrong[:3] + right[3:]) == ""
    )
    order = ChannelOrder(UM_PER_PX)
    assert sentence_of(order, wrong) and order.sentence(is_last=True) == "", "once"


@pytest.mark.parametrize(
    ("wrong", "right", "says"),
    [
        pytest.param(3, 0, True, id="three that agree"),
        pytest.param(ENOUGH - 1, 0, True, id="nearly enough"),
        pytest.param(2, 0, False, id="two may both be odd"),
        pytest.param(ENOUGH - 2, 1, False, id="one of them speaks against it"),
    ],
)
def test_the_end_of_a_short_run_is_judged_by_all_that_there_is(wrong: int, right: int, says: bool) -> None:
    fields = [draw_smear(Smear(leukocytes=2), seed) for seed in range(wrong + right)]
    shown = [exchanged(image) if at < wrong else image for at, image in enumerate(fields)]
    assert bool(sentence_of(ChannelOrder(UM_PER_PX), shown, is_last=True)) == says


@pytest.mark.parametrize(
    ("folder", "um_per_px", "tells"),
    [
        pytest.param("chula_wbc/images", 0.13, True, id="a cheap camera with a cast"),
        pytest.param("pbc_tiles", 0.10, True, id="tiles of a hospital's analyser"),
        pytest.param("apl_jhu", 0.10, True, id="patients with leukaemia"),
        pytest.param("rbc_fields/images", 0.187, False, id="fields without a leukocyte"),
        pytest.param("bccd/JPEGImages", 0.073, False, id="pale nuclei, of which few are dark enough"),
    ],
)
def test_real_fields_are_told_from_exchanged_ones(real_data: Path, folder: str, um_per_px: float, tells: bool) -> None:
    fields = some_real_fields(real_data / folder, 40)
    found = [(each, seen) for each in fields if (seen := red_of_nuclei(each, um_per_px)) is not None]
    for image, value in found:
        assert red_of_nuclei(exchanged(image), um_per_px) == pytest.approx(-value, abs=1e-5)
    assert sentence_of(ChannelOrder(um_per_px), [image for image, _ in found]) == ""
    assert bool(sentence_of(ChannelOrder(um_per_px), [exchanged(image) for image, _ in found])) == tells


@pytest.mark.parametrize("n_fields", [pytest.param(ENOUGH, id="enough"), pytest.param(3, id="a short run")])
@pytest.mark.parametrize("seen", [pytest.param(as_it_is, id="as it is"), pytest.param(exchanged, id="exchanged")])
def test_a_run_says_it_by_an_event_and_at_its_end(tmp_path: Path, seen: Seen, n_fields: int) -> None:
    for index in range(n_fields):
        smear = Smear(leukocytes=2, width_px=400, height_px=320, cells=12)
        cv2.imwrite(str(tmp_path / f"{index:02d}.png"), seen(draw_smear(smear, index)))
    records = records_over(tmp_path, write_tiny_bundle(tmp_path / "bundle").path, UM_PER_PX)
    said = messages_of(records, "channels_exchanged")
    assert len(said) == (seen is exchanged) and doubts_of(records, "red and blue") == said
