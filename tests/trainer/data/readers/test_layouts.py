"""Folders as annotation tools write them, and names as other systems spell them: every image gets its own labels."""

import json
import unicodedata
from pathlib import Path

import pytest
import yaml
from support.smears import CLASS_MAP, smear, write

from edge.contracts.cells import INDEX
from edge.contracts.errors import DataError
from trainer.data.annotation import UNTYPED_WBC, Annotation
from trainer.data.datasets import load_datasets

pytestmark = pytest.mark.timeout(20)

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


@pytest.mark.parametrize(
    ("files", "numbers"),
    [
        pytest.param({"data.yaml": "names: {1: WBC, 2: MONOCYTE}"}, {1: UNTYPED_WBC, 2: INDEX["monocyte"]}, id="from 1"),
        pytest.param({"data.yaml": "names: {0: RBC, 7: MONOCYTE}\nnc: 8"}, {7: INDEX["monocyte"]}, id="with a gap"),
        pytest.param(
            {"data.yaml": "names: {" + ", ".join(f'"{k}": RBC' for k in range(10)) + ', "10": WBC, "11": MONOCYTE}'},
            {10: UNTYPED_WBC, 11: INDEX["monocyte"]},
            id="in quotes: 10 comes after 2",
        ),
        pytest.param({"classes.txt": "RBC\nWBC\n\n"}, {1: UNTYPED_WBC}, id="a list with a blank line at its end"),
        pytest.param(
            {"classes.txt": "RBC\nWBC\n", "data.yaml": "names: [RBC, WBC, MONOCYTE]"},
            {1: UNTYPED_WBC, 2: INDEX["monocyte"]},
            id="two files that agree as far as both go",
        ),
        pytest.param({"custom.yaml": "names: [WBC]"}, {0: UNTYPED_WBC}, id="another name of the file"),
    ],
)
def test_a_class_number_means_what_its_file_says(tmp_path: Path, files: dict[str, str], numbers: dict[int, int]) -> None:
    drawn(tmp_path, {**files, **{f"images/{k}.jpg": "" for k in numbers}})
    (tmp_path / "set" / "labels").mkdir()
    for number in numbers:
        (tmp_path / "set" / "labels" / f"{number}.txt").write_text(f"{number} 0.5 0.5 0.25 0.5\n")
    assert {int(row.original): row.labels.tolist() for row in read(tmp_path, "yolo")} == {k: [v] for k, v in numbers.items()}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param(
            {"data.yaml": "names: {1: WBC}"},
            "has the class 0, which no class name is given for",
            id="a number before the first",
        ),
        pytest.param(
            {"data.yaml": "names: [WBC, RBC]", "classes.txt": "RBC\nWBC\n"},
            r"class 0 is 'RBC' in \S+classes\.txt and 'WBC' in \S+data\.yaml",
            id="contradicted by a second file",
        ),
        pytest.param(
            {"data.yaml": "names: [WBC]", "labels/classes.txt": "RBC\n"}, "class 0 is 'RBC'", id="by one beside the labels"
        ),
        pytest.param({"data.yaml": "names: [WBC, RBC]\nnc: 3"}, "says nc: 3 and names 2 classes", id="a count that is wrong"),
        pytest.param({"data.yaml": "names: {0: WBC, '0': RBC}"}, "names class 0 twice", id="once in quotes"),
        pytest.param({"data.yaml": "names: {zero: WBC}"}, "the entry `zero: WBC`", id="a number in words"),
        pytest.param({"data.yaml": "names: {-1: WBC}"}, "the entry `-1: WBC`", id="a number below 0"),
        pytest.param({"data.yaml": "names: [[WBC]]"}, "the entry `0: ", id="a list in the list"),
        pytest.param({"data.yaml": "names: {}"}, "has no list `names`", id="no names"),
        pytest.param({"a.yaml": NAMES, "b.yaml": NAMES}, "both describe", id="two files of which neither is data.yaml"),
        pytest.param({"readme.md": "x"}, "has no data.yaml", id="no file"),
    ],
)
def test_class_names_in_doubt_are_said(tmp_path: Path, files: dict[str, str], says: str) -> None:
    drawn(tmp_path, {**files, "images/a.jpg": "", "labels/a.txt": YOLO_LINE})
    with pytest.raises(DataError, match=says):
        read(tmp_path, "yolo")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b'<?xml version="1.0" encoding="gb2312"?>' + xml("a.jpg").encode("gb2312"), "", id="Chinese"),
        pytest.param(b'<?xml version="1.0" encoding="Shift_JIS"?>' + xml("a.jpg").encode("shift_jis"), "", id="Japanese"),
        pytest.param(b'<?xml version="1.0" encoding="cp1252"?>' + xml("a.jpg").encode("cp1252"), "", id="Windows"),
        pytest.param(xml("a.jpg").encode("utf-16"), "", id="UTF-16 with a mark"),
        pytest.param(xml("a.jpg").encode("utf-16-le"), "", id="UTF-16 without one"),
        pytest.param(b'<?xml version="1.0" encoding="utf-16"?>' + xml("a.jpg").encode(), "", id="UTF-16 by mistake"),
        pytest.param(xml("a.jpg").encode("utf-8-sig"), "", id="UTF-8 with a mark"),
        pytest.param(b'<?xml version="1.0" encoding="utf8mb4"?>' + xml("a.jpg").encode(), "", id="an odd name, but ASCII"),
        pytest.param(
            b'<?xml version="1.0" encoding="utf8mb4"?>' + xml("ä.jpg").encode(),
            "the encoding 'utf8mb4', which is not known",
            id="unknown",
        ),
        pytest.param(b'<?xml version="1.0" encoding="hex"?>' + xml("ä.jpg").encode(), "which is not known", id="no encoding"),
        pytest.param(
            b'<?xml version="1.0" encoding="utf-8"?>' + xml("ä.jpg").encode("cp1252"), "which its byte 60 is not", id="another"
        ),
        pytest.param(b"", "is not XML", id="an empty file"),
        pytest.param(b"\0\0\0", "is not XML", id="zeros"),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_has(tmp_path: Path, content: bytes, says: str) -> None:
    drawn(tmp_path, {"a.jpg": "", "a.xml": "x"})
    (tmp_path / "set" / "a.xml").write_bytes(content)
    if not says:
        assert [row.labels.tolist() for row in read(tmp_path, "voc")] == [[UNTYPED_WBC]]
        return
    with pytest.raises(DataError, match=says) as caught:
        read(tmp_path, "voc")
    assert r"a.xml" in str(caught.value)
