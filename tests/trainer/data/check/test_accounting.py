"""Every image, label file and box of a folder ends somewhere, and the sums match; what is not used is named."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml
from support.smears import CLASS_MAP, smear, write

from trainer.data.account import Fate
from trainer.data.check import accounting
from trainer.data.check.check_data import CheckReport, check_data
from trainer.data.check.unused import unused_words
from trainer.data.datasets import load_datasets
from trainer.data.faults import Noted
from trainer.data.readers import yolo as yolo_reader

pytestmark = pytest.mark.timeout(30)

CELL, RED, SMALL = "0 0.5 0.5 0.4 0.5\n", "1 0.2 0.2 0.2 0.2\n", "0 0.1 0.1 0.01 0.01\n"
XML = (
    "<annotation><filename>{0}</filename><size><width>200</width><height>180</height></size>"
    "<object><name>WBC</name><bndbox><xmin>61</xmin><ymin>51</ymin><xmax>140</xmax><ymax>130</ymax></bndbox></object></annotation>"
)
YOLO: dict[str, object] = {"format": "yolo"}


def drawn(root: Path, files: dict[str, str | None]) -> None:
    """Files with their texts; None is an image, each another one."""
    for seed, (name, text) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            write(path, smear(200, 180, ((100, 90, 40),), seed=seed))
        else:
            path.write_text(text)


def check(root: Path, *datasets: dict[str, object]) -> CheckReport:
    (root / "map.yaml").write_text(CLASS_MAP)
    row = {"folder": "set", "class_map": "map.yaml", "source": "lab", "um_per_px": 0.13}
    sources = {name: {"origin": "drawn", "licence": "none"} for name in ("lab", "ward")}
    (root / "data.yaml").write_text(yaml.safe_dump({"datasets": [{**row, **one} for one in datasets], "sources": sources}))
    report, _ = check_data(root / "data.yaml", root)
    for account in report.accounts:
        for one in (account.images, account.label_files, account.boxes):
            assert one.found == one.used + sum(one.not_used.values())
            assert Fate.UNEXPLAINED.value not in one.not_used
    assert not [finding for finding in report.findings if finding.kind == "account"]
    return report


def coco(images: list[str], boxes: list[tuple[int, int]]) -> str:
    """A file that lists images, and boxes as (image, category)."""
    rows = [{"id": k, "file_name": name, "width": 200, "height": 180} for k, name in enumerate(images)]
    marks = [{"image_id": row, "category_id": kind, "bbox": [60, 50, 30 + 15 * k, 80]} for k, (row, kind) in enumerate(boxes)]
    categories = [{"id": 0, "name": "WBC"}, {"id": 1, "name": "RBC"}]
    return json.dumps({"images": rows, "annotations": marks, "categories": categories})


NAMES: dict[str, str | None] = {"set/classes.txt": "WBC\nRBC\n"}
A: dict[str, str | None] = {"set/images/a.jpg": None, "set/labels/a.txt": CELL}

CASES = [
    pytest.param(YOLO, {**NAMES, **A}, [(1, {}), (1, {}), (1, {})], [], id="everything is used"),
    pytest.param(
        YOLO,
        {**NAMES, "set/images/a.jpg": None, "set/labels/a.txt": CELL + RED + CELL + SMALL},
        [(1, {}), (1, {}), (1, {Fate.BACKGROUND: 1, Fate.TWICE: 1, Fate.FAULTY: 1})],
        ["a.txt: the box"],
        id="each box has its end",
    ),
    pytest.param(
        YOLO,
        {**NAMES, **A, "set/labels/b.txt": CELL + CELL, "set/labels/c.txt": ""},
        [(1, {}), (1, {Fate.NO_IMAGE: 2}), (1, {Fate.NO_IMAGE: 2})],
        ["b.txt has no image", "c.txt has no image"],
        id="labels without an image",
    ),
    pytest.param(
        YOLO,
        {**NAMES, **A, "set/images/b.jpg": None},
        [(1, {Fate.FAULTY: 1}), (1, {}), (1, {})],
        ["b.txt is missing"],
        id="an image without labels",
    ),
    pytest.param(
        YOLO,
        {**NAMES, **A, "set/images/b.gif": "x", "set/labels/b.txt": CELL, "set/images/c.heic": "x"},
        [(1, {Fate.SUFFIX: 2}), (1, {Fate.NO_IMAGE: 1}), (1, {Fate.NO_IMAGE: 1})],
        ["b.gif has a suffix that is not read", "2 images of"],
        id="images that are not read, by their suffix",
    ),
    pytest.param(
        YOLO,
        {**NAMES, **A, "set/more/images/b.jpg": None, "set/more/labels/b.txt": CELL},
        [(1, {Fate.UNREAD: 1}), (1, {Fate.NO_IMAGE: 1}), (1, {Fate.NO_IMAGE: 1})],
        ["b.jpg is in a folder that is not read", "1 image of"],
        id="a folder that is not looked into",
    ),
    pytest.param(
        {**YOLO, "leave_out": ["more", "labels/old_*"]},
        {**NAMES, **A, "set/more/b.jpg": None, "set/more/b.txt": CELL, "set/labels/old_1.txt": CELL},
        [(1, {Fate.LEFT_OUT: 1}), (1, {Fate.LEFT_OUT: 2}), (1, {Fate.LEFT_OUT: 2})],
        [],
        id="what the description leaves out",
    ),
    pytest.param(
        {**YOLO, "leave_out": ["images/b.jpg"]},
        {**NAMES, **A, "set/images/b.jpg": None, "set/labels/b.txt": CELL},
        [(1, {Fate.LEFT_OUT: 1}), (1, {Fate.NO_IMAGE: 1}), (1, {Fate.NO_IMAGE: 1})],
        ["b.txt has no image"],
        id="an image that is left out without its labels",
    ),
    pytest.param(
        YOLO,
        {**NAMES, **A, "set/images/._a.jpg": "Mac OS X", "set/.thumbs/a.jpg": "x"},
        [(1, {Fate.STRAY: 1}), (1, {}), (1, {})],
        ["1 image of"],
        id="what a system leaves beside images",
    ),
    pytest.param(
        YOLO,
        {**NAMES, **A, "set/images/b.jpg": "no image", "set/labels/b.txt": CELL + RED},
        [(1, {Fate.FAULTY: 1}), (1, {Fate.FAULTY: 1}), (1, {Fate.FAULTY: 2})],
        ["b.jpg cannot be decoded"],
        id="a damaged image, of which the labels were not read",
    ),
    pytest.param(
        {**YOLO, "unannotated": "negative"},
        {**NAMES, **A, "set/images/b.jpg": None, "set/images/b.xml": XML.format("b.jpg")},
        [(2, {}), (1, {Fate.OTHER_FORMAT: 1}), (1, {})],
        ["b.xml has labels in another format for"],
        id="labels in another format of what is taken for empty",
    ),
    pytest.param(
        {"format": "voc"},
        {
            "set/JPEGImages/a.jpg": None,
            "set/Annotations/a.xml": XML.format("a.jpg"),
            "set/Annotations/c.xml": XML.format("c.jpg"),
            "set/Annotations/d.xml": "<annotation",
            "set/extra/b.jpg": None,
            "set/extra/b.xml": XML.format("b.jpg"),
        },
        [(1, {Fate.UNREAD: 1}), (1, {Fate.NO_IMAGE: 3}), (1, {Fate.NO_IMAGE: 2})],
        ["c.xml has no image", "d.xml has no image", "b.jpg is in a folder that is not read", "1 image of"],
        id="VOC",
    ),
    pytest.param(
        {"format": "voc"},
        {
            "set/JPEGImages/a.jpg": None,
            "set/JPEGImages/b.jpg": None,
            "set/Annotations/a.xml": XML.format("a.jpg"),
            "set/Annotations/b.xml": XML.format("b.jpg"),
            "set/ImageSets/Main/train.txt": "a\n",
        },
        [(1, {Fate.FAULTY: 1}), (1, {Fate.NO_IMAGE: 1}), (1, {Fate.NO_IMAGE: 1})],
        ["b.jpg is in no list", "b.xml is not used, as"],
        id="labels of an image that no list of VOC has",
    ),
    pytest.param(
        {"format": "coco", "annotations": "one.json"},
        {
            "set/one.json": coco(["a.jpg", "sub/b.jpg", "a.jpg", "gone.jpg"], [(0, 0), (1, 1), (2, 0), (3, 0), (9, 0), (0, 7)]),
            "set/two.json": coco(["c.jpg"], [(0, 0)]),
            "set/images/a.jpg": None,
            "set/images/sub/b.jpg": None,
            "set/images/c.jpg": None,
        },
        [
            (2, {Fate.UNLISTED: 1}),
            (1, {Fate.NO_IMAGE: 1}),
            (2, {Fate.BACKGROUND: 1, Fate.FAULTY: 3, Fate.NO_IMAGE: 1}),
        ],
        ["the image 9, which", "the category 7, which", "gone.jpg cannot be read", "two.json is not used", "1 image of"],
        id="COCO",
    ),
    pytest.param(
        {"format": "coco", "annotations": "one.json"},
        {"set/one.json": coco(["a.jpg"], [(0, 0)])[:-1], "set/images/a.jpg": None},
        [(0, {Fate.FAULTY: 1}), (0, {Fate.FAULTY: 1}), (0, {Fate.FAULTY: 1})],
        ["one.json cannot be used"],
        id="a file of annotations that is cut off",
    ),
    pytest.param(
        {"format": "class_folders", "shares": {"train": 1.0}},
        {"set/MONOCYTE/a.jpg": None, "set/RBC/b.jpg": None, "set/MONOCYTE/slide/c.jpg": None, "set/MONOCYTE/d.jpg": "x"},
        [(2, {Fate.FAULTY: 1, Fate.UNREAD: 1}), (0, {}), (1, {Fate.FAULTY: 1, Fate.BACKGROUND: 1})],
        ["d.jpg cannot be decoded", "1 image of"],
        id="folders named by class",
    ),
]


@pytest.mark.parametrize(("dataset", "files", "sums", "says"), CASES)
def test_everything_ends_somewhere_and_is_named(
    tmp_path: Path,
    dataset: dict[str, object],
    files: dict[str, str | None],
    sums: list[tuple[int, dict[Fate, int]]],
    says: list[str],
) -> None:
    drawn(tmp_path, files)
    report = check(tmp_path, dataset)
    (account,) = report.accounts
    got = [(one.used, one.not_used) for one in (account.images, account.label_files, account.boxes)]
    assert got == [(used, {fate.value: count for fate, count in rest.items()}) for used, rest in sums]
    sentences = [finding.sentence for finding in report.findings if "near" not in finding.kind]
    assert len(sentences) == len(says)
    assert all(any(word in sentence for sentence in sentences) for word in says), sentences


def test_an_image_that_two_data_sets_hold_is_accounted_for_in_each(tmp_path: Path) -> None:
    for folder, more in (("set", CELL), ("other", CELL + RED)):
        write(tmp_path / folder / "images" / "a.jpg", smear(200, 180, seed=1))
        drawn(tmp_path, {f"{folder}/classes.txt": "WBC\nRBC\n", f"{folder}/labels/a.txt": more})
    report = check(tmp_path, YOLO, {**YOLO, "folder": "other"})
    assert [account.images.used for account in report.accounts] == [1, 0]
    assert report.accounts[1].images.not_used == {Fate.REPEATED.value: 1}
    assert report.accounts[1].label_files.not_used == {Fate.REPEATED.value: 1}
    assert report.accounts[1].boxes.not_used == {Fate.REPEATED.value: 1, Fate.BACKGROUND.value: 1}


def test_a_data_set_inside_of_another_is_counted_once(tmp_path: Path) -> None:
    drawn(tmp_path, {**NAMES, **A, "set/inner/MONOCYTE/b.jpg": None})
    inner: dict[str, object] = {"format": "class_folders", "folder": "set/inner", "shares": {"train": 1.0}, "source": "ward"}
    report = check(tmp_path, YOLO, inner)
    assert [(account.images.found, account.images.used) for account in report.accounts] == [(1, 1), (1, 1)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_one_may_not_look_into_is_named(tmp_path: Path) -> None:
    drawn(tmp_path, {**NAMES, **A, "set/labels/closed/b.txt": CELL})
    (tmp_path / "set" / "labels" / "closed").chmod(0)
    try:
        report = check(tmp_path, YOLO)
    finally:
        (tmp_path / "set" / "labels" / "closed").chmod(0o755)
    assert "labels/closed cannot be looked into (Permission denied)" in report.findings[0].sentence


def test_what_a_reader_loses_in_silence_does_not_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account can fail: a reader that skips a line, or an image, is found out."""
    drawn(tmp_path, {**NAMES, "set/images/a.jpg": None, "set/labels/a.txt": RED + CELL})
    parsed = yolo_reader.read_text
    monkeypatch.setattr(yolo_reader, "read_text", lambda path: parsed(path).partition("\n")[2])
    with pytest.raises(AssertionError):
        check(tmp_path, YOLO)
    report, _ = check_data(tmp_path / "data.yaml", tmp_path)
    said = [finding.sentence for finding in report.findings if finding.kind == "account"]
    assert said == [f"1 boxes of {tmp_path / 'set'} are not used for no known reason; report this defect."]


def test_the_account_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from trainer.data.check.check_table import show

    drawn(tmp_path, {**NAMES, "set/images/a.jpg": None, "set/labels/a.txt": CELL + RED})
    report = check(tmp_path, YOLO)
    show(report, as_json=False)
    assert "set: 2 boxes = 1 used + 1 of a background class" in capsys.readouterr().out.replace("\n", " ")
    show(report, as_json=True)
    accounts: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["accounts"]
    assert accounts[0]["boxes"] == {"found": 2, "used": 1, "not_used": {"of a background class": 1}}
    assert accounting.raw_boxes(tmp_path / "none.xml") == 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param({}, "", id="all is used"),
        pytest.param({"set/lost.xml": XML.format("lost.png")}, "lost.xml has no image", id="labels without an image"),
        pytest.param({"set/b.gif": "GIF89a"}, "b.gif, is with a suffix that is not read and is not used", id="one image"),
        pytest.param({f"set/{k}.xml": XML.format(f"{k}.png") for k in range(9)}, "and 6 more; `leuko-train data", id="many"),
    ],
)
def test_what_no_training_sees_is_said_without_a_look_at_pixels(
    tmp_path: Path, more: dict[str, str | None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(tmp_path, {"set/a.png": None, "set/a.xml": XML.format("a.png"), **more})
    check(tmp_path, {"format": "voc"})
    faults = Noted()
    rows = load_datasets(tmp_path / "data.yaml", tmp_path, faults=faults)
    monkeypatch.setattr(cv2, "imdecode", None)
    said = unused_words(tmp_path / "data.yaml", tmp_path, rows, {}, faults.book)
    assert says in said
    assert bool(said) == bool(says)
    assert said.count("\n") <= 5


def test_a_data_set_that_could_not_be_begun_has_one_error_and_no_false_ones(tmp_path: Path) -> None:
    drawn(tmp_path, {"set/a.png": None, "set/a.xml": XML.format("a.png")})
    (tmp_path / "other.yaml").write_text("WBC: CHOOSE\n")
    report = check(tmp_path, {"format": "voc", "class_map": "other.yaml"})
    (finding,) = report.findings
    assert "maps 'WBC' to 'CHOOSE', which is no class" in finding.sentence
    assert report.accounts[0].images.not_used == {Fate.FAULTY.value: 1}
