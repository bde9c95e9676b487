"""Tiles that only say which cell is in their centre."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.smears import smear, write

from edge.contracts.errors import DataError
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.readers.class_folders import divided, find_centre_cell, read_class_folders
from trainer.data.readers.class_map import ClassMap
from trainer.data.readers.description import ClassFoldersDataset
from trainer.data.source_files import read_image
from trainer.recipe import RECIPES

pytestmark = pytest.mark.timeout(60)

MAP = ClassMap(Path("map.yaml"), {"monocyte": 7, "platelet": None})


def settings(**shares: float) -> ClassFoldersDataset:
    row = {"format": "class_folders", "folder": "x", "class_map": "x", "source": "LAB", "um_per_px": 0.1, "shares": shares}
    return ClassFoldersDataset.model_validate(row)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    overlap = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0).prod()
    return float(overlap / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap))


@pytest.mark.parametrize(("x", "y", "radius"), [(180, 180, 62), (165, 200, 45), (195, 175, 75)])
def test_the_box_encloses_the_drawn_cell(x: int, y: int, radius: int) -> None:
    found = find_centre_cell(smear(360, 362, ((x, y, radius),)), Path("tile.jpg"))
    assert iou(np.array(found), np.array([x - radius, y - radius, x + radius, y + radius])) > 0.85


@pytest.mark.parametrize(
    "cells", [pytest.param((), id="red cells only"), pytest.param(((40, 40, 30),), id="a leukocyte in the corner")]
)
def test_a_tile_without_a_centre_cell_is_said(cells: tuple[tuple[int, int, int], ...]) -> None:
    with pytest.raises(DataError, match="no stained cell in its centre"):
        find_centre_cell(smear(360, 360, cells), Path("tile.jpg"))


def test_folders_name_classes_and_background_has_no_box(tmp_path: Path) -> None:
    for k in range(5):
        write(tmp_path / "monocyte" / f"m{k}.png", smear(240, 240, ((120, 120, 45),), seed=k))
        write(tmp_path / "platelet" / f"p{k}.png", smear(240, 240, seed=k))
    found = read_class_folders(tmp_path, MAP, settings(train=0.6, val=0.2, test=0.2))
    assert [row.labels.tolist() for row in found] == [[7]] * 5 + [[]] * 5
    assert Counter(row.split for row in found) == {"train": 6, "val": 2, "test": 2}


def test_tiles_numbered_alike_in_every_folder_are_all_read(tmp_path: Path) -> None:
    for folder, cells in (("monocyte", ((120, 120, 45),)), ("platelet", ())):
        write(tmp_path / folder / "001.png", smear(240, 240, cells))
    found = read_class_folders(tmp_path, MAP, settings(train=1.0))
    assert {row.original for row in found} == {"monocyte/001", "platelet/001"}


def test_a_folder_the_map_does_not_have_is_said(tmp_path: Path) -> None:
    write(tmp_path / "blast" / "b.png", smear())
    with pytest.raises(DataError, match=r"class 'blast', which map\.yaml does not map"):
        read_class_folders(tmp_path, MAP, settings(train=1.0))


def test_a_split_does_not_change_when_the_order_does() -> None:
    names = [f"tile_{k}" for k in range(40)]
    shares = {"train": 0.7, "val": 0.1, "test": 0.2}
    assert divided(names, shares) == divided(names[::-1], shares)  # type: ignore[arg-type]
    assert Counter(divided(names, shares).values()) == {"train": 28, "val": 4, "test": 8}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def annotations(real_data: Path) -> list[Annotation]:
    return load_datasets(RECIPES / "datasets.yaml", real_data)


def test_found_boxes_agree_with_drawn_ones_on_real_tiles(annotations: list[Annotation]) -> None:
    drawn = [row for row in annotations if row.source == "PBC" and len(row.labels) == 1 and row.labels[0] >= 0][::10]
    found = [iou(np.array(find_centre_cell(read_image(row.path), row.path)), row.boxes_px[0]) for row in drawn]
    assert len(found) >= 40
    assert np.median(found) > 0.9


def test_no_real_original_is_in_two_splits(annotations: list[Annotation]) -> None:
    assert len({row.original for row in annotations}) == len(annotations)
    assert sum(row.source == "BCCD" for row in annotations) == 364, "160 of them are in both data sets"
    assert {"train", "val", "test"} == {row.split for row in annotations}
