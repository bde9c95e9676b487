"""COCO JSON in, annotations out."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.smears import CLASS_MAP, smear, write

from edge.contracts.cells import INDEX
from edge.contracts.errors import DataError
from trainer.data.annotation import IGNORE, Annotation
from trainer.data.datasets import load_datasets

pytestmark = pytest.mark.timeout(20)

SETTINGS = {"format": "coco", "folder": "set", "class_map": "map.yaml", "source": "LAB", "um_per_px": 0.1}
MARK = {"id": 5, "image_id": 7, "category_id": 3, "bbox": [40, 30, 80, 70], "segmentation": [[1, 2]], "area": 12.5}


def content(**changes: object) -> dict[str, Any]:
    """A file as CVAT or Label Studio writes it, with keys that nobody reads here."""
    return {
        "info": {"year": 2026},
        "images": [
            {"id": 7, "file_name": "field_1.jpg", "width": 200, "height": 160, "license": 1},
            {"id": 8, "file_name": "more\\field_2.jpg", "width": 200, "height": 160},
        ],
        "categories": [{"id": 3, "name": "MONOCYTE", "supercategory": ""}, {"id": 4, "name": "RBC"}],
        "annotations": [MARK],
        **changes,
    }


def read(root: Path, file: object, **settings: object) -> list[Annotation]:
    for name, seed in (("field_1.jpg", 1), ("more/field_2.jpg", 2)):
        write(root / "set" / "images" / name, smear(200, 160, seed=seed))
    (root / "set" / "labels.json").write_text(file if isinstance(file, str) else json.dumps(file))
    (root / "map.yaml").write_text(CLASS_MAP)
    row = {**SETTINGS, "annotations": "labels.json", **settings}
    (root / "data.yaml").write_text(yaml.safe_dump({"datasets": [row]}))
    return load_datasets(root / "data.yaml", root)


@pytest.mark.parametrize(
    ("marks", "labels"),
    [
        pytest.param([MARK], [INDEX["monocyte"]], id="one cell"),
        pytest.param([{**MARK, "iscrowd": 1}], [IGNORE], id="a crowd is neither cell nor background"),
        pytest.param([{**MARK, "category_id": 4, "bbox": [9, 9, 0, 0]}], [], id="a bad box of a background class is no cell"),
        pytest.param([MARK, {**MARK, "id": 6}], [INDEX["monocyte"]], id="one cell marked twice is one cell"),
        pytest.param([], [], id="an image without annotations is a valid negative"),
    ],
)
def test_marks_become_boxes_in_pixels(tmp_path: Path, marks: list[dict[str, object]], labels: list[int]) -> None:
    first, second = read(tmp_path, content(annotations=marks))
    assert first.labels.tolist() == labels
    assert first.boxes_px.tolist() == [[40, 30, 120, 100]] * len(labels)
    assert (first.source, first.original, first.split, first.um_per_px) == ("LAB", "field_1", "train", 0.1)
    assert (second.original, len(second.labels)) == ("field_2", 0)


def test_each_split_may_have_its_own_file_and_folder(tmp_path: Path) -> None:
    write(tmp_path / "set" / "held_back" / "field_1.jpg", smear(200, 160, seed=3))
    test = content(images=[content()["images"][0]])
    (tmp_path / "set" / "test.json").write_text(json.dumps(test))
    parts = {"annotations": {"train": "labels.json", "test": "test.json"}, "images": {"train": "images", "test": "held_back"}}
    found = read(tmp_path, content(), **parts)
    assert [(row.split, row.original) for row in found] == [
        ("train", "images/field_1"),
        ("train", "field_2"),
        ("test", "held_back/field_1"),
    ], "names that are in both folders are told apart"


def _marked(**changes: object) -> dict[str, Any]:
    return content(annotations=[{**MARK, **changes}])


@pytest.mark.parametrize(
    ("file", "says"),
    [
        pytest.param("{", r"labels\.json cannot be used", id="no JSON"),
        pytest.param(content(images=[]), r"labels\.json cannot be used: `images`", id="an empty data set"),
        pytest.param(_marked(bbox=[1, 2, 3]), r"`annotations\.0\.bbox", id="a box of three numbers"),
        pytest.param(_marked(category_id=9), "uses the category 9, which it does not list", id="unknown category"),
        pytest.param(_marked(image_id=9), "annotates the image 9, which it does not list", id="unknown image"),
        pytest.param(_marked(bbox=[40, 30, -9, 70]), r"image field_1\.jpg: the box .* is reversed", id="negative width"),
        pytest.param(_marked(bbox=[40, 30, 170, 70]), "leaves its 200x160 image", id="outside the image"),
        pytest.param(_marked(bbox=[40, 30, 2, 70]), "has a side under 4 px", id="a slip of the mouse"),
        pytest.param(
            content(categories=[{"id": 3, "name": "Blast"}]), "class 'Blast', which .*map.yaml does not", id="unmapped"
        ),
        pytest.param(content(images=content()["images"] * 2), "gives the image id 7 to 2 of them", id="one id for two images"),
        pytest.param(
            content(images=[{"id": 7, "file_name": "field_9.jpg", "width": 200, "height": 160}]),
            r"field_9\.jpg cannot be read",
            id="an image that is not there",
        ),
        pytest.param(
            content(images=[{"id": 7, "file_name": "field_1.jpg", "width": 100, "height": 80}]),
            r"states 100x80 px for .*field_1\.jpg, which has 200x160",
            id="labels of the image at another size",
        ),
    ],
)
def test_bad_data_is_one_sentence_naming_the_file(tmp_path: Path, file: object, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read(tmp_path, file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json does not exist; correct `annotations`"):
        read(tmp_path, content(), annotations="none.json")
