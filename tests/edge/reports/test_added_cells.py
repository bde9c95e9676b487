"""Cells that the model has missed: added by people behind the records, counted as reviewed, exported, and never twice."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from support.edge_here import leuko_edge
from support.overlapping_journal import example_journal, recorded_journal

from edge.contracts.errors import DataError
from edge.reports.opened_run import opened_run
from edge.reports.review_sheet import RowCheck
from edge.reports.reviewing import review_cell
from edge.reports.run_report import Report
from edge.view.field_state import field_state

pytestmark = pytest.mark.timeout(120)
RUN = "run-a"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return example_journal(tmp_path / "journal.sqlite")


def report_now(journal: Path) -> Report:
    return opened_run(journal, RUN).report


def free_place(report: Report, index: int = 0) -> tuple[float, float]:
    """A middle in that field which is far from every cell of it."""
    middles = [
        ((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in (one.box_px for one in report.cells if one.field_index == index)
    ]
    places = ((x, y) for x in range(200, 500, 20) for y in range(200, 400, 20))
    return next((x, y) for x, y in places if all(abs(x - a) + abs(y - b) > 160 for a, b in middles))


def said(index: int, place: tuple[float, float], label: str = "eosinophil", **more: str) -> dict[str, str]:
    where = {"field_index": str(index), "x_px": str(place[0]), "y_px": str(place[1])}
    return {"cell": "new", "label": label, "who": "Dr. A", "why": "", **where, **more}


def test_an_added_cell_counts_as_reviewed_and_nothing_that_was_sent_changes(journal: Path) -> None:
    before = report_now(journal)
    assert review_cell(journal, RUN, said(0, free_place(before))) == 1
    after = report_now(journal)
    (added,) = (cell for cell in after.cells if cell.added)
    assert (added.id, added.label_now, added.counts, added.is_wbc, added.box_is_assumed) == (
        "f0a0",
        "eosinophil",
        True,
        True,
        True,
    )
    assert after.state == "reviewed" and after.result.basis == "reviewed"
    assert after.result.cells["eosinophil"] == before.result.cells.get("eosinophil", 0) + 1
    assert after.beside[0] == before.result and after.chain.last_link == before.chain.last_link
    assert not [one for one in after.remarks if one.code == "cells_disagree"]
    assert "1 of them added" in after.reviewed
    assert leuko_edge("runs", "verify", "--journal", str(journal)).code == 0


def test_it_may_be_called_otherwise_rejected_and_back(journal: Path) -> None:
    before = report_now(journal)
    review_cell(journal, RUN, said(0, free_place(before)))
    for label, now in (("basophil", "basophil"), ("reject", None), ("confirm", "eosinophil")):
        assert review_cell(journal, RUN, {"cell": "f0a0", "label": label, "who": "B", "why": ""}) == 1
        report = report_now(journal)
        (added,) = (cell for cell in report.cells if cell.added)
        assert added.label_now == now
        assert sum(report.result.cells.values()) == sum(before.result.cells.values()) + (now is not None)


def _sheet(journal: Path, rows: list[dict[str, str]]) -> tuple[int, str]:
    sheet = journal.with_name("sheet.csv")
    names = ["cell", "field_index", "x_px", "y_px", "width_px", "height_px", "label", "who", "why"]
    with sheet.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    done = leuko_edge("runs", "review", RUN, "--csv", str(sheet), "--journal", str(journal))
    return done.code, done.out + done.err


def test_a_sheet_adds_several_and_the_same_sheet_again_adds_none(journal: Path) -> None:
    report = report_now(journal)
    x, y = free_place(report)
    rows = [said(0, (x, y)), said(0, (x, y + 60), "blast", width_px="88", height_px="90"), said(3, free_place(report, 3))]
    assert _sheet(journal, rows)[1].strip() == f"3 reviews of run {RUN} appended: 3 added"
    assert _sheet(journal, rows)[1].strip() == f"0 reviews of run {RUN} appended: none; 3 stood already"
    added = [cell for cell in report_now(journal).cells if cell.added]
    assert [cell.id for cell in added] == ["f0a0", "f0a1", "f3a0"]
    assert added[1].box_px == (x - 44, y + 60 - 45, x + 44, y + 60 + 45) and not added[1].box_is_assumed


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        pytest.param({"field_index": "99"}, "which the run does not have", id="no such field"),
        pytest.param({"field_index": "0.5"}, "which the run does not have", id="half a field"),
        pytest.param({"x_px": ""}, "for x_px; a new cell has", id="no place"),
        pytest.param({"y_px": "here"}, "for y_px; a new cell has", id="a place that is no number"),
        pytest.param({"x_px": "nan"}, "for x_px; a new cell has", id="not a number"),
        pytest.param({"x_px": "732"}, "outside of field 0 (732 x 574 px)", id="beside the picture"),
        pytest.param({"y_px": "-1"}, "outside of field 0", id="above it"),
        pytest.param({"width_px": "50"}, "a width or a height alone", id="half a size"),
        pytest.param({"width_px": "5000", "height_px": "9"}, "which no cell of this field has", id="larger than the field"),
        pytest.param({"width_px": "0", "height_px": "9"}, "which no cell of this field has", id="no size"),
        pytest.param({"label": "reject"}, "a new cell has a class", id="nothing is there"),
        pytest.param({"label": "confirm"}, "a new cell has a class", id="what is confirmed is there"),
        pytest.param({"label": "unicorn"}, "'unicorn', which is no class", id="no class"),
        pytest.param({"who": ""}, "does not say who says so", id="nobody"),
    ],
)
def test_what_cannot_be_added_is_said_and_nothing_is(journal: Path, more: dict[str, str], wrong: str) -> None:
    with pytest.raises(DataError) as raised:
        review_cell(journal, RUN, said(0, free_place(report_now(journal))) | more)
    assert wrong in str(raised.value)
    assert report_now(journal).chain.reviews == 0


def test_what_is_there_is_not_added_in_its_own_field_nor_in_another_that_shows_it(journal: Path) -> None:
    report = report_now(journal)
    cell = report.counted_cells[0]
    x1, y1, x2, y2 = cell.box_px
    with pytest.raises(DataError, match=f"where cell {cell.id} "):
        review_cell(journal, RUN, said(cell.field_index, ((x1 + x2) / 2 + 3, (y1 + y2) / 2)))
    # Fields overlap by 30 %: 512 px to the right lies the next one, which shows the same place at the left.
    review_cell(journal, RUN, said(0, (650, 285)))
    with pytest.raises(DataError, match="where cell f0a0 of field 0, which shows the same place"):
        review_cell(journal, RUN, said(1, (650 - 512.4 + 5, 285)))
    with pytest.raises(DataError, match="where cell f0a0 "):
        review_cell(journal, RUN, {**said(0, (655, 285)), "who": "another"})
    review_cell(journal, RUN, {"cell": "f0a0", "label": "reject", "who": "B", "why": ""})
    with pytest.raises(DataError, match=r"f0a0 \(rejected\)"):
        review_cell(journal, RUN, {**said(0, (655, 285)), "who": "another"})


def test_a_field_that_does_not_count_takes_none() -> None:
    from support.overlapping_run import Layout, overlapping_run

    from edge.reports import report_of

    report = report_of(overlapping_run(Layout(seed=5, columns=3, rows=2, overlap=0.3, cells=25, lost=0.4, replaced=0.5)))
    checked = {one.field_index: one for one in report.fields if not one.counted or one.replaced}
    assert {one.replaced for one in checked.values()} == {True, False}
    for index, one in checked.items():
        with pytest.raises(DataError, match="in no count") as raised:
            RowCheck(report).row("this review", said(index, (300, 200), line="1"))
        assert ("another field has taken its place" if one.replaced else "ended as lost") in str(raised.value)


def test_every_export_has_it_and_says_that_a_person_added_it(tmp_path: Path) -> None:
    journal = recorded_journal(tmp_path)
    report = report_now(journal)
    place = free_place(report)
    review_cell(journal, RUN, said(0, place))

    def exported(how: str, out: str) -> Path:
        done = leuko_edge("export", RUN, "--as", how, "--out", str(tmp_path / out), "--journal", str(journal))
        assert done.code == 0, done.err
        return tmp_path / out

    with (exported("csv", "csv") / "cells.csv").open() as stream:
        (row,) = (row for row in csv.DictReader(stream) if row["cell"] == "f0a0")
    assert (row["called"], row["called_now"], row["verdict"], row["added"], row["counts"]) == (
        "",
        "eosinophil",
        "add",
        "true",
        "true",
    )
    found = json.loads(exported("geojson", "cells.geojson").read_text())["features"]
    (feature,) = (one for one in found if one["properties"]["name"] == "f0a0")
    assert (
        feature["properties"]["metadata"]["reviewed"] == "added"
        and feature["properties"]["classification"]["name"] == "eosinophil"
    )
    coco: dict[str, Any] = json.loads((exported("coco", "coco") / "fields" / "annotations.json").read_text())
    (mark,) = (one for one in coco["annotations"] if one["attributes"]["cell"] == "f0a0")
    assert mark["attributes"]["added"] and mark["attributes"]["box_is_assumed"] and mark["attributes"]["reviewed"]
    lines = sum(len(one.read_text().splitlines()) for one in (exported("yolo", "yolo") / "fields" / "labels").iterdir())
    assert lines == len(coco["annotations"]) == len(report.cells) + 1
    assert "eosinophil" in exported("astm", "astm.txt").read_text().lower()


def test_the_page_shows_any_field_with_what_people_say(journal: Path) -> None:
    report = report_now(journal)
    review_cell(journal, RUN, said(0, free_place(report)))
    first = next(cell for cell in report.cells if cell.field_index == 0)
    review_cell(journal, RUN, {"cell": first.id, "label": "reject", "who": "B", "why": ""})
    state = field_state(report_now(journal), 0)
    assert state is not None and (state["before"], state["after"], state["may_add"]) == (None, 1, True)
    cells = {one["id"]: one for one in state["cells"]}
    assert cells["f0a0"]["added"] and cells["f0a0"]["score"] is None and cells[first.id]["rejected"]
    assert field_state(report, 99) is None
