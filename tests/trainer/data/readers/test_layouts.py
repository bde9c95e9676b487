"""Folders as annotation tools write them, and names as other systems spell them: every image gets its own labels."""

import json
import unicodedata
from pathlib import Path

import pytest
from support.tool_folders import NAMES, YOLO_LINE, coco, drawn, read, xml

from edge.contracts.errors import DataError
from trainer.data.annotation import UNTYPED_WBC

pytestmark = pytest.mark.timeout(20)

LAYOUTS = [
    pytest.param(
        "yolo",
        {
            "data.yaml": f"train: ../train/images\nval: ../validation/images\ntest: ../testing/images\n{NAMES}",
            "train/images/a.jpg": "",
            "train/labels/a.txt": YOLO_LINE,
            "validation/images/b.jpg": "",
            "validation/labels/b.txt": YOLO_LINE,
            "testing/images/c.jpg": "",
            "testing/labels/c.txt": YOLO_LINE,
        },
        ["train a", "val b", "test c"],
        id="Roboflow's YOLO: data.yaml names folders from one level deeper",
    ),
    pytest.param(
        "yolo",
        {
            "data.yaml": f"path: /content/drive/set\ntrain: images/part_1\nval: [images/part_2, images/part_3]\n{NAMES}",
            **{f"images/part_{k}/{k}.jpg": "" for k in (1, 2, 3)},
            **{f"labels/part_{k}/{k}.txt": YOLO_LINE for k in (1, 2, 3)},
        },
        ["train 1", "val 2", "val 3"],
        id="folders of any name, on another machine's disk",
    ),
    pytest.param(
        "yolo",
        {
            "data.yaml": f"train: train.txt\nval: val.txt\n{NAMES}",
            "train.txt": "data/images/all/a.jpg\n",
            "val.txt": "./images/all/b.jpg\n",
            "images/all/a.jpg": "",
            "images/all/b.jpg": "",
            "labels/all/a.txt": YOLO_LINE,
            "labels/all/b.txt": YOLO_LINE,
        },
        ["train a", "val b"],
        id="lists of images, one of which begins where Darknet was started",
    ),
    pytest.param(
        "yolo",
        {
            "obj.names": "WBC\nRBC\n",
            "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n",
            "train.txt": "data/obj_train_data/a.jpg\n",
            "obj_train_data/a.jpg": "",
            "obj_train_data/a.txt": YOLO_LINE,
        },
        ["train a"],
        id="CVAT's YOLO 1.1: obj.names, and the texts beside the images",
    ),
    pytest.param(
        "yolo",
        {"classes.txt": "WBC\nRBC\n", "a.jpg": "", "a.txt": YOLO_LINE},
        ["train a"],
        id="labelImg's YOLO: everything in one folder",
    ),
    pytest.param(
        "yolo",
        {"images/a.jpg": "", "labels/a.txt": YOLO_LINE, "labels/classes.txt": "WBC\nRBC\n"},
        ["train a"],
        id="labelImg's class names, beside the labels",
    ),
    pytest.param(
        "yolo",
        {
            "notes.json": '{"categories": [{"id": 0, "name": "WBC"}], "info": {}}',
            "classes.txt": "WBC\n",
            "images/a.jpg": "",
            "labels/a.txt": YOLO_LINE,
        },
        ["train a"],
        id="Label Studio's YOLO",
    ),
    pytest.param(
        "yolo",
        {
            "data.yaml": NAMES,
            "Train/a.jpg": "",
            "Train/a.txt": YOLO_LINE,
            "TEST/Images/b.jpg": "",
            "TEST/Labels/b.txt": YOLO_LINE,
        },
        ["train a", "test b"],
        id="folders in another case",
    ),
    pytest.param(
        "yolo",
        {
            "data.yaml": NAMES,
            "images/train/slide1/a.jpg": "",
            "images/train/slide2/a.jpg": "",
            "labels/train/slide1/a.txt": YOLO_LINE,
            "labels/train/slide2/a.txt": YOLO_LINE,
        },
        ["train images/train/slide1/a", "train images/train/slide2/a"],
        id="a folder a slide, which number their fields alike",
    ),
    pytest.param("voc", {"a.jpg": "", "a.xml": xml("a.jpg")}, ["train a"], id="labelImg's VOC: XML beside the images"),
    pytest.param(
        "voc",
        {"slide1/a.jpg": "", "slide1/a.xml": xml("a.jpg"), "slide2/b.jpg": "", "slide2/b.xml": xml("b.jpg")},
        ["train a", "train b"],
        id="labelImg's VOC in a folder a slide",
    ),
    pytest.param(
        "voc", {"images/a.jpg": "", "Annotations/a.xml": xml("a")}, ["train a"], id="Label Studio's VOC: images, no suffix"
    ),
    pytest.param(
        "voc",
        {"train/a.jpg": "", "train/a.xml": xml("a.jpg"), "valid/b.jpg": "", "valid/b.xml": xml("b.jpg")},
        ["train a", "val b"],
        id="Roboflow's VOC",
    ),
    pytest.param(
        "voc",
        {"JPEGImages/a.jpg": "", "Annotations/a.xml": xml("a.jpg"), "ImageSets/Main/default.txt": "a\n"},
        ["train a"],
        id="CVAT's VOC of an undivided task",
    ),
    pytest.param(
        "voc",
        {
            "JPEGImages/a.jpg": "",
            "Annotations/a.xml": xml("a.jpg"),
            "JPEGImages/b.jpg": "",
            "Annotations/b.xml": xml("b.jpg"),
            "ImageSets/Main/train.txt": "a.jpg\n",
            "ImageSets/Main/test.txt": "B\n",
        },
        ["train a", "test b"],
        id="lists with suffixes, or in another case",
    ),
    pytest.param(
        "coco",
        {"labels.json": coco("a.jpg", "b.jpg"), "a.jpg": "", "b.jpg": ""},
        ["train a", "train b"],
        id="COCO beside its images, as Roboflow writes it",
    ),
    pytest.param(
        "coco",
        {"labels.json": coco("images/a.jpg", "sub/b.jpg"), "images/a.jpg": "", "images/sub/b.jpg": ""},
        ["train a", "train b"],
        id="COCO with a folder in the name, or below the usual one",
    ),
]


@pytest.mark.parametrize(("kind", "files", "found"), LAYOUTS)
def test_every_image_of_a_tools_layout_has_its_labels(
    tmp_path: Path, kind: str, files: dict[str, str], found: list[str]
) -> None:
    drawn(tmp_path, files)
    rows = read(tmp_path, kind)
    assert all(row.labels.tolist() == [UNTYPED_WBC] and row.boxes_px.tolist() == [[75, 40, 125, 120]] for row in rows)
    assert [f"{row.split} {row.original}" for row in rows] == found
    assert len(rows) == sum(not text for text in files.values())


ACCENT = unicodedata.normalize("NFC", "Präparat")


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        pytest.param("a.jpg", "a.TXT", id="the suffix in another case"),
        pytest.param("IMG_1.JPG", "img_1.txt", id="the name in another case"),
        pytest.param(f"{ACCENT}.jpg", f"{unicodedata.normalize('NFD', ACCENT)}.txt", id="composed as a Mac does"),
        pytest.param("slide.12.jpg", "slide.12.txt", id="a dot in the name"),
    ],
)
def test_a_name_as_another_system_spells_it_is_the_images(tmp_path: Path, image: str, labels: str) -> None:
    drawn(tmp_path, {"data.yaml": NAMES, f"images/{image}": "", f"labels/{labels}": YOLO_LINE})
    (row,) = read(tmp_path, "yolo")
    assert row.labels.tolist() == [UNTYPED_WBC]
    (tmp_path / "set" / "labels.json").write_text(coco(image.swapcase()))
    (row,) = read(tmp_path, "coco")
    assert row.path.name == image, "and COCO's names are looked for in the same way"


@pytest.mark.parametrize(
    ("kind", "files", "says"),
    [
        pytest.param(
            "yolo",
            {"data.yaml": NAMES, "images/a.jpg": "", "images/A.jpg": "", "labels/a.txt": YOLO_LINE},
            r"labels/a\.txt could be of \S+/A\.jpg or of another image of almost that name",
            id="two images of almost one name",
        ),
        pytest.param(
            "yolo",
            {"data.yaml": NAMES, "images/b.jpg": "", "labels/B.txt": YOLO_LINE, "labels/b.TXT": YOLO_LINE},
            r"could have its labels in \S+/B\.txt or in \S+/b\.TXT",
            id="two label files of almost one name",
        ),
        pytest.param(
            "yolo",
            {"data.yaml": f"train: images\nval: images\n{NAMES}", "images/a.jpg": "", "labels/a.txt": YOLO_LINE},
            r"images/a\.jpg is in train and in val; strike it in one",
            id="one folder for two splits",
        ),
        pytest.param(
            "yolo",
            {"data.yaml": f"train: images\nval: held/back\n{NAMES}", "images/a.jpg": "", "labels/a.txt": YOLO_LINE},
            r"data\.yaml names held/back for val, which is not in",
            id="a folder that is not there",
        ),
        pytest.param(
            "yolo",
            {"data.yaml": f"train: list.txt\n{NAMES}", "list.txt": "images/b.jpg\n", "images/a.jpg": ""},
            r"list\.txt lists images/b\.jpg, which is not in",
            id="a listed image that is not there",
        ),
        pytest.param(
            "yolo", {"data.yaml": NAMES, "pictures/a.jpg": ""}, "holds no image itself; a YOLO data set has images/", id="none"
        ),
        pytest.param("voc", {"pictures/a.png": ""}, "PASCAL VOC has JPEGImages/ and Annotations/", id="none for VOC"),
        pytest.param(
            "voc",
            {"JPEGImages/a.jpg": "", "Annotations/a.xml": xml("a.jpg"), "ImageSets/Main/validation.txt": "a\n"},
            "has validation.txt, but neither train.txt",
            id="lists that nobody would look into",
        ),
        pytest.param(
            "voc",
            {"JPEGImages/a.jpg": "", "Annotations/a.xml": xml("a.jpg").replace("</bndbox>", "</bndbox><bndbox></bndbox>")},
            "an object with several <bndbox>",
            id="two boxes in one object",
        ),
        pytest.param(
            "coco",
            {"labels.json": coco("C:\\\\scan\\\\a.jpg"), "images/a.jpg": ""},
            "names an image by its full path",
            id="another system's full path",
        ),
    ],
)
def test_what_could_be_meant_in_two_ways_is_said(tmp_path: Path, kind: str, files: dict[str, str], says: str) -> None:
    drawn(tmp_path, files)
    with pytest.raises(DataError, match=says):
        read(tmp_path, kind)


@pytest.mark.parametrize(
    ("name", "is_the_images"),
    [
        ("b.jpg", True),
        ("b.png", True),
        ("b", True),
        ("B.JPG", True),
        ("C:\\\\data\\\\scan\\\\b.jpg", True),
        ("/home/scan/b.jpg", True),
        ("b.1", False),
        ("c.jpg", False),
    ],
)
def test_a_voc_file_name_may_be_a_path_of_any_system(tmp_path: Path, name: str, is_the_images: bool) -> None:
    drawn(tmp_path, {"b.jpg": "", "b.xml": xml(name.replace("\\\\", "\\"))})
    if is_the_images:
        assert len(read(tmp_path, "voc")) == 1
        return
    with pytest.raises(DataError, match="the pair is mixed up"):
        read(tmp_path, "voc")


@pytest.mark.parametrize("filename", ["slide.12", "slide.12.jpg", "slide.12.png"])
def test_a_voc_file_name_may_have_dots(tmp_path: Path, filename: str) -> None:
    drawn(tmp_path, {"slide.12.jpg": "", "slide.12.xml": xml(filename)})
    assert len(read(tmp_path, "voc")) == 1


def test_the_marks_of_a_coco_image_that_is_listed_twice_are_put_together(tmp_path: Path) -> None:
    content = json.loads(coco("a.jpg", "b.jpg", "./a.jpg"))
    content["annotations"][2]["bbox"] = [10, 10, 40, 40]
    drawn(tmp_path, {"labels.json": json.dumps(content), "images/a.jpg": "", "images/b.jpg": ""})
    rows = read(tmp_path, "coco")
    assert [(row.path.name, len(row.labels)) for row in rows] == [("a.jpg", 2), ("b.jpg", 1)]
    (tmp_path / "set" / "more.json").write_text(coco("a.jpg"))
    with pytest.raises(DataError, match=r"more\.json lists a\.jpg, which \S+labels\.json lists too"):
        read(tmp_path, "coco", annotations={"train": "labels.json", "test": "more.json"})
