"""Which of the images held back a training is validated on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.small_trainer import Lab

from edge.contracts.errors import ConfigError
from trainer.data.annotation import Annotation, Split
from trainer.data.datasets import load_datasets
from trainer.data.faults import WithoutUnreadable
from trainer.data.held_back import evenly, load_held_back, split_to_validate_on

FIELD = (0.13, 192, 160)


@pytest.fixture(scope="module")
def rows(lab: Lab) -> list[Annotation]:
    return load_datasets(lab.description, lab.root)


@pytest.mark.parametrize(
    ("splits", "trained", "chosen"),
    [
        pytest.param(("train", "val", "test"), {"train"}, "val", id="test-stays-unseen"),
        pytest.param(("train", "test"), {"train"}, "test", id="held-back-by-split-by"),
        pytest.param(("train", "val"), {"train"}, "val", id="val-alone"),
        pytest.param(("train", "val", "test"), {"train", "val"}, "test", id="val-is-trained-on"),
        pytest.param(("train", "val"), {"train", "val"}, None, id="nothing-is-held-back"),
    ],
)
def test_the_split(rows: list[Annotation], splits: tuple[Split, ...], trained: set[str], chosen: str | None) -> None:
    there = [replace(rows[0], split=split) for split in splits]
    assert split_to_validate_on(there, trained) == chosen


@pytest.mark.parametrize(
    ("at_most", "numbers"),
    [(None, range(12)), (12, range(12)), (40, range(12)), (4, (0, 3, 6, 9)), (5, (0, 2, 4, 7, 9)), (1, (0,))],
)
def test_as_many_as_wanted_from_all_over(rows: list[Annotation], at_most: int | None, numbers: list[int]) -> None:
    assert [row.path for row in evenly(rows, at_most)] == [rows[number].path for number in numbers]


def test_pixels_are_those_of_the_file_and_stay_when_it_goes(lab: Lab, rows: list[Annotation], tmp_path: Path) -> None:
    gone = tmp_path / "gone.jpg"
    gone.write_bytes(rows[-1].path.read_bytes())
    mine = [*rows[:-1], replace(rows[-1], path=gone)]
    held = load_held_back(mine, {"train"}, None, FIELD, tmp_path, lab.root, WithoutUnreadable(0))
    gone.unlink()
    assert held is not None and held.split == "test" and [row.path for row in held.rows][-1] == gone
    assert np.array_equal(held.image(held.rows[-1]).shape, (200, 240, 3))


def test_a_damaged_image_is_left_out_like_one_that_is_trained_on(lab: Lab, rows: list[Annotation], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(rows[-1].path.read_bytes()[:200])
    faults = WithoutUnreadable(0.5)
    held = load_held_back([*rows[:-1], replace(rows[-1], path=bad)], {"train"}, None, FIELD, tmp_path, lab.root, faults)
    assert held is not None and len(held.rows) == 1 and list(faults.left_out) == [bad]


def test_an_image_that_does_not_fit_is_said_before_the_training(lab: Lab, rows: list[Annotation], tmp_path: Path) -> None:
    odd = [replace(row, um_per_px=13.0) for row in rows]
    with pytest.raises(ConfigError, match=r"field_10\.jpg, which is held back to validate on: .* check the um/px"):
        load_held_back(odd, {"train"}, None, FIELD, tmp_path, lab.root, WithoutUnreadable(0))
