"""Four formats in, one kind of annotation out; every mistake in a data set is one sentence that names the file."""

import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml
from support.smears import CLASS_MAP, smear, voc, write, yolo

from edge.contracts.cells import INDEX
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from trainer.data.annotation import IGNORE, UNTYPED_WBC, Annotation
from trainer.data.datasets import load_datasets
from trainer.data.provenance import data_sha256, describe
from trainer.data.readers.class_map import load_class_map
from trainer.data.readers.description import VocDataset, YoloDataset
from trainer.data.readers.voc import read_voc
from trainer.data.readers.yolo import read_yolo
from trainer.data.source_files import image_size, read_image

pytestmark = pytest.mark.timeout(20)

WBC = ("WBC", (41.0, 31.0, 120.0, 110.0))
OTHER = ("WBC", (130.0, 40.0, 190.0, 100.0))


@pytest.fixture
def class_map(tmp_path: Path) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(CLASS_MAP)
    return path


def read_one_voc(folder: Path, class_map: Path, types: str = "") -> Annotation:
    (folder / "types.csv").write_text(f'Image,Category\n1,"{types}"\n')
    settings = VocDataset(format="voc", folder="set", class_map="map.yaml", types="types.csv", source="LAB", um_per_px=0.07)
    (found,) = read_voc(folder, load_class_map(class_map), settings)
    return found


@pytest.mark.parametrize(
    ("objects", "types", "labels"),
    [
        pytest.param([WBC], "MONOCYTE", [INDEX["monocyte"]], id="one box, one type"),
        pytest.param([WBC], "NEUTROPHIL", [UNTYPED_WBC], id="a neutrophil that may be band or segmented stays untyped"),
        pytest.param([WBC], "", [UNTYPED_WBC], id="no type given"),
        pytest.param([WBC, OTHER], "MONOCYTE, MONOCYTE", [INDEX["monocyte"]] * 2, id="two boxes, the same type twice"),
        pytest.param([WBC, OTHER], "MONOCYTE, BASOPHIL", [UNTYPED_WBC] * 2, id="two types: which is which is not said"),
        pytest.param([WBC, OTHER], "MONOCYTE", [UNTYPED_WBC] * 2, id="two boxes, one type: whose is not said"),
        pytest.param([WBC], "MONOCYTE, MONOCYTE", [UNTYPED_WBC, IGNORE], id="one leukocyte is unmarked: nothing is background"),
        pytest.param([], "MONOCYTE", [IGNORE], id="the only leukocyte is unmarked"),
        pytest.param([], "", [], id="an image without leukocytes is a valid negative"),
        pytest.param([WBC, WBC], "MONOCYTE", [INDEX["monocyte"]], id="one cell marked twice is one cell"),
        pytest.param(
            [("RBC", (50.0, 9.0, 50.0, 9.0)), WBC], "", [UNTYPED_WBC], id="a bad box of a background class is no cell"
        ),
    ],
)
def test_types_are_given_only_where_nothing_is_guessed(
    tmp_path: Path, class_map: Path, objects: list[tuple[str, tuple[float, float, float, float]]], types: str, labels: list[int]
) -> None:
    voc(tmp_path / "set", "image_00001", (200, 160), objects)
    found = read_one_voc(tmp_path / "set", class_map, types)
    assert found.labels.tolist() == labels
    assert len(found.boxes_px) == len(labels)
    if labels and labels[0] != IGNORE:
        assert found.boxes_px[0].tolist() == [40, 30, 120, 110], "VOC counts from 1 and includes the last pixel"


@pytest.mark.parametrize(
    ("objects", "difficult", "types", "labels"),
    [
        pytest.param([WBC], "0", "", [UNTYPED_WBC], id="an ordinary object, said so"),
        pytest.param([WBC], "1", "", [IGNORE], id="nothing is trained or tested there"),
        pytest.param([("RBC", WBC[1])], "1", "", [], id="a difficult object of a background class is no cell either"),
        pytest.param([WBC], "1", "MONOCYTE", [IGNORE], id="the type is the difficult one's: no leukocyte is unmarked"),
        pytest.param([WBC, OTHER], "10", "MONOCYTE", [UNTYPED_WBC, IGNORE], id="one type for two: whose is not said"),
        pytest.param([WBC, OTHER], "01", "MONOCYTE, MONOCYTE", [INDEX["monocyte"], IGNORE], id="the other has its type"),
    ],
)
def test_a_difficult_object_is_an_ignored_region(
    tmp_path: Path,
    class_map: Path,
    objects: list[tuple[str, tuple[float, float, float, float]]],
    difficult: str,
    types: str,
    labels: list[int],
) -> None:
    voc(tmp_path / "set", "image_00001", (200, 160), objects)
    path = tmp_path / "set" / "Annotations" / "image_00001.xml"
    tree = ElementTree.parse(path)
    for node, said in zip(tree.iter("object"), difficult, strict=True):
        ElementTree.SubElement(node, "difficult").text = said
    tree.write(path)
    found = read_one_voc(tmp_path / "set", class_map, types)
    assert found.labels.tolist() == labels
    marked = [[x1 - 1, y1 - 1, x2, y2] for _, (x1, y1, x2, y2) in objects][: len(labels)]
    assert sorted(found.boxes_px.tolist()) == marked
    for box, label in zip(found.boxes_px.tolist(), labels, strict=True):
        assert (label == IGNORE) == (difficult[marked.index(box)] == "1")


def test_yolo_boxes_are_pixels_and_carry_source_scale_and_split(tmp_path: Path, class_map: Path) -> None:
    boxes = [(0, (0.5, 0.5, 0.25, 0.5)), (1, (0.1, 0.1, 0.05, 0.05))]
    yolo(tmp_path / "set", [("val", "a.jpg", "IMG_7.png", "BASOPHIL", boxes)])
    settings = YoloDataset(format="yolo", folder="set", class_map="map.yaml", types="types.csv", um_per_px={"LAB": 0.1})
    rows = read_yolo(tmp_path / "set", load_class_map(class_map), settings)
    found = next(row for row in rows if row.path.name == "a.jpg")
    assert (found.source, found.original, found.split, found.um_per_px) == ("LAB", "IMG_7", "val", 0.1)
    assert (found.width_px, found.height_px) == (200, 160)
    np.testing.assert_allclose(found.boxes_px, [[75, 40, 125, 120]], atol=1e-3)
    assert found.labels.tolist() == [INDEX["basophil"]]


def _described(root: Path, *datasets: dict[str, object]) -> Path:
    (root / "map.yaml").write_text(CLASS_MAP)
    path = root / "datasets.yaml"
    path.write_text(yaml.safe_dump({"datasets": [{"class_map": "map.yaml", **row} for row in datasets]}))
    return path


YOLO_SET = {"format": "yolo", "folder": "first", "types": "types.csv", "um_per_px": {"LAB": 0.1}}
PLAIN = {"format": "yolo", "folder": "first", "source": "LAB", "um_per_px": 0.1}
VOC_SET = {"format": "voc", "folder": "second", "source": "LAB", "um_per_px": 0.1}


def test_an_original_in_two_data_sets_keeps_the_first_ones_split(tmp_path: Path) -> None:
    yolo(tmp_path / "first", [("test", "x.jpg", "image_00001.jpg", "", [(0, (0.5, 0.5, 0.25, 0.5))])])
    for name in ("image_00001", "image_00002"):
        voc(tmp_path / "second", name, (200, 160), [WBC], split="train")
    found = load_datasets(_described(tmp_path, YOLO_SET, VOC_SET), tmp_path)
    splits = {row.original: row.split for row in found}
    assert splits["image_00001"] == "test"
    assert splits["image_00002"] == "train"
    assert len(splits) == len(found), "no original is there twice"


def test_a_bundle_can_say_where_its_images_come_from(tmp_path: Path) -> None:
    voc(tmp_path / "second", "image_00001", (200, 160), [WBC])
    path = _described(tmp_path, VOC_SET)
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "sources": {"LAB": {"origin": "drawn", "licence": "none"}}}))
    described = describe(path, load_datasets(path, tmp_path))
    assert described["sources"] == {"LAB": {"images": 1, "origin": "drawn", "licence": "none"}}
    assert described["train_cells"]["untyped_wbc"] == 1


def test_the_hash_of_the_data_follows_its_pixels(tmp_path: Path) -> None:
    voc(tmp_path / "second", "image_00001", (200, 160), [WBC])
    description = _described(tmp_path, VOC_SET)
    before = data_sha256(load_datasets(description, tmp_path))
    write(tmp_path / "second" / "JPEGImages" / "image_00001.jpg", smear(200, 160, seed=1))
    assert data_sha256(load_datasets(description, tmp_path)) != before


def test_two_laboratories_may_number_their_images_alike(tmp_path: Path) -> None:
    """The same name is the same original only if it shows the same."""
    for source, seed in (("first", 1), ("second", 2)):
        write(tmp_path / source / "JPEGImages" / "image_00001.jpg", smear(200, 160, seed=seed))
        voc(tmp_path / source, "image_00001", (200, 160), [WBC])
    write(tmp_path / "third" / "JPEGImages" / "image_00001.jpg", smear(200, 160, seed=2))
    voc(tmp_path / "third", "image_00001", (200, 160), [WBC])
    sets = [{**VOC_SET, "folder": name, "source": name} for name in ("first", "second", "third")]
    assert [row.source for row in load_datasets(_described(tmp_path, *sets), tmp_path)] == ["first", "second"]


def _poorer(image: Image) -> Image:
    _, packed = cv2.imencode(".jpg", cv2.resize(image, (100, 80), interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(smear(200, 160, seed=1), id="a copy"),
        pytest.param(_poorer(smear(200, 160, seed=1)), id="half the size, saved again as a poor JPEG"),
    ],
)
def test_a_picture_that_two_folders_of_one_laboratory_hold_is_used_once(tmp_path: Path, again: Image) -> None:
    for folder, image in (("first", smear(200, 160, seed=1)), ("second", again)):
        write(tmp_path / folder / "JPEGImages" / "0001.png", image)
        voc(tmp_path / folder, "0001", (image.shape[1], image.shape[0]), [])
        (tmp_path / folder / "JPEGImages" / "0001.jpg").unlink()
    sets = [{**VOC_SET, "folder": folder} for folder in ("first", "second")]
    (found,) = load_datasets(_described(tmp_path, *sets), tmp_path)
    assert found.path == tmp_path / "first" / "JPEGImages" / "0001.png"


@pytest.fixture
def numbered_alike(tmp_path: Path) -> list[dict[str, object]]:
    """Two folders of one laboratory that both begin with 0001."""
    for seed, folder in enumerate(("first", "second")):
        write(tmp_path / folder / "JPEGImages" / "0001.jpg", smear(200, 160, seed=seed))
        voc(tmp_path / folder, "0001", (200, 160), [WBC])
    return [{**VOC_SET, "folder": folder} for folder in ("first", "second")]


def test_another_picture_with_the_same_name_is_not_lost(tmp_path: Path, numbered_alike: list[dict[str, object]]) -> None:
    says = r"second/\S+/0001\.jpg and \S+first/\S+/0001\.jpg are different pictures, and both are '0001' of LAB; rename one, or"
    with pytest.raises(DataError, match=says):
        load_datasets(_described(tmp_path, *numbered_alike), tmp_path)
    numbered_alike[1]["source"] = "WARD"
    assert len(load_datasets(_described(tmp_path, *numbered_alike), tmp_path)) == 2, "what the sentence says helps"


def test_a_damaged_picture_is_not_called_another_one(tmp_path: Path, numbered_alike: list[dict[str, object]]) -> None:
    path = tmp_path / "second" / "JPEGImages" / "0001.jpg"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match=r"second/\S+/0001\.jpg is a truncated JPEG"):
        load_datasets(_described(tmp_path, *numbered_alike), tmp_path)


@pytest.mark.parametrize(
    ("layout", "splits"),
    [
        pytest.param(
            {"images/train": "labels/train", "images/val": "labels/val"}, ["train", "val"], id="as Ultralytics writes it"
        ),
        pytest.param({"train/images": "train/labels", "valid/images": "valid/labels"}, ["train", "val"], id="as Roboflow does"),
        pytest.param({"images": "labels"}, ["train"], id="one folder, as Label Studio does: --split-by divides it"),
    ],
)
def test_a_plain_yolo_export_is_read(tmp_path: Path, layout: dict[str, str], splits: list[str]) -> None:
    for seed, (images, labels) in enumerate(layout.items()):
        write(tmp_path / "first" / images / "001.jpg", smear(200, 160, seed=seed))
        (tmp_path / "first" / labels).mkdir(parents=True)
        (tmp_path / "first" / labels / "001.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (tmp_path / "first" / "classes.txt").write_text("WBC\nRBC\n")
    found = load_datasets(_described(tmp_path, PLAIN), tmp_path)
    assert [row.split for row in found] == splits
    assert all(row.labels.tolist() == [UNTYPED_WBC] and row.source == "LAB" and row.um_per_px == 0.1 for row in found)


def test_voc_without_lists_is_all_for_training(tmp_path: Path) -> None:
    voc(tmp_path / "second", "image_00001", (200, 160), [WBC])
    shutil.rmtree(tmp_path / "second" / "ImageSets")
    assert [row.split for row in load_datasets(_described(tmp_path, VOC_SET), tmp_path)] == ["train"]


@pytest.mark.parametrize(("settings", "labels"), [(VOC_SET, "Annotations/b.xml"), (PLAIN, "labels/b.txt")])
def test_an_image_nobody_annotated_is_a_negative_only_where_the_description_says_so(
    tmp_path: Path, settings: dict[str, object], labels: str
) -> None:
    folder = tmp_path / str(settings["folder"])
    images = folder / ("images" if settings["format"] == "yolo" else "JPEGImages")
    write(images / "b.jpg", smear(200, 160))
    (folder / "classes.txt").write_text("WBC\n")
    with pytest.raises(DataError, match=rf"{labels} is missing; .*unannotated: negative"):
        load_datasets(_described(tmp_path, settings), tmp_path)
    (found,) = load_datasets(_described(tmp_path, {**settings, "unannotated": "negative"}), tmp_path)
    assert len(found.labels) == 0


def _edit(path: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_text(text) and None


def _group_by(pattern: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / "datasets.yaml"
        sources = {"LAB": {"origin": "drawn", "licence": "none", "group_by": pattern}}
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "sources": sources}))

    return damage


def _xml(objects: list[tuple[str, tuple[float, float, float, float]]]) -> Callable[[Path], None]:
    return lambda root: voc(root / "second", "image_00001", (200, 160), objects)


LABELS = "first/labels/train/a.txt"
XML = "second/Annotations/image_00001.xml"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(_edit("second/JPEGImages/image_00001.jpg", ""), r"is empty \(0 bytes\)", id="empty image file"),
        pytest.param(_edit("second/JPEGImages/image_00001.jpg", "text"), "cannot be decoded", id="not an image"),
        pytest.param(
            _xml([("WBC", (120.0, 31.0, 41.0, 110.0))]), r"image_00001\.xml: the box .* is reversed", id="reversed box"
        ),
        pytest.param(_xml([("WBC", (41.0, 31.0, 42.0, 110.0))]), "has a side under 4 px", id="tiny box"),
        pytest.param(_xml([("WBC", (41.0, 31.0, float("nan"), 110.0))]), "is not finite", id="a coordinate that is no number"),
        pytest.param(_xml([("WBC", (199.0, 31.0, 203.0, 110.0))]), "has a side under 4 px", id="a sliver at the border"),
        pytest.param(lambda root: voc(root / "second", "image_00001", (100, 80), []), "states 100x80 px", id="scaled image"),
        pytest.param(_xml([("WBC", (41.0, 31.0, 320.0, 110.0))]), "leaves its 200x160 image", id="box outside the image"),
        pytest.param(_xml([("Blast", (41.0, 31.0, 120.0, 110.0))]), "class 'Blast', which .*map.yaml does not map", id="class"),
        pytest.param(
            lambda root: (root / XML).write_text(
                (root / XML).read_text().replace("</name>", "</name><difficult>yes</difficult>")
            ),
            r"image_00001\.xml has the <difficult> 'yes'; write 1",
            id="difficult is neither 0 nor 1",
        ),
        pytest.param(lambda root: (root / XML).unlink(), r"image_00001\.xml is missing", id="VOC image without labels"),
        pytest.param(_edit(XML, "<annotation>"), "is not XML", id="broken XML"),
        pytest.param(_edit(XML, "<annotation><filename>b.jpg</filename></annotation>"), "describes b.jpg", id="mixed-up pair"),
        pytest.param(lambda root: (root / LABELS).unlink(), r"a\.txt is missing", id="YOLO image without labels"),
        pytest.param(_edit(LABELS, "0 0.5 0.5\n"), r"a\.txt line 1 is not", id="YOLO line cut short"),
        pytest.param(_edit(LABELS, "7 0.5 0.5 0.1 0.1\n"), "has the class 7, which no", id="YOLO class number unknown"),
        pytest.param(_edit(LABELS, "-1 0.5 0.5 0.1 0.1\n"), "has the class -1, which", id="YOLO class -1 is not the last"),
        pytest.param(_edit("first/data.yaml", "names: ["), r"data\.yaml is not valid YAML at line 1", id="YOLO names damaged"),
        pytest.param(_edit("second/ImageSets/Main/val.txt", "image_9\n"), "lists image_9, of which", id="listed, not there"),
        pytest.param(_edit("second/ImageSets/Main/test.txt", "image_00001\n"), "which is in train too", id="in two splits"),
        pytest.param(_edit("first/types.csv", "image,source\n"), "lacks the column 'original_name'", id="column missing"),
        pytest.param(lambda root: (root / "first/types.csv").unlink(), "types.csv does not exist", id="types missing"),
        pytest.param(lambda root: (root / "map.yaml").unlink(), "class map .*map.yaml does not exist", id="map missing"),
        pytest.param(_edit("map.yaml", "WBC: leukocyte\n"), "'leukocyte', which is no class", id="map to no class"),
        pytest.param(_edit("map.yaml", "- WBC\n"), "is not a table", id="map is a list"),
        pytest.param(_edit("datasets.yaml", "sets: []\n"), "`sets` is not a known key", id="unknown key in description"),
        pytest.param(_edit("datasets.yaml", "datasets: [{format: cvat}]\n"), "cannot be used", id="unknown format"),
        pytest.param(_edit("datasets.yaml", "datasets: []\n"), "cannot be used", id="no data set"),
        pytest.param(
            _edit("datasets.yaml", "datasets: [{format: yolo, folder: a, class_map: b, source: LAB, um_per_px: {LAB: 0.1}}]\n"),
            "give either `source` and one um_per_px",
            id="a scale by source without the table of sources",
        ),
        pytest.param(
            _group_by("(slide"), r"`sources.LAB.group_by`: .*'\(slide' is not a regular expr", id="group_by not closed"
        ),
        pytest.param(
            _group_by(r"slide\d+"), "has no group; put what names the slide in brackets", id="group_by without brackets"
        ),
        pytest.param(lambda root: (root / LABELS).write_bytes(b"\xff\xfe0"), r"a\.txt is not UTF-8", id="labels in UTF-16"),
        pytest.param(lambda root: (root / "datasets.yaml").unlink(), "description .* does not exist", id="no description"),
    ],
)
def test_bad_data_is_one_sentence_naming_the_file(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    yolo(tmp_path / "first", [("train", "a.jpg", "a.png", "", [(0, (0.5, 0.5, 0.25, 0.5))])])
    voc(tmp_path / "second", "image_00001", (200, 160), [WBC])
    description = _described(tmp_path, YOLO_SET, VOC_SET)
    damage(tmp_path)
    with pytest.raises(DataError, match=says) as caught:
        load_datasets(description, tmp_path)
    assert "\n" not in str(caught.value)


def test_an_empty_image_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "second" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "second" / "ImageSets" / "Main").mkdir(parents=True)
    for split in ("train", "val", "test"):
        (tmp_path / "second" / "ImageSets" / "Main" / f"{split}.txt").write_text("")
    with pytest.raises(DataError, match="has no image"):
        load_datasets(_described(tmp_path, VOC_SET), tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_the_size_in_the_header_is_the_images(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", smear(123, 77))
    assert image_size(path) == (123, 77)
    assert read_image(path).shape == (77, 123, 3)
