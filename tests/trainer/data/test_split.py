"""Held-back images: no group is parted, every image is held back once, a seed repeats itself."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainer
from edge.contracts.errors import ConfigError
from trainer.data import split as split_module
from trainer.data.annotation import Annotation
from trainer.data.datasets import each_once, read_dataset
from trainer.data.readers.description import load_description
from trainer.data.split import divide, folds_of
from trainer.data.split_plan import parse_plan, parse_splits

pytestmark = pytest.mark.timeout(60)


def row(name: str, source: str = "LAB", label: int = 0) -> Annotation:
    return Annotation(
        Path(f"{name}.jpg"), 200, 160, 0.1, np.zeros((1, 4), np.float32), np.array([label], np.int32), source, name, "train"
    )


def held(annotations: list[Annotation], text: str) -> set[str]:
    return {one.original for one in divide(annotations, parse_plan(text), {}) if one.split == "test"}


@pytest.fixture
def by_slide(monkeypatch: pytest.MonkeyPatch) -> list[Annotation]:
    """Forty slides of three images, named s7_1; groups come from the names alone, without pictures."""
    monkeypatch.setattr(split_module, "groups_of", lambda rows, *_: [int(one.original[1:].split("_")[0]) for one in rows])
    return [row(f"s{slide}_{k}", ("LAB", "WARD")[slide % 2], slide % 3) for slide in range(40) for k in range(3)]


def slides(names: set[str]) -> set[str]:
    return {name.split("_")[0] for name in names}


def test_five_folds_hold_back_every_image_once_and_part_no_slide(by_slide: list[Annotation]) -> None:
    folds = [held(by_slide, f"fold:{k}/5") for k in range(5)]
    assert Counter(name for fold in folds for name in fold) == Counter(one.original for one in by_slide)
    assert sum(len(slides(fold)) for fold in folds) == 40
    assert max(map(len, folds)) - min(map(len, folds)) <= 6, "folds are of about one size"


def test_more_folds_than_slides_are_said(by_slide: list[Annotation]) -> None:
    with pytest.raises(ConfigError, match="3 groups of images cannot make 5 folds"):
        held(by_slide[:9], "fold:0/5")


def test_grouped_holds_back_whole_slides_of_about_the_share(by_slide: list[Annotation]) -> None:
    test = held(by_slide, "grouped:0.2")
    assert not slides(test) & slides({one.original for one in by_slide} - test)
    assert 24 <= len(test) <= 27


@pytest.mark.parametrize("plan", ["random:0.25", "grouped:0.25", "fold:1/4"])
def test_a_seed_repeats_itself_and_another_divides_otherwise(by_slide: list[Annotation], plan: str) -> None:
    assert held(by_slide, f"{plan}:7") == held(by_slide, f"{plan}:7")
    assert held(by_slide, f"{plan}:7") != held(by_slide, f"{plan}:8")


def test_random_holds_back_the_share_that_is_named() -> None:
    """The reference states 7 %; of its 14,700 images that is 1,029. It counts 1,120 test images, which is 7.6 %."""
    rows = [row(f"field_{k}") for k in range(14_700)]
    assert len(held(rows, "random:0.07")) == 1_029
    assert len(held(rows, f"random:{1_120 / 14_700}")) == 1_120


@pytest.mark.parametrize("plan", ["random:0.01", "random:0.99", "grouped:0.01", "grouped:0.99"])
def test_however_few_the_images_some_are_tested_on_and_some_trained_on(by_slide: list[Annotation], plan: str) -> None:
    assert 0 < len(held(by_slide[:6], plan)) < 6


def test_one_slide_cannot_be_divided_by_slides(by_slide: list[Annotation]) -> None:
    with pytest.raises(ConfigError, match="all images are of one group"):
        held(by_slide[:3], "grouped:0.2")


def test_whole_laboratories_can_be_held_back(by_slide: list[Annotation]) -> None:
    assert held(by_slide, "source:WARD") == {one.original for one in by_slide if one.source == "WARD"}
    assert len(held(by_slide, "source:LAB+WARD")) == len(by_slide)
    with pytest.raises(ConfigError, match="no source 'BCCD' to hold back; the data has LAB, WARD"):
        held(by_slide, "source:BCCD")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "given:1",
        "random",
        "random:1.5",
        "grouped:0",
        "fold:5/5",
        "fold:1",
        "fold:0/1",
        "source:",
        "random:0.1:x",
        "grouped:0.2:-1",
        "fold:0/5,source:",
        "fold:0/5,LAB",
        "source:LAB,source:WARD",
    ],
)
def test_a_plan_that_means_nothing_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"the split .* is not known\. given: as the data sets say; random:0\.07"):
        parse_plan(text)


def test_a_misspelt_split_is_not_passed_over() -> None:
    assert parse_splits("train, val") == {"train", "val"}
    with pytest.raises(ConfigError, match="'vla' is no split; use train, val, test"):
        parse_splits("train,vla")


@settings(max_examples=40)
@given(
    groups=st.lists(st.integers(0, 11), min_size=12, max_size=60).filter(lambda found: len(set(found)) >= 4),
    labels=st.data(),
    folds=st.integers(2, 4),
    seed=st.integers(0, 3),
)
def test_no_fold_ever_parts_a_group(groups: list[int], labels: st.DataObject, folds: int, seed: int) -> None:
    kinds = labels.draw(st.lists(st.integers(-3, 3), min_size=len(groups), max_size=len(groups)))
    rows = [row(str(k), label=label) for k, label in enumerate(kinds)]
    found = folds_of(rows, groups, folds, seed)
    assert sorted(number for fold in found for number in fold) == list(range(len(rows)))
    homes = {(groups[number], k) for k, fold in enumerate(found) for number in fold}
    assert len(homes) == len(set(groups))
    assert all(found), "an empty fold tests nothing"


@pytest.fixture(scope="module")
def real(real_data: Path) -> list[Annotation]:
    """TXL-PBC and BCCD, of which 160 images are in both."""
    path = Path(trainer.__file__).parent / "recipes" / "datasets.yaml"
    return each_once(part for one in load_description(path).datasets[:2] for part in read_dataset(one, path, real_data))


def test_real_images_that_belong_together_are_never_parted(real: list[Annotation]) -> None:
    patterns = {"Raabin-WBC": r"(.+)_\d+$"}
    rows = divide(real, parse_plan("grouped:0.2"), patterns)
    homes: dict[str, set[str]] = {}
    for one in rows:
        name = one.original.rsplit("_", 1)[0] if one.source == "Raabin-WBC" else one.original
        homes.setdefault(f"{one.source}/{name}", set()).add(one.split)
    assert all(len(found) == 1 for found in homes.values())
    shared = {one.original: one.split for one in rows if one.source == "BCCD"}
    assert shared["BloodImage_00037"] == shared["BloodImage_00038"], "two pictures of one field, under two names"
    assert len(shared) == 364
