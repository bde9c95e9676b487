"""`leuko-train data`: all that is wrong is listed at once, and labels come out as other rooms read them."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from support.smears import CLASS_MAP, NUCLEUS, smear, voc, write

from edge.contracts.cells import INDEX
from edge.contracts.errors import DataError
from edge.contracts.label_lines import LabelledImage, read_label_lines, write_label_lines
from trainer.cli import main
from trainer.data.annotation import UNTYPED_WBC, Annotation
from trainer.data.check.cell_sizes import cell_sizes, cells_off, sources_off, sources_unlikely
from trainer.data.datasets import load_datasets
from trainer.data.label_export import label_lines

pytestmark = pytest.mark.timeout(30)

MONOCYTE, NRBC = INDEX["monocyte"], INDEX["nrbc"]
CELL = ("MONOCYTE", (61.0, 51.0, 140.0, 130.0))
BLUE = (200, 0, 0)
DISC = (100, 90, 40)
SIZE = (200, 180)


def describe(root: Path, *folders: str) -> Path:
    (root / "map.yaml").write_text(CLASS_MAP)
    row = {"format": "voc", "class_map": "map.yaml", "um_per_px": 0.13}
    path = root / "data.yaml"
    datasets = [{**row, "folder": name, "source": name} for name in folders]
    sources = {name: {"origin": "drawn", "licence": "none"} for name in folders}
    path.write_text(yaml.safe_dump({"datasets": datasets, "sources": sources}))
    return path


def rewritten(path: Path, **changes: object) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Ten images of one laboratory, two held back, one without cells."""
    for k in range(10):
        write(tmp_path / "lab" / "JPEGImages" / f"f_{k}.jpg", smear(*SIZE, (DISC,), seed=k))
        voc(tmp_path / "lab", f"f_{k}", SIZE, [CELL] if k else [], "test" if k > 7 else "train")
    describe(tmp_path, "lab")
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, lab: Path, *arguments: str) -> int:
    command = ["leuko-train", "data", *arguments, "--data", str(lab / "data.yaml"), "--root", str(lab)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path) -> tuple[int, dict[str, Any]]:
    code = run(monkeypatch, lab, "check", "--json")
    return code, json.loads(capsys.readouterr().out)


def test_clean_data_are_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path) -> None:
    code, report = checked(monkeypatch, capsys, lab)
    assert (code, report["findings"]) == (0, [])
    train, test = report["parts"]
    assert train == {"source": "lab", "split": "train", "images": 8, "images_without_cells": 1, "cells": {"monocyte": 7}}
    assert test["cells"] == {"monocyte": 2}


def test_every_fault_is_listed_not_only_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path
) -> None:
    images, labels = lab / "lab" / "JPEGImages", lab / "lab" / "Annotations"
    bad = [("Blast", CELL[1]), ("MONOCYTE", (130.0, 61.0, 71.0, 120.0)), ("MONOCYTE", (71.0, 61.0, 290.0, 120.0)), CELL]
    voc(lab / "lab", "f_1", SIZE, bad)
    (labels / "f_2.xml").unlink()
    (images / "f_3.jpg").write_bytes((images / "f_3.jpg").read_bytes()[:-400])
    (images / "f_4.jpg").write_bytes(b"")
    voc(lab / "lab", "f_5", (400, 360), [CELL])
    code, report = checked(monkeypatch, capsys, lab)
    assert code == DataError.exit_code
    found = sorted((finding["kind"], Path(finding["file"]).name) for finding in report["findings"])
    assert found == [
        ("box", "f_1.xml"),
        ("box", "f_1.xml"),
        ("class", "f_1.xml"),
        ("image", "f_3.jpg"),
        ("image", "f_4.jpg"),
        ("labels", "f_2.jpg"),
        ("labels", "f_5.jpg"),
    ]
    assert {finding["severity"] for finding in report["findings"]} == {"error"}
    assert sum(part["cells"]["monocyte"] for part in report["parts"]) == 5, "the good box of f_1 is still counted"


def test_a_missing_data_set_does_not_hide_what_is_wrong_with_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path
) -> None:
    describe(lab, "ward", "lab")
    (lab / "lab" / "Annotations" / "f_2.xml").unlink()
    _, report = checked(monkeypatch, capsys, lab)
    assert [Path(finding["file"]).name for finding in report["findings"]] == ["ward", "f_2.jpg"]


def test_nothing_but_damaged_images_is_still_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path
) -> None:
    for path in (lab / "lab" / "JPEGImages").iterdir():
        path.write_bytes(b"x")
    code, report = checked(monkeypatch, capsys, lab)
    assert (code, report["parts"], len(report["findings"])) == (DataError.exit_code, [], 10)


def test_names_that_do_not_match_group_by_are_all_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path
) -> None:
    rewritten(lab / "data.yaml", sources={"lab": {"origin": "drawn", "licence": "none", "group_by": r"(f)_[0-7]$"}})
    code, report = checked(monkeypatch, capsys, lab)
    assert code == DataError.exit_code
    assert [Path(finding["file"]).name for finding in report["findings"]] == ["f_8.jpg", "f_9.jpg"]
    assert sum(part["images"] for part in report["parts"]) == 10


@pytest.mark.parametrize(
    ("recipe", "changes", "kind", "files", "says"),
    [
        pytest.param({}, {"sources": {}}, "origin", {"data.yaml"}, "origin and licence of lab; add", id="nobody says whose"),
        pytest.param(
            {"um_per_px": 0.65}, {}, "scale", {f"f_{k}.jpg" for k in range(10)}, "is only 40x36 px at 0.65 um/px", id="coarse"
        ),
    ],
)
def test_what_a_training_would_stop_at_is_found_before_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lab: Path,
    recipe: dict[str, float],
    changes: dict[str, object],
    kind: str,
    files: set[str],
    says: str,
) -> None:
    rewritten(lab / "data.yaml", **changes)
    (lab / "recipe.yaml").write_text(yaml.safe_dump({"based_on": "shipped", "scale": recipe}))
    assert run(monkeypatch, lab, "check", "--json", "--recipe", str(lab / "recipe.yaml")) == DataError.exit_code
    report = json.loads(capsys.readouterr().out)
    assert {(finding["severity"], finding["kind"]) for finding in report["findings"]} == {("error", kind)}
    assert {Path(finding["file"]).name for finding in report["findings"]} == files
    assert all(says in finding["sentence"] for finding in report["findings"])
    assert sum(part["images"] for part in report["parts"]) == 10, "all are counted"


@pytest.mark.parametrize(
    ("seed", "repeated", "kinds"),
    [
        pytest.param(1, 1, [], id="the same picture is used once"),
        pytest.param(77, 0, [("error", "name")], id="another picture with the name is not lost in silence"),
    ],
)
def test_a_name_that_two_folders_of_one_laboratory_use(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lab: Path,
    seed: int,
    repeated: int,
    kinds: list[tuple[str, str]],
) -> None:
    write(lab / "more" / "JPEGImages" / "f_1.jpg", smear(*SIZE, (DISC,), seed=seed))
    voc(lab / "more", "f_1", SIZE, [CELL])
    (first,) = yaml.safe_load((lab / "data.yaml").read_text())["datasets"]
    rewritten(lab / "data.yaml", datasets=[first, {**first, "folder": "more"}])
    _, report = checked(monkeypatch, capsys, lab)
    assert [(finding["severity"], finding["kind"]) for finding in report["findings"]] == kinds
    assert report["repeated"] == repeated
    assert sum(part["images"] for part in report["parts"]) == 10


@pytest.mark.parametrize(
    ("original", "copy", "severity", "kind"),
    [
        pytest.param("f_1", "f_9", "error", "duplicate", id="the same file in train and test spoils the test"),
        pytest.param("f_1", "f_2", "warning", "duplicate", id="the same file twice in train"),
        pytest.param("f_1", "moved", "warning", "near_duplicate", id="nearly the same picture in train and test"),
    ],
)
def test_copies_are_found(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lab: Path,
    original: str,
    copy: str,
    severity: str,
    kind: str,
) -> None:
    images = lab / "lab" / "JPEGImages"
    if copy == "moved":
        write(images / "f_9.jpg", np.roll(smear(*SIZE, (DISC,), seed=1), 1, axis=1))
    else:
        shutil.copy(images / f"{original}.jpg", images / f"{copy}.jpg")
    code, report = checked(monkeypatch, capsys, lab)
    (finding,) = report["findings"]
    assert (finding["severity"], finding["kind"]) == (severity, kind)
    assert code == (DataError.exit_code if severity == "error" else 0), "a warning does not fail"


def sized(source: str, sides_um: list[float], um_per_px: float = 0.1, label: int = MONOCYTE) -> Annotation:
    corners = [(50.0 + 400 * k, 50.0, 50 + 400 * k + side / 0.1, 50 + side / 0.1) for k, side in enumerate(sides_um)]
    boxes = np.array(corners, np.float32)
    labels = np.full(len(boxes), label, np.int32)
    return Annotation(Path(f"{source}.jpg"), 400 * len(boxes), 400, um_per_px, boxes, labels, source, source, "train")


@pytest.mark.parametrize(
    ("um_per_px", "factor"),
    [
        pytest.param(0.1, None, id="as measured"),
        pytest.param(0.115, None, id="laboratories differ by a seventh"),
        pytest.param(0.2, 1.93, id="half the pixels, the scale of the whole"),
        pytest.param(0.0625, 0.647, id="100x, the scale of 160x"),
    ],
)
def test_a_wrong_scale_shows_as_a_whole_source_off(um_per_px: float, factor: float | None) -> None:
    rows = [sized("LAB", [14.0] * 10), sized("WARD", [15.0] * 9), sized("NEW", [14.5] * 9, um_per_px)]
    found = dict(sources_off(cell_sizes(rows)))
    assert found == ({} if factor is None else {"NEW": pytest.approx(factor, rel=0.02)})
    assert list(cells_off(cell_sizes(rows))) == [], "each cell fits the others of its source"


@pytest.mark.parametrize(
    ("sides_um", "um_per_px", "label", "median_um"),
    [
        pytest.param([13.0] * 9, 0.1, UNTYPED_WBC, None, id="as measured"),
        pytest.param([9.0] * 9, 0.1, INDEX["lymphocyte"], None, id="small lymphocytes only"),
        pytest.param([18.0] * 9, 0.1, MONOCYTE, None, id="large monocytes only"),
        pytest.param([13.0] * 9, 0.2, UNTYPED_WBC, 26.0, id="the scale of 2x2 binning, taken without"),
        pytest.param([13.0] * 9, 0.04, UNTYPED_WBC, 5.2, id="40x, the scale of 100x"),
        pytest.param([13.0] * 7, 0.2, UNTYPED_WBC, None, id="too few cells for a median"),
        pytest.param([6.0] * 9, 0.1, NRBC, None, id="a red cell's nucleus is no leukocyte"),
    ],
)
def test_a_wrong_scale_of_the_only_source_shows_by_the_size_leukocytes_have(
    sides_um: list[float], um_per_px: float, label: int, median_um: float | None
) -> None:
    sizes = cell_sizes([sized("LAB", sides_um, um_per_px, label)])
    assert list(sources_off(sizes)) == [], "there is nothing to compare it with"
    assert dict(sources_unlikely(sizes)) == ({} if median_um is None else {"LAB": pytest.approx(median_um)})


def test_the_only_sources_wrong_scale_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path
) -> None:
    (dataset,) = yaml.safe_load((lab / "data.yaml").read_text())["datasets"]
    rewritten(lab / "data.yaml", datasets=[{**dataset, "um_per_px": 0.26}])
    code, report = checked(monkeypatch, capsys, lab)
    (finding,) = report["findings"]
    assert (code, finding["severity"], finding["kind"], finding["file"]) == (0, "warning", "scale", "lab")
    assert "leukocytes of lab measure 20.8 um (median), which in a smear is 8 to 20; measure" in finding["sentence"]


def test_a_cell_far_from_its_class_is_named_and_one_cut_by_the_border_is_not() -> None:
    row = sized("LAB", [14.0] * 10 + [3.0])
    marks = np.array([[0, 50, 30, 190]], np.float32), np.array([MONOCYTE], np.int32)
    cut = Annotation(Path("cut.jpg"), 400, 400, 0.1, *marks, "LAB", "cut", "train")
    ((size, median),) = cells_off(cell_sizes([row, cut]))
    assert (size.row, size.cell) == (0, 10)
    assert median == pytest.approx(14.0)


def test_people_get_tables_and_a_sheet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: Path) -> None:
    voc(lab / "lab", "f_1", SIZE, [("Blast", CELL[1]), CELL])
    assert run(monkeypatch, lab, "check", "--sheet", str(lab / "sheet.png")) == DataError.exit_code
    captured = capsys.readouterr()
    assert "class 'Blast'" in captured.out
    assert "1 errors, 0 warnings" in captured.out
    assert "has 1 errors in its data; mend the listed files" in captured.err
    sheet = cv2.imread(str(lab / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (185, 1850, 3), "one class, ten examples of 24 um at 0.13 um/px"
    *examples, blank = np.split(sheet, 10, axis=1)
    assert (blank == 255).all(), "nine cells"
    # The field reaches from row 2 to 182, the rest is paper; the box of 80 px begins 52 px from either side.
    for example in examples:
        assert (example[:2] == 255).all() and (example[182:] == 255).all()
        assert np.abs(example[92, 92].astype(int) - NUCLEUS).max() < 30, "the cell is in the middle"
        blue = (example == BLUE).all(axis=2)
        assert blue[[52, 131], 52:132].all() and blue[52:132, [52, 131]].all(), "its box is around it"
        assert not blue[:52].any() and not blue[132:].any() and not blue[:, :52].any() and not blue[:, 132:].any()
    assert not np.array_equal(examples[0], examples[1]), "each shows its own"
    assert run(monkeypatch, lab, "check", "--sheet", "sheet.tex") == 2


def test_labels_come_back_as_they_were_written(monkeypatch: pytest.MonkeyPatch, lab: Path) -> None:
    out = lab / "labels.jsonl"
    assert run(monkeypatch, lab, "export", "--out", str(out), "--split", "test") == 0
    rows = [row for row in load_datasets(lab / "data.yaml", lab) if row.split == "test"]
    lines = read_label_lines(out)
    assert [line.path for line in lines] == ["lab/JPEGImages/f_8.jpg", "lab/JPEGImages/f_9.jpg"]
    for row, line in zip(rows, lines, strict=True):
        (cell,) = line.cells
        assert [cell.x1_px, cell.y1_px, cell.x2_px, cell.y2_px] == row.boxes_px[0].tolist()
        assert (cell.label, line.um_per_px, line.width_px, line.height_px) == ("monocyte", 0.13, *SIZE)
        assert (line.source, line.original, line.split) == (row.source, row.original, row.split)
    assert write_label_lines(out, lines) == 2
    assert read_label_lines(out) == lines
    assert run(monkeypatch, lab, "export", "--out", str(out), "--split", "val") == 2, "nothing is not a file of labels"


def test_images_of_one_slide_have_one_group_in_the_lines(lab: Path) -> None:
    groups = [line.group for line in label_lines(load_datasets(lab / "data.yaml", lab), lab, {"lab": r"(f)_\d"})]
    assert groups == [0] * 10


LINE = {"path": "a.jpg", "width_px": 9, "height_px": 9, "um_per_px": 0.1, "source": "LAB", "original": "a", "group": 0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "is empty; `leuko-train data export` writes one", id="no line"),
        pytest.param("{}\n", "line 1 cannot be used", id="no keys"),
        pytest.param(
            json.dumps({**LINE, "split": "train", "cells": [], "boxes": []}), "`boxes` is not a known key", id="extra"
        ),
        pytest.param(
            json.dumps({**LINE, "split": "test", "cells": [{"label": "WBC", "x1_px": 0, "y1_px": 0, "x2_px": 9, "y2_px": 9}]}),
            "'WBC' is no class and none of untyped_wbc",
            id="a name that no class map has been through",
        ),
    ],
)
def test_a_bad_line_is_said_by_its_number(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read_label_lines(path)


def test_a_special_label_is_a_label() -> None:
    cell = {"label": "ignore", "x1_px": 0, "y1_px": 0, "x2_px": 9, "y2_px": 9}
    assert LabelledImage.model_validate({**LINE, "split": "val", "cells": [cell]}).cells[0].label == "ignore"
