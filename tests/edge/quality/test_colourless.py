"""Fields without colour are said of a run, and of nothing that merely looks unusual."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.folder_run import doubts_of, messages_of, records_over
from support.red_cell_fields import Smear, draw_smear
from support.tiny_bundle import write_tiny_bundle
from support.watched_fields import LABORATORIES, Seen, as_it_is, sentence_of, some_real_fields, under_a_lamp

from edge.contracts.detections import Image
from edge.quality import Colourless
from edge.quality.colourless import ENOUGH, LEAST, colour_share

pytestmark = pytest.mark.timeout(60)

UM_PER_PX = 0.13


def grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def mosaic(image: Image) -> Image:
    """What a colour sensor (RGGB) gives, taken for grey values."""
    raw = image[..., 1].copy()
    raw[::2, ::2], raw[1::2, 1::2] = image[::2, ::2, 2], image[1::2, 1::2, 0]
    return np.repeat(raw[..., None], 3, axis=2)


def paled_to(saturation: float, noise: float = 0.0) -> Seen:
    def seen(image: Image) -> Image:
        mean = image.mean(axis=2, keepdims=True)
        grain = np.random.default_rng(0).normal(0, noise, image.shape)
        return np.asarray((mean + saturation * (image - mean) + grain).clip(0, 255), np.uint8)

    return seen


def through_an_eyepiece(image: Image) -> Image:
    height, width = image.shape[:2]
    y, x = np.ogrid[:height, :width]
    return np.asarray(image * ((x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 2.2) ** 2)[..., None], np.uint8)


@pytest.mark.parametrize(
    ("seen", "smear", "said"),
    [
        pytest.param(as_it_is, Smear(leukocytes=2), "", id="as it is"),
        pytest.param(grey, Smear(leukocytes=2), "has no colour", id="grey values"),
        pytest.param(mosaic, Smear(leukocytes=2), "has no colour", id="an undecoded Bayer mosaic"),
        pytest.param(paled_to(0.1), Smear(leukocytes=2), "next to no colour", id="saturation turned down"),
        pytest.param(paled_to(0.1, noise=2), Smear(leukocytes=2), "next to no colour", id="the same with noise"),
        pytest.param(paled_to(0.6), Smear(leukocytes=2), "", id="somewhat pale"),
        pytest.param(under_a_lamp(0.5, 0.8, 1.0), Smear(leukocytes=2), "", id="a yellow lamp"),
        pytest.param(under_a_lamp(1.0, 0.8, 0.5), Smear(leukocytes=2), "", id="a blue filter"),
        pytest.param(under_a_lamp(1.2, 1.2, 1.2), Smear(leukocytes=2), "", id="overexposed"),
        pytest.param(under_a_lamp(0.2, 0.2, 0.2), Smear(leukocytes=2), "", id="far too dark"),
        pytest.param(through_an_eyepiece, Smear(leukocytes=2), "", id="black around"),
        pytest.param(as_it_is, Smear(leukocytes=0, cells=0, platelets=0), "", id="empty slide"),
        pytest.param(grey, Smear(leukocytes=0, cells=0, platelets=0), "", id="empty slide in grey, which shows nothing"),
    ],
)
def test_only_fields_without_colour_are_told_of(seen: Seen, smear: Smear, said: str) -> None:
    sentence = sentence_of(Colourless(UM_PER_PX), [seen(draw_smear(smear, index)) for index in range(ENOUGH)])
    assert said in sentence and bool(said) == bool(sentence)


def test_one_grey_field_among_others_is_told_of_once() -> None:
    fields = [draw_smear(Smear(leukocytes=1), index) for index in range(40)]
    watch, said = Colourless(UM_PER_PX), list[str]()
    for index, image in enumerate(fields):
        watch.look(grey(image) if index in (37, 39) else image)
        said.append(watch.sentence())
    assert [index for index, sentence in enumerate(said) if sentence] == [37]


def test_too_few_pale_fields_say_nothing_yet() -> None:
    pale = paled_to(0.1)
    assert not sentence_of(Colourless(UM_PER_PX), [pale(draw_smear(Smear(), index)) for index in range(ENOUGH - 1)])


@pytest.mark.parametrize(("folder", "um_per_px"), LABORATORIES)
def test_single_real_fields_are_far_from_colourless(real_data: Path, folder: str, um_per_px: float) -> None:
    fields = some_real_fields(real_data / folder, 40)
    shares = [share for image in fields if (share := colour_share(image, um_per_px)) is not None]
    pale = [share for image in fields if (share := colour_share(paled_to(0.1)(image), um_per_px)) is not None]
    assert len(shares) == len(fields) and min(shares) > 1.8 * LEAST and np.quantile(pale, 0.9) < LEAST


@pytest.mark.parametrize("seen", [pytest.param(as_it_is, id="as it is"), pytest.param(grey, id="grey")])
def test_a_run_says_it_by_an_event_and_at_its_end(tmp_path: Path, seen: Seen) -> None:
    for index in range(3):
        smear = Smear(leukocytes=2, width_px=400, height_px=320, cells=12)
        cv2.imwrite(str(tmp_path / f"{index:02d}.png"), seen(draw_smear(smear, index)))
    records = records_over(tmp_path, write_tiny_bundle(tmp_path / "bundle").path, UM_PER_PX)
    said = messages_of(records, "no_colour")
    assert len(said) == (seen is grey) and doubts_of(records, "no colour") == said
