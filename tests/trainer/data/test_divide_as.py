"""A description that divides its images as another one: a model taught further holds back what its parent held back."""

from pathlib import Path

import pytest
import yaml
from support.small_trainer import Lab, draw_lab
from support.smears import smear, voc, write

from edge.contracts.errors import ConfigError, DataError
from trainer.data.check.unused import unused_words
from trainer.data.datasets import load_datasets
from trainer.data.faults import WithoutUnreadable

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def two_labs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Path]:
    """A laboratory with twelve fields, and a description with eight of another one before them, enough to shift folds."""
    lab = draw_lab(tmp_path_factory.mktemp("divided"))
    for k in range(8):
        write(lab.root / "ward" / "JPEGImages" / f"ward_{k}.jpg", smear(200, 180, ((65, 65, 25),), seed=90 + k))
        voc(lab.root / "ward", f"ward_{k}", (200, 180), [("MONOCYTE", (40, 40, 90, 90))], "train" if k else "test")
    content = yaml.safe_load(lab.description.read_text())
    ward = {**content["datasets"][0], "folder": "ward", "source": "WARD"}
    sources = {**content["sources"], "WARD": {"origin": "drawn", "licence": "none"}}
    wide = lab.root / "wide.yaml"
    wide.write_text(
        yaml.safe_dump({"datasets": [ward, content["datasets"][0]], "sources": sources, "divide_as": lab.description.name})
    )
    return lab, wide


def held(description: Path, root: Path, split_by: str) -> set[str]:
    return {row.original for row in load_datasets(description, root, split_by) if row.split == "test"}


@pytest.mark.parametrize("split_by", ["fold:0/3", "fold:2/3", "grouped:0.3", "random:0.3"])
def test_what_the_other_description_holds_back_stays_held_back(two_labs: tuple[Lab, Path], split_by: str) -> None:
    lab, wide = two_labs
    parents = held(lab.description, lab.root, split_by)
    assert parents
    assert held(wide, lab.root, split_by) == parents | {"ward_0"}, "and of its own, what its data sets say"


def test_without_the_key_another_laboratory_shifts_the_folds(two_labs: tuple[Lab, Path]) -> None:
    """Why the key is there: a parent's held-back images would be trained on by its child."""
    lab, wide = two_labs
    plain = lab.root / "plain.yaml"
    plain.write_text(yaml.safe_dump({k: v for k, v in yaml.safe_load(wide.read_text()).items() if k != "divide_as"}))
    folds = [f"fold:{k}/3" for k in range(3)]
    assert any(
        held(plain, lab.root, one) & held(lab.description, lab.root, one) != held(lab.description, lab.root, one)
        for one in folds
    )


def test_a_laboratory_is_held_back_beside_a_fold(two_labs: tuple[Lab, Path]) -> None:
    lab, wide = two_labs
    parents = held(lab.description, lab.root, "fold:0/3")
    assert held(wide, lab.root, "fold:0/3,source:WARD") == parents | {f"ward_{k}" for k in range(8)}
    with pytest.raises(ConfigError, match="no source 'WRAD' to hold back; the data has LAB, WARD"):
        load_datasets(wide, lab.root, "fold:0/3,source:WRAD")


@pytest.mark.parametrize(("split_by", "expected"), [("source:WARD", 8), ("given", 3)])
def test_divisions_that_name_images_do_not_ask_the_other(two_labs: tuple[Lab, Path], split_by: str, expected: int) -> None:
    lab, wide = two_labs
    assert len(held(wide, lab.root, split_by)) == expected


@pytest.mark.parametrize(
    ("divide_as", "sentence"),
    [
        ("gone.yaml", "gone.yaml does not exist"),
        ("wide.yaml", "divides as another itself"),
    ],
)
def test_a_description_that_cannot_say_it_is_refused(two_labs: tuple[Lab, Path], divide_as: str, sentence: str) -> None:
    lab, wide = two_labs
    other = lab.root / f"by_{divide_as}"
    other.write_text(yaml.safe_dump({**yaml.safe_load(wide.read_text()), "divide_as": divide_as}))
    with pytest.raises(DataError, match=sentence):
        load_datasets(other, lab.root, "fold:0/3")


def test_an_image_is_counted_once_though_it_is_read_for_both(
    two_labs: tuple[Lab, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """A training accounts for every image and box of its folders, and the sums must match."""
    lab, wide = two_labs
    broken = lab.root / "ward" / "JPEGImages" / "ward_3.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    try:
        faults = WithoutUnreadable(0.2)
        rows = load_datasets(wide, lab.root, "fold:0/3", faults)
        assert not unused_words(wide, lab.root, rows, faults.left_out, faults.book)
    finally:
        broken.write_bytes(whole)
