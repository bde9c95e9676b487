"""The report a person opens: whole, closed in itself, honest about what is not known, safe with names from outside."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.made_up_summary import TRUTHS, made_up
from typer import Typer
from typer.testing import CliRunner

from edge.contracts.cells import NAMES
from edge.contracts.errors import ConfigError, DataError
from trainer.commands.report import report
from trainer.reporting.formatting import in_words
from trainer.reporting.report_sources import load_reference, load_runs
from trainer.reporting.report_writer import write_report

app = Typer()
app.command()(report)

VOID = {"meta", "link", "br", "img", "hr", "input"}
HOSTILE = "a/<script>alert(1)</script>|`x`.png"


class Page(HTMLParser):
    """Collects text, tags and attributes; fails on tags that do not balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "a").mkdir(parents=True)
    field = np.full((140, 160, 3), 210, np.uint8)
    cv2.circle(field, (85, 75), 24, (150, 60, 110), -1)
    assert cv2.imwrite(str(folder / "a/1.png"), field)
    return folder


def report_of(folder: Path, *summaries: dict[str, Any], root: Path | None = None) -> tuple[Page, str]:
    """Through the command line; page and Markdown."""
    paths = []
    for number, summary in enumerate(summaries):
        paths.append(folder / f"s{number}.json")
        paths[-1].write_text(json.dumps(summary), encoding="utf-8")
    options = ["--out", str(folder / "out")] + (["--root", str(root)] if root else [])
    done = CliRunner().invoke(app, [*map(str, paths), *options])
    if done.exception:
        raise done.exception
    assert done.output.split() == [str(folder / "out/report.html"), str(folder / "out/report.md")]
    html, text = ((folder / "out" / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    return Page(html), text


def tables_in(markdown: str) -> list[list[list[str]]]:
    blocks = [block.split("\n") for block in markdown.strip().split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block] for block in blocks]


def test_the_page_is_whole_and_loads_nothing(tmp_path: Path, root: Path) -> None:
    page, _ = report_of(tmp_path, made_up(), root=root)
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in page.tags}
    loads = [
        value for _, attrs in page.tags for name, value in attrs.items() if name in {"src", "href", "srcset", "xlink:href"}
    ]
    assert loads and all(value and value.startswith(("#", "data:image/jpeg;base64,")) for value in loads)
    assert sum(value is not None and value.startswith("data:") for value in loads) == 3
    style = (tmp_path / "out/report.html").read_text(encoding="utf-8").split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style


def test_every_table_has_a_caption_and_every_drawing_a_text(tmp_path: Path, root: Path) -> None:
    page, _ = report_of(tmp_path, made_up(), root=root)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") > 8
    drawings = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(drawings) >= len(TRUTHS) + 2
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)


def test_both_name_every_class_and_say_what_is_not_known(tmp_path: Path) -> None:
    page, text = report_of(tmp_path, made_up())
    for shown in (page.text, text):
        assert not [name for name in NAMES if in_words(name) not in shown]
        assert re.search(r"No held-back image shows a blast, .* or an artefact; nothing is known about them\.", shown)
        assert "Fewer than 10 cells: eosinophil (3)" in shown
        assert "In italics: fewer than 10 cells" in shown
        assert "not the reference's own" in shown
        assert "All curves are ours: of the reference's there are no points to draw" in shown
        assert "Pictures were left out" in shown
    assert "| eosinophil | *3* | *0.560* | *0.550* | 0.985 |" in text


FOLDS = {
    "wbc_ap": [0.9, 0.8],
    "map": [0.6, 0.5],
    "mean_wbc_ap": 0.85,
    "mean_map": 0.55,
    "mean_map_11_point": 0.5,
    "mean_class_ap": {},
}

ABNORMAL = {"classes": ["eosinophil", "blast"], "ap": {"eosinophil": 0.92}, "map": 0.92, "words": "Without the blast."}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(
            {"split": "train,test"}, "Images of the training split are among these", id="trained-on-what-was-measured"
        ),
        pytest.param({"split": "train,test"}, "No image shows a blast", id="then-nothing-was-held-back"),
        pytest.param({"missed": []}, "tiny: no error is recorded.", id="no-error"),
        pytest.param({"models": [], "date": None}, "not recorded", id="nobody-said-which-model"),
        pytest.param({"split_by": "source:lab_b"}, "every image of lab_b", id="split-in-words"),
        pytest.param({"caution": "It may know these images."}, "It may know these images.", id="known-images"),
        pytest.param({"folds": FOLDS}, "each image held back once, in 2 folds", id="cross-validation-in-words"),
        pytest.param({"abnormal": ABNORMAL}, "tiny (1 of 2 classes, 3 cells, weak)", id="what-the-abnormal-mean-is-over"),
        pytest.param({"split_by": "pooled folds"}, "test: pooled folds", id="a-split-of-another-command"),
    ],
)
def test_the_words_follow_the_summary(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    page, _ = report_of(tmp_path, made_up(**changes))
    assert sentence in page.text


def test_one_missing_class_is_told_in_the_singular(tmp_path: Path) -> None:
    classes = {name: row for name, row in made_up()["classes"].items() if row["truth"] or name == "blast"}
    page, _ = report_of(tmp_path, made_up(classes=classes))
    assert "No held-back image shows a blast; nothing is known about it." in page.text


def test_the_reference_stands_in_the_tables_as_published(tmp_path: Path) -> None:
    _, text = report_of(tmp_path, made_up())
    reference = load_reference()
    (table1,) = (t for t in tables_in(text) if t[0][0] == "class" and len(t[0]) > 7)
    table2 = next(t for t in tables_in(text) if t[0][0] == "system" and len(t) > 8)
    rows = {row[0]: row[-7:] for row in table1[2:]}
    for k, name in enumerate(reference.classes):
        assert [float(value) for value in rows[in_words(name)]] == [system.ap[k] for system in reference.systems]
    assert [float(value) for value in rows["mAP over each column's own classes"]] == [
        system.map for system in reference.systems
    ]
    published = [(system.map, f"{system.training_hours:g} h", system.inference_ms) for system in reference.systems]
    assert [(float(row[1]), row[2], float(row[4])) for row in table2[-7:]] == published


def test_means_are_compared_over_the_same_classes(tmp_path: Path) -> None:
    _, text = report_of(tmp_path, made_up())
    line = next(line for line in text.splitlines() if line.startswith("| mean over the 4 classes"))
    own = [0.8 - 0.03 * NAMES.index(name) for name in TRUTHS]
    theirs = [load_reference().systems[1].ap[NAMES.index(name)] for name in TRUTHS]
    figures = [cell.strip() for cell in line.split("|")]
    assert figures[3] == f"{np.mean(own):.3f}" and figures[6] == f"{np.mean(theirs):.3f}"


def test_runs_on_the_same_images_share_the_column_of_cells(tmp_path: Path) -> None:
    one, other = (made_up(models=[{"name": name, "architecture": "ssd300"}]) for name in "ab")
    _, text = report_of(tmp_path, one, other)
    (head,) = (table[0] for table in tables_in(text) if table[0][0] == "class" and len(table[0]) > 7)
    assert head[:7] == [
        "class",
        "cells",
        "a: AP",
        "a: 11-point AP",
        "b: AP",
        "b: 11-point AP",
        "Wang 2019: SSD300, s\\_min 0.1",
    ]
    fewer = {name: row for name, row in other["classes"].items() if name != "lymphocyte"}
    _, text = report_of(tmp_path, one, other | {"classes": fewer})
    (head,) = (table[0] for table in tables_in(text) if table[0][0] == "class" and len(table[0]) > 7)
    assert head[:5] == ["class", "a: cells", "a: AP", "a: 11-point AP", "b: cells"]
    assert "mean over the 3 classes" in text


def test_markdown_tables_have_one_length_of_row(tmp_path: Path) -> None:
    second = made_up(models=[{"name": "a|b", "architecture": "ssd300"}], missed=[made_up()["missed"][0] | {"image": HOSTILE}])
    _, text = report_of(tmp_path, made_up(), second)
    tables = tables_in(text)
    assert len(tables) > 8
    assert all(len({len(row) for row in table}) == 1 for table in tables)


def test_names_from_outside_stay_text(tmp_path: Path, root: Path) -> None:
    (root / HOSTILE).parent.mkdir(parents=True, exist_ok=True)
    (root / HOSTILE).write_bytes((root / "a/1.png").read_bytes())
    miss = made_up()["missed"][0] | {"image": HOSTILE, "source": '"><img src=x>'}
    page, text = report_of(tmp_path, made_up(missed=[miss], models=[{"name": "<b>x</b>", "architecture": "&amp;"}]), root=root)
    assert not {"script", "img", "b"} & {tag for tag, _ in page.tags}
    assert HOSTILE in page.text and "<b>x</b>" in page.text and "&amp;" in page.text
    assert "<script" not in text.replace("\\<", "")


def test_pictures_show_the_box_where_the_cell_is(tmp_path: Path, root: Path) -> None:
    page, text = report_of(tmp_path, made_up(), root=root)
    kinds = [attrs["class"] for tag, attrs in page.tags if tag == "rect" and attrs["class"] in {"true", "called"}]
    assert kinds == ["true", "true", "called", "called"], "missed, wrong type (both), false alarm"
    assert "An eosinophil, called a segmented neutrophil (score 0.91)." in page.text
    assert "called a monocyte" in text


@pytest.mark.parametrize(
    ("miss", "sentence"),
    [
        pytest.param({"image": "../outside.png"}, "is not under", id="outside-the-root"),
        pytest.param({"image": "a/2.png"}, "give the --root it was measured with", id="missing"),
        pytest.param({"box_px": [900, 900, 950, 950]}, "lies outside image", id="another-image's-box"),
    ],
)
def test_a_picture_that_cannot_be_cut_is_an_error(tmp_path: Path, root: Path, miss: dict[str, Any], sentence: str) -> None:
    (tmp_path / "outside.png").write_bytes((root / "a/1.png").read_bytes())
    with pytest.raises(DataError, match=sentence):
        report_of(tmp_path, made_up(missed=[made_up()["missed"][0] | miss]), root=root)
    assert not (tmp_path / "out").exists()


def renamed_column() -> dict[str, Any]:
    matrix: dict[str, Any] = made_up()["confusion"]
    return matrix | {"columns": ["unheard_of", *matrix["columns"][1:]]}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in made_up().items() if name != key}


@pytest.mark.parametrize(
    ("summaries", "sentence"),
    [
        pytest.param([without("classes")], "`classes`", id="key-missing"),
        pytest.param([without("wbc") | {"wbcs": 1}], "`wbc`", id="key-misspelt"),
        pytest.param([made_up(map=1.5)], "`map`", id="no-share"),
        pytest.param([made_up(confusion=made_up()["confusion"] | {"columns": ["blast"]})], "classes x columns", id="matrix"),
        pytest.param([made_up(confusion=renamed_column())], "classes x columns", id="matrix-without-diagonal"),
        pytest.param([made_up(models=[]), made_up(models=[])], None, id="told-apart-by-their-files"),
    ],
)
def test_what_is_no_summary_is_refused(tmp_path: Path, summaries: list[dict[str, Any]], sentence: str | None) -> None:
    if sentence is None:
        assert "s0 and s1" in report_of(tmp_path, *summaries)[0].text
        return
    with pytest.raises(DataError, match=sentence):
        report_of(tmp_path, *summaries)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [str(tmp_path / "none.json"), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, DataError) and "none.json cannot be read" in str(done.exception)


def test_nine_models_say_that_colours_repeat(tmp_path: Path) -> None:
    summaries = [made_up(models=[{"name": f"m{k}", "architecture": "yolov3"}]) for k in range(9)]
    page, _ = report_of(tmp_path, *summaries)
    assert "What 9 models can and cannot do" in page.text
    assert "After 8 models colours repeat" in page.text


def test_the_same_model_twice_has_two_names(tmp_path: Path) -> None:
    page, _ = report_of(tmp_path, made_up(), made_up(map=0.7))
    assert "tiny (s0) and tiny (s1)" in page.text
    path = str(tmp_path / "s0.json")
    done = CliRunner().invoke(app, [path, path, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, DataError) and "cannot be told from" in str(done.exception)


def test_a_place_that_takes_no_report_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "one.json").write_text(json.dumps(made_up()), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot be written to .*file \(File exists\); choose another --out"):
        write_report(load_runs([tmp_path / "one.json"]), tmp_path / "file", None)
