"""`~` in a description is the home directory, in each of its paths."""

from pathlib import Path

import pytest

from trainer.data.readers.description import load_description

TEXT = """
datasets:
  - {format: yolo, folder: ~/yolo, class_map: ~/map.yaml, types: ~/types.csv, um_per_px: {a: 0.1}}
  - {format: coco, folder: data/coco, class_map: map.yaml, source: b, um_per_px: 0.1,
     annotations: {train: ~/train.json}, images: ~/images}
"""


def test_each_path_of_a_description_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    file = tmp_path / "data.yaml"
    file.write_text(TEXT)
    yolo, coco = (dataset.model_dump() for dataset in load_description(file).datasets)
    assert (yolo["folder"], yolo["class_map"]) == ("/home/somebody/yolo", "/home/somebody/map.yaml")
    assert yolo["types"] == "/home/somebody/types.csv"
    assert (coco["folder"], coco["annotations"]) == ("data/coco", {"train": "/home/somebody/train.json"})
    assert coco["images"] == "/home/somebody/images"
