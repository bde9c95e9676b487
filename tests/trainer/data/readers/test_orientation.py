"""Pictures that say how to hold them: boxes are of the stored picture or of the shown one, and nobody guesses which."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image as Pillow
from support.smears import CLASS_MAP

from edge.contracts.errors import DataError
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.source_files import read_image

ORIENTATION = 274
STORED_BOX = (30, 20, 90, 60)
SIZE = (200, 120)


def lying(path: Path, orientation: int) -> Path:
    """A grey picture with one black box, and a tag."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8)
    x1, y1, x2, y2 = STORED_BOX
    pixels[y1:y2, x1:x2] = 0
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path, exif=exif, quality=98)
    return path


def shown_box(path: Path) -> tuple[list[float], tuple[int, int]]:
    """Where a viewer shows the black box, as YOLO writes it; found by OpenCV, which turns as viewers do unless told not to."""
    shown = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)
    rows, columns = np.nonzero(np.asarray(shown) < 100)
    height, width = np.asarray(shown).shape
    x1, y1, x2, y2 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height], (width, height)


def read(root: Path, **changes: object) -> list[Annotation]:
    (root / "map.yaml").write_text(CLASS_MAP)
    (root / "set" / "classes.txt").write_text("WBC\n")
    row = {"format": "yolo", "folder": "set", "class_map": "map.yaml", "source": "LAB", "um_per_px": 0.1, **changes}
    (root / "data.yaml").write_text(yaml.safe_dump({"datasets": [row]}))
    return load_datasets(root / "data.yaml", root)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_boxes_of_the_shown_picture_are_turned_to_the_stored_one(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = lying(tmp_path / "set" / "images" / f"a{suffix}", orientation)
    box = shown_box(path)[0] if suffix == ".jpg" else shown_box(lying(tmp_path / "same.jpg", orientation))[0]
    labels = tmp_path / "set" / "labels" / "a.txt"
    labels.parent.mkdir()
    labels.write_text(f"0 {' '.join(map(str, box))}\n")
    (row,) = read(tmp_path, orientation="shown")
    assert (row.width_px, row.height_px) == SIZE
    np.testing.assert_allclose(row.boxes_px, [STORED_BOX], atol=1.1)
    x1, y1, x2, y2 = row.boxes_px[0].round().astype(int).tolist()
    assert read_image(path)[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].max() < 60, "the box is where the pixels are"


@pytest.mark.parametrize("orientation", [2, 3, 6])
def test_nobody_guesses_which_picture_was_marked(tmp_path: Path, orientation: int) -> None:
    lying(tmp_path / "set" / "images" / "a.jpg", orientation)
    labels = tmp_path / "set" / "labels" / "a.txt"
    labels.parent.mkdir()
    labels.write_text("0 0.3 0.33333 0.3 0.33333\n")
    with pytest.raises(DataError, match=rf"a\.jpg has the EXIF orientation {orientation}: .*`orientation: shown`"):
        read(tmp_path)
    (row,) = read(tmp_path, orientation="stored")
    np.testing.assert_allclose(row.boxes_px, [STORED_BOX], atol=0.1)
    labels.write_text("")
    assert len(read(tmp_path)[0].labels) == 0, "without boxes nothing is in doubt"


def test_voc_states_the_size_of_what_was_shown(tmp_path: Path) -> None:
    lying(tmp_path / "set" / "a.jpg", 6)
    box = "<bndbox><xmin>61</xmin><ymin>31</ymin><xmax>100</xmax><ymax>90</ymax></bndbox>"
    (tmp_path / "set" / "a.xml").write_text(
        "<annotation><filename>a.jpg</filename><size><width>120</width><height>200</height></size>"
        f"<object><name>WBC</name>{box}</object></annotation>"
    )
    (row,) = read(tmp_path, format="voc", orientation="shown")
    assert row.boxes_px.tolist() == [list(STORED_BOX)]
    with pytest.raises(DataError, match="states 120x200 px, its image has 200x120"):
        read(tmp_path, format="voc", orientation="stored")


def test_a_turned_tiff_is_refused(tmp_path: Path) -> None:
    lying(tmp_path / "set" / "images" / "a.tif", 6)
    labels = tmp_path / "set" / "labels" / "a.txt"
    labels.parent.mkdir()
    labels.write_text("")
    with pytest.raises(DataError, match="is a TIFF with the orientation 6"):
        read(tmp_path, orientation="shown")
