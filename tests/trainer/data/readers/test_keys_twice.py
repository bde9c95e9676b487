"""A key that is given twice in a file that the trainer reads is refused, whatever the file is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.contracts.errors import ConfigError, DataError, LeukoError
from trainer.data.readers.class_map import load_class_map, read_table
from trainer.data.readers.coco import read_coco
from trainer.data.readers.description import CocoDataset, load_description
from trainer.data.readers.yolo import rows_by_name
from trainer.data.readers.yolo_names import yolo_names
from trainer.overrides import parse_assignment
from trainer.recipe import load_recipe

COCO = CocoDataset(format="coco", folder=".", class_map="", source="", um_per_px=0.1, annotations="data.yaml")
HEADER = "image,source,original_name,wbc_type,n_wbc"


def _map(path: Path) -> Path:
    (path.parent / "map.yaml").write_text("WBC: lymphocyte\n")
    return path.parent / "map.yaml"


READERS: dict[str, tuple[str, Callable[[Path], object], type[LeukoError]]] = {
    "a recipe": ("seed: 1\nseed: 2", lambda path: load_recipe(str(path)), ConfigError),
    "a description of data sets": ("datasets: []\ndatasets: []", load_description, DataError),
    "a class map": ("WBC: lymphocyte\nWBC: monocyte", load_class_map, DataError),
    "a class map, once in quotes": ("1: lymphocyte\n'1': monocyte", load_class_map, DataError),
    "data.yaml of YOLO": ("names: [a]\nnames: [b]", lambda path: yolo_names(path.parent), DataError),
    "names of YOLO": ("names: {0: a, 0: b}", lambda path: yolo_names(path.parent), DataError),
    "names of YOLO, once in quotes": ("names: {0: a, '0': b}", lambda path: yolo_names(path.parent), DataError),
    "a COCO file": (
        '{"images": [], "annotations": [], "annotations": [], "categories": []}',
        lambda path: read_coco(path.parent, load_class_map(_map(path)), COCO),
        DataError,
    ),
    "a column of a table": ("Image,Category,Image\n1,NEUTROPHIL,2", lambda path: read_table(path, ("Image",)), DataError),
    "a row of a table": (f"{HEADER}\na.jpg,A,a,,1\na.jpg,B,a,,1", rows_by_name, DataError),
    "--set": ("{a: 1, a: 2}", lambda path: parse_assignment(f"options={path.read_text()}"), ConfigError),
}


@pytest.mark.parametrize("kind", READERS)
def test_no_file_of_any_room_may_give_a_key_twice(tmp_path: Path, kind: str) -> None:
    text, read, error = READERS[kind]
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(error, match=r"in line \d and again in line \d|twice|two different rows"):
        read(tmp_path / "data.yaml")


@pytest.mark.parametrize("target", ["[lymphocyte]", "{a: b}", "1", "null", "2026-01-01"])
def test_a_class_map_maps_to_words_only(tmp_path: Path, target: str) -> None:
    (tmp_path / "map.yaml").write_text(f"WBC: {target}\n")
    with pytest.raises(DataError, match=r"maps 'WBC' to .*, which is no class"):
        load_class_map(tmp_path / "map.yaml")
