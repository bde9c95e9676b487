"""A run most of whose fields cannot be counted in says so; one with a few of them does not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.folder_run import doubts_of, messages_of, records_over
from support.red_cell_fields import Smear, draw_smear
from support.tiny_bundle import write_tiny_bundle
from support.watched_fields import LABORATORIES, some_real_fields

from edge.contracts.detections import Image
from edge.quality import FieldWatch
from edge.quality.bad_share import ENOUGH, BadShare
from edge.quality.field_limits import Fault

pytestmark = pytest.mark.timeout(60)

UM_PER_PX = 0.13
GOOD: tuple[tuple[Fault, ...], bool] = (), False
DARK: tuple[tuple[Fault, ...], bool] = ("dark",), False
NOTHING: tuple[tuple[Fault, ...], bool] = (), True


@pytest.mark.parametrize(
    ("fields", "said_at", "at_end"),
    [
        pytest.param([GOOD] * 30, None, 0, id="a good slide"),
        pytest.param([DARK] * 30, ENOUGH - 1, 0, id="the lamp is off from the start"),
        pytest.param([GOOD] * 20 + [DARK] * 5, 24, 0, id="it fails in the end"),
        pytest.param(([DARK] + [GOOD] * 9) * 6, None, 0, id="a tenth on any slide"),
        pytest.param([DARK] * 4 + [GOOD] * 26, None, 0, id="the first few"),
        pytest.param([DARK] * 2, None, 0, id="two fields, each of which says it of itself"),
        pytest.param([DARK, DARK, GOOD, DARK], None, 1, id="most of a few"),
        pytest.param([DARK, GOOD, GOOD, GOOD], None, 0, id="one of a few"),
        pytest.param([(("bright", "overexposed"), False)] * 30, None, 0, id="a white slide on which cells show"),
        pytest.param([NOTHING] * 12, ENOUGH - 1, 0, id="no field shows anything"),
        pytest.param([NOTHING] * 4 + [GOOD] * 26, None, 0, id="a scan that begins beside the smear"),
        pytest.param([GOOD, NOTHING, NOTHING, NOTHING], None, 1, id="most of a few show nothing"),
        pytest.param([], None, 0, id="no field"),
    ],
)
def test_when_it_is_said(fields: list[tuple[tuple[Fault, ...], bool]], said_at: int | None, at_end: int) -> None:
    share, said = BadShare(), list[int]()
    for number, (faults, shows_nothing) in enumerate(fields):
        share.judged(faults, shows_nothing=shows_nothing)
        said += [number] * len(share.sentences())
    assert (said[0] if said else None) == said_at and len(said) <= 1, "once, as soon as it is much"
    assert len(share.sentences(is_last=True)) == at_end


def test_the_faults_are_named_the_most_frequent_first() -> None:
    share = BadShare()
    for faults in (("blurred",), ("blurred", "dark"), ("blurred",), ("dark",), ("blurred",)):
        share.judged(faults, shows_nothing=False)
    (said,) = share.sentences()
    assert said.startswith("5 of 5 fields came out badly (blurred 4, dark 2): ")


def noise(image: Image, mean: float, spread: float) -> Image:
    return np.random.default_rng(int(image.sum()) % 1000).normal(mean, spread, image.shape).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        pytest.param(lambda image: image, "", id="as it is"),
        pytest.param(lambda image: image // 6, "dark", id="a lamp that hardly burns"),
        pytest.param(lambda image: noise(image, 2.0, 1.5), "dark", id="the shutter is closed"),
        pytest.param(lambda image: np.full_like(image, 255), "nothing is to be seen", id="nothing but light"),
        pytest.param(lambda image: np.where(image > 200, 255, image), "", id="a slide that is made white"),
        pytest.param(lambda image: cv2.GaussianBlur(image, (0, 0), 1.5 / UM_PER_PX), "blurred", id="out of focus"),
        pytest.param(lambda image: noise(image, 128, 30), "blurred", id="noise alone"),
        pytest.param(lambda image: np.full_like(image, 128), "nothing is to be seen", id="one grey"),
        pytest.param(
            lambda image: noise(image, 200, 2), "nothing is to be seen", id="the empty slide of a scan beside the smear"
        ),
    ],
)
@pytest.mark.parametrize("n_fields", [3, 8])
def test_a_run_says_it_and_doubts_its_count(tmp_path: Path, seen: Callable[[Image], object], says: str, n_fields: int) -> None:
    for index in range(n_fields):
        smear = Smear(leukocytes=2, width_px=400, height_px=320, cells=12)
        cv2.imwrite(str(tmp_path / f"{index:02d}.png"), np.asarray(seen(draw_smear(smear, index)), np.uint8))
    records = records_over(tmp_path, write_tiny_bundle(tmp_path / "bundle").path, UM_PER_PX)
    said = messages_of(records, "fields_bad")
    assert bool(said) == bool(says) and any(says in sentence for sentence in said or [""])
    assert [doubt for sentence in said for doubt in doubts_of(records, sentence)] == said


def test_who_does_not_want_fields_judged_is_told_nothing() -> None:
    watch = FieldWatch("off", UM_PER_PX)
    for number in range(20):
        watch.look(str(number), np.zeros((320, 400, 3), np.uint8))
        watch.judged(str(number), number, None)
    assert not watch.of_run() and not watch.of_run(is_last=True)


@pytest.mark.parametrize(("folder", "um_per_px"), LABORATORIES)
def test_real_fields_are_good_enough(real_data: Path, folder: str, um_per_px: float) -> None:
    watch = FieldWatch("mark", um_per_px)
    for number, image in enumerate(some_real_fields(real_data / folder, 60)):
        watch.look(str(number), image)
        watch.judged(str(number), number, None)
    assert not watch.of_run(is_last=True)
