"""A run without measured colours says when its fields are unlike those of every laboratory that its model knows."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.folder_run import doubts_of, messages_of, records_over
from support.smears import EMPTY, RED, smear
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import load_bundle
from edge.contracts.colours import Colours, MeasuredLight, ReferenceColours, SourceColours
from edge.contracts.detections import Image
from edge.quality import UnknownColours
from edge.quality.unknown_colours import ENOUGH, NEAR, nearest
from edge.settings import SHIPPED_BUNDLE
from edge.virtual import SlideSettings, VirtualSlide

pytestmark = pytest.mark.timeout(60)

UM_PER_PX = 0.13
REFERENCE = ReferenceColours(
    sources={
        "ours": SourceColours(colours=Colours(empty=EMPTY, red_cells=RED), images=9),
        "theirs": SourceColours(colours=Colours(empty=(120, 120, 120), red_cells=(60, 80, 100)), images=9),
    }
)
SIDE = ((1.0, 0.6), (1.0, 0.6))


def fields(gain: tuple[float, float, float], n: int = ENOUGH) -> list[Image]:
    drawn = (smear(400, 360, seed=seed) * np.array(gain) for seed in range(n))
    return [np.asarray(field.clip(0, 255), np.uint8) for field in drawn]


def said_of(images: list[Image], light: MeasuredLight | None = None) -> list[str]:
    watch = UnknownColours(REFERENCE, light, UM_PER_PX)
    said = []
    for number, image in enumerate(images):
        watch.look(str(number), image)
        said.append(watch.sentence())
    return [sentence for sentence in said if sentence]


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        pytest.param((1.0, 1.0, 1.0), False, id="a laboratory it knows"),
        pytest.param((0.9, 1.0, 1.05), False, id="another lamp there"),
        pytest.param((0.6, 0.8, 1.0), True, id="a yellow cast"),
        pytest.param((0.75, 0.75, 0.75), True, id="as dark as nothing it knows"),
    ],
)
def test_far_from_all_is_said_once(gain: tuple[float, float, float], says: bool) -> None:
    said = said_of(fields(gain))
    assert len(said) == says
    assert not said or "(ours is the nearest" in said[0]


def test_too_little_to_judge_says_nothing() -> None:
    strange = fields((0.6, 0.8, 1.0))
    assert not said_of(strange[: ENOUGH - 1])
    assert not said_of([np.full((360, 400, 3), 90, np.uint8)] * 40), "nothing but empty slide"


@pytest.mark.parametrize(
    ("strange", "known", "says"),
    [
        pytest.param(3, 0, True, id="three that agree"),
        pytest.param(ENOUGH - 1, 0, True, id="nearly enough"),
        pytest.param(2, 0, False, id="two say too little"),
        pytest.param(ENOUGH - 2, 1, False, id="one is like those that it knows"),
    ],
)
def test_the_end_of_a_short_run_is_judged_by_all_that_there_is(strange: int, known: int, says: bool) -> None:
    watch = UnknownColours(REFERENCE, None, UM_PER_PX)
    for number, image in enumerate([*fields((0.6, 0.8, 1.0), strange), *fields((1.0, 1.0, 1.0), known)]):
        watch.look(str(number), image)
        assert not watch.sentence()
    assert bool(watch.sentence(is_last=True)) == says and not watch.sentence(is_last=True)


def test_the_light_of_a_profile_is_taken_off_first() -> None:
    light = MeasuredLight(
        measured_at="2026-01-01T00:00:00+00:00",
        width_px=400,
        height_px=360,
        source="folder:x",
        shade=(SIDE, SIDE, SIDE),
        white=(150, 225, 225),
        residual=0.001,
        fields=5,
        fields_sha256="0" * 64,
    )
    drawn = fields((0.65, 1.0, 1.0))
    dimmed = [np.asarray(field * np.linspace(1.0, 0.6, 400)[None, :, None], np.uint8) for field in drawn]
    assert said_of(dimmed) and not said_of(dimmed, light)


def test_each_laboratory_that_is_shipped_is_near_itself_and_the_strangest_are_far_from_the_rest() -> None:
    reference = load_bundle(SHIPPED_BUNDLE).manifest.reference_colours
    assert reference is not None
    far = set()
    for name, source in reference.sources.items():
        empty, red = (-np.log((np.array(each) + 1) / 256) for each in (source.colours.empty, source.colours.red_cells))
        assert nearest(empty, red - empty, reference) == (0.0, name)
        others = ReferenceColours(sources={other: each for other, each in reference.sources.items() if other != name})
        far |= {name} if nearest(empty, red - empty, others)[0] > NEAR else set()
    assert far == {"PBC", "BCDD", "Chula"}


def mosaic(image: Image) -> Image:
    """What a sensor under red, green; green, blue filters gives."""
    raw = image[..., 1].copy()
    raw[0::2, 0::2], raw[1::2, 1::2] = image[0::2, 0::2, 2], image[1::2, 1::2, 0]
    return raw


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        pytest.param(lambda image: image, False, id="as it is"),
        pytest.param(lambda image: cv2.cvtColor(mosaic(image), cv2.COLOR_BayerRGGB2BGR), False, id="of a sensor"),
        pytest.param(lambda image: cv2.cvtColor(mosaic(image), cv2.COLOR_BayerGRBG2BGR), True, id="read a column too late"),
        pytest.param(lambda image: cv2.cvtColor(mosaic(image), cv2.COLOR_BayerGBRG2BGR), True, id="read a row too late"),
        pytest.param(lambda image: 255 * (image / 255) ** 2.2, True, id="without a gamma curve"),
        pytest.param(lambda image: 255 * (image / 255) ** (1 / 2.2), True, id="with a second one"),
        pytest.param(lambda image: 255 - image, True, id="negative"),
        pytest.param(lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb), True, id="luminance and colour differences"),
    ],
)
def test_what_a_camera_may_give_instead_of_colours(real_data: Path, seen: Callable[[Image], object], says: bool) -> None:
    """Of some the shipped model finds no cell at all, and nothing else would say so."""
    reference = load_bundle(SHIPPED_BUNDLE).manifest.reference_colours
    assert reference is not None
    watch = UnknownColours(reference, None, UM_PER_PX)
    for path in sorted((real_data / "chula_wbc" / "images").rglob("*.*g"))[:32]:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        watch.look(path.name, np.ascontiguousarray(np.asarray(seen(image)).astype(np.uint8)))
    assert bool(watch.sentence()) == says


@pytest.mark.parametrize("seed", [2, 3, 8])
def test_a_drawn_slide_is_near_enough_to_what_the_shipped_model_knows(seed: int) -> None:
    reference = load_bundle(SHIPPED_BUNDLE).manifest.reference_colours
    assert reference is not None
    slide, watch = VirtualSlide(SlideSettings(seed=seed)), UnknownColours(reference, None, UM_PER_PX)
    for number in range(ENOUGH):
        watch.look(str(number), slide.render(200.0 * number, 0.0, 366, 287, number).image)
    assert watch.sentence() == ""


@pytest.mark.parametrize("gain", [pytest.param((1.0, 1.0, 1.0), id="known"), pytest.param((0.6, 0.8, 1.0), id="strange")])
def test_a_run_says_it_by_an_event_and_at_its_end(tmp_path: Path, gain: tuple[float, float, float]) -> None:
    for number, image in enumerate(fields(gain)):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), image)
    known = {"reference_colours": REFERENCE.model_dump(mode="json")}
    records = records_over(tmp_path, write_tiny_bundle(tmp_path / "bundle", colours=known).path, UM_PER_PX)
    said = messages_of(records, "colours_unknown")
    assert len(said) == (gain != (1.0, 1.0, 1.0)) and doubts_of(records, "no laboratory that the model") == said
