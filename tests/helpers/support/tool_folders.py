"""Data sets as annotation tools lay them out: files by name, read as the trainer reads them."""

import json
from pathlib import Path

import yaml
from support.smears import CLASS_MAP, smear, write

from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets

SIZE = (200, 160)
YOLO_LINE = "0 0.5 0.5 0.25 0.5\n"
FORMATS: dict[str, dict[str, object]] = {
    "yolo": {"format": "yolo"},
    "voc": {"format": "voc"},
    "coco": {"format": "coco", "annotations": "labels.json"},
}


def xml(filename: str, name: str = "WBC", size: tuple[int, int] = SIZE) -> str:
    box = "<bndbox><xmin>76</xmin><ymin>41</ymin><xmax>125</xmax><ymax>120</ymax></bndbox>"
    return (
        f"<annotation><filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        f"<object><name>{name}</name>{box}</object></annotation>"
    )


def coco(*names: str) -> str:
    images = [{"id": k, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for k, name in enumerate(names)]
    marks = [{"id": k, "image_id": k, "category_id": 1, "bbox": [75, 40, 50, 80]} for k in range(len(names))]
    return json.dumps({"images": images, "annotations": marks, "categories": [{"id": 1, "name": "WBC"}]})


def drawn(root: Path, files: dict[str, str]) -> None:
    """Files with their texts; one without is an image, each another one."""
    for seed, (name, text) in enumerate(files.items()):
        path = root / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text:
            path.write_text(text)
        else:
            write(path, smear(*SIZE, seed=seed))


def read(root: Path, kind: str, **changes: object) -> list[Annotation]:
    (root / "map.yaml").write_text(CLASS_MAP)
    row = {"folder": "set", "class_map": "map.yaml", "source": "LAB", "um_per_px": 0.1, **FORMATS[kind], **changes}
    (root / "data.yaml").write_text(yaml.safe_dump({"datasets": [row]}))
    return load_datasets(root / "data.yaml", root)


NAMES = "names: [WBC, RBC]\n"
