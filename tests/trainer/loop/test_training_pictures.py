"""The sheet of the first batches shows what was trained on, and no picture ends a training."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge.contracts.errors import DataError
from trainer.loop.batches import Batch, Part
from trainer.loop.training_pictures import COLUMNS, SAMPLES, FirstBatches, first_batches_name, write_picture
from trainer.models.detector import Targets

SIDE_PX = 96


def batch(phase: int, first_sample: int, size: int, brightness: int) -> Batch:
    images = torch.full((size, SIDE_PX, SIDE_PX, 3), brightness, dtype=torch.uint8)
    targets = [Targets(torch.tensor([[20.0, 30.0, 60.0, 70.0]]), torch.tensor([6])) for _ in range(size)]
    return Batch(phase, first_sample, [Part(images, targets, list(range(first_sample, first_sample + size)))])


def shown(folder: Path, batches: list[Batch]) -> list[str]:
    told: list[Path] = []
    first = FirstBatches(folder, print, told.append)
    for one in batches:
        first.see(one)
    first.close()
    return [path.name for path in told]


@pytest.mark.parametrize(
    ("batches", "names", "samples"),
    [
        pytest.param([batch(0, 0, 4, 200), batch(0, 4, 4, 90)], [first_batches_name(0)], 8, id="stopped-early"),
        pytest.param([batch(0, 6 * k, 6, 200) for k in range(5)], [first_batches_name(0)], SAMPLES, id="no-more-than-fit"),
        pytest.param(
            [batch(0, 0, 3, 200), batch(1, 0, 3, 90), batch(1, 3, 3, 90)],
            [first_batches_name(0), first_batches_name(1)],
            3,
            id="a-sheet-a-phase",
        ),
        pytest.param([batch(0, 40, 4, 200)], [], 0, id="a-phase-begun-by-a-run-before"),
        pytest.param([batch(0, 40, 4, 200), batch(1, 0, 4, 90)], [first_batches_name(1)], 0, id="and-the-one-after-it"),
    ],
)
def test_the_first_samples_of_each_phase(tmp_path: Path, batches: list[Batch], names: list[str], samples: int) -> None:
    assert shown(tmp_path, batches) == names and sorted(path.name for path in tmp_path.iterdir()) == names
    if samples:
        sheet = cv2.imread(str(tmp_path / names[0]))
        assert sheet is not None and sheet.shape == (-(-samples // COLUMNS) * SIDE_PX, COLUMNS * SIDE_PX, 3)
        assert abs(int(sheet[10, 80].mean()) - 200) < 5
        assert sheet[28:33, 25:55].min() < 120, "the box is drawn"


def test_a_picture_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    assert not write_picture(tmp_path / "gone" / "x.jpg", np.zeros((4, 4, 3), np.uint8), said.append)
    assert "could not be written (No such file or directory); the training goes on without it" in said[0]


def test_what_a_board_has_against_it_does_not_end_the_training(tmp_path: Path) -> None:
    said: list[str] = []

    def full(path: Path) -> None:
        raise DataError("the losses could not be written")

    first = FirstBatches(tmp_path, said.append, full)
    first.see(batch(0, 0, 4, 200))
    first.close()
    assert said == ["the losses could not be written"]
