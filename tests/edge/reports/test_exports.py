"""A run for other programs: tables, outlines on the slide, training data; and what cannot be written says why."""

import csv
import json
import os
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.edge_here import leuko_edge
from support.overlapping_journal import LAYOUT, example_journal, journal_of, recorded_journal, tamper
from support.overlapping_run import SIZE, UM, Layout, overlapping_run
from support.scripted_run import field_record, run_start, run_stop

from edge.contracts.records import FieldRecord, RunStart
from edge.reports import Report, report_of
from edge.reports.geojson_cells import Unit, coordinates_of, geojson_of
from edge.reports.opened_run import opened_run
from edge.reports.slide_layout import layout_of

pytestmark = pytest.mark.timeout(60)
RUN = "run-a"
FORMS = ("csv", "geojson", "coco", "yolo", "hl7", "astm")


def export(journal: Path, how: str, out: Path, *more: str) -> tuple[int, str]:
    done = leuko_edge("export", RUN, "--journal", str(journal), "--as", how, "--out", str(out), *more)
    assert done.out == ""
    return done.code, done.err


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_tables_have_every_cell_and_every_field_and_the_sheet_can_be_given_back(tmp_path: Path) -> None:
    journal = recorded_journal(tmp_path)
    report = opened_run(journal, RUN).report
    assert export(journal, "csv", tmp_path / "csv")[0] == 0
    cells, fields, sheet = (rows(tmp_path / "csv" / f"{name}.csv") for name in ("cells", "fields", "review"))
    assert [row["cell"] for row in cells] == [cell.id for cell in report.cells]
    assert Counter(row["called"] for row in cells if row["counts"] == "true") == report.result.cells
    assert [row["field_index"] for row in fields] == [str(one.field_index) for one in report.fields]
    assert sum(int(row["leukocytes"]) for row in fields) == report.beside[0].differential.wbc_total
    path = tmp_path / "csv" / "review.csv"
    given = ["runs", "review", RUN, "--csv", str(path), "--journal", str(journal)]
    assert "judges no cell" in leuko_edge(*given).err
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(sheet[0]))
        writer.writeheader()
        writer.writerows({**row, "label": "confirm", "who": "A"} for row in sheet)
    assert leuko_edge(*given).code == 0
    assert {cell.judgement is not None for cell in opened_run(journal, RUN).report.cells} == {True}


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x", "a,b", 'a"b', "a\nb", "ü €"])
def test_a_name_is_text_for_a_spreadsheet_too(tmp_path: Path, name: str) -> None:
    field = field_record(RUN, 1).model_copy(update={"source_name": name})
    journal = journal_of(tmp_path / "journal.sqlite", [run_start(RUN), field, run_stop(RUN, 2)])
    assert export(journal, "csv", tmp_path / "csv")[0] == 0
    said = rows(tmp_path / "csv" / "fields.csv")[0]["source_name"]
    assert said == (f"'{name}" if name[0] in "=+-@" else name)


def middle(feature: dict[str, Any]) -> np.ndarray:
    (ring,) = feature["geometry"]["coordinates"]
    assert feature["geometry"]["type"] == "Polygon" and len(ring) == 5 and ring[0] == ring[-1]
    return np.mean(ring[:4], axis=0)


def features(report: Report, kind: str, unit: Unit, field: int | None = None) -> list[dict[str, Any]]:
    content = json.loads(geojson_of(report, unit, field))
    assert content["type"] == "FeatureCollection"
    return [one for one in content["features"] if one["properties"]["objectType"] == kind]


@pytest.mark.parametrize("turned_deg", [0.0, 3.0, 90.0, -178.0])
def test_outlines_lie_on_the_slide_where_the_cells_do_however_the_camera_is_turned(turned_deg: float) -> None:
    report = report_of(overlapping_run(Layout(seed=5, cells=40, turned_deg=turned_deg)))
    layout = layout_of(report)
    assert layout is not None and layout.pixel_um == pytest.approx(UM, rel=1e-3)
    by_unit: tuple[tuple[Unit, float], ...] = (("um", 1.0), ("px", UM))
    for unit, by in by_unit:
        found = features(report, "detection", unit)
        assert [one["properties"]["name"] for one in found] == [cell.id for cell in report.counted_cells]
        for one, cell in zip(found, report.counted_cells, strict=True):
            assert one["properties"]["classification"]["name"] == cell.label
            assert middle(one) * by + layout.origin_um == pytest.approx(cell.stage_um, abs=0.05)
        every = np.concatenate([np.array(one["geometry"]["coordinates"][0]) for one in features(report, "annotation", unit)])
        assert every.min() == pytest.approx(0, abs=0.01), "the corner of all fields is the origin"


def test_without_places_and_of_one_field_coordinates_are_the_field_s_own() -> None:
    plain = report_of([run_start("r"), *(field_record("r", seq) for seq in (1, 2)), run_stop("r", 3)])
    assert "no field says where on the slide it lies" in coordinates_of(plain, "px")
    assert [list(middle(one)) for one in features(plain, "detection", "px")] == [[349.0, 165.5]] * 2
    assert features(plain, "annotation", "px") == []
    report = report_of(overlapping_run(LAYOUT))
    view = next(cell for cell in report.cells if cell.same_as)
    found = {one["properties"]["name"]: one for one in features(report, "detection", "px", view.field_index)}
    x1, y1, x2, y2 = view.box_px
    assert list(middle(found[view.id])) == pytest.approx([(x1 + x2) / 2, (y1 + y2) / 2], abs=0.01)


def test_a_rejected_cell_has_no_outline_and_a_relabelled_one_its_new_class(tmp_path: Path) -> None:
    journal = example_journal(tmp_path / "journal.sqlite")
    first, second = opened_run(journal, RUN).report.counted_cells[:2]
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"cell,label,who\n{first.id},reject,A\n{second.id},basophil,A\n")
    assert leuko_edge("runs", "review", RUN, "--csv", str(sheet), "--journal", str(journal)).code == 0
    assert export(journal, "geojson", tmp_path / "cells.geojson")[0] == 0
    names = {
        one["properties"]["name"]: one["properties"] for one in json.loads((tmp_path / "cells.geojson").read_text())["features"]
    }
    assert first.id not in names and names[second.id]["classification"]["name"] == "basophil"
    assert names[second.id]["metadata"] == {
        "source_name": f"field-{second.field_index:04d}",
        "called": second.label,
        "reviewed": "yes",
    }


@pytest.mark.parametrize("how", ["coco", "yolo"])
def test_training_data_have_every_view_and_say_what_is_missing(tmp_path: Path, how: str) -> None:
    journal = recorded_journal(tmp_path, left_out=2)
    report = opened_run(journal, RUN).report
    code, said = export(journal, how, tmp_path / "out")
    wanted = [cell for cell in report.cells if cell.field_index != 2]
    assert code == 0 and f"5 fields with {len(wanted)} boxes" in said and "1 fields have no picture any more" in said
    assert len(list((tmp_path / "out" / "fields" / "images").iterdir())) == 5
    if how == "yolo":
        lines = [line for file in (tmp_path / "out" / "fields" / "labels").iterdir() for line in file.read_text().splitlines()]
        names = json.loads((tmp_path / "out" / "fields" / "data.yaml").read_text())["names"]
        called = Counter(names[int(line.split()[0])] for line in lines)
    else:
        content = json.loads((tmp_path / "out" / "fields" / "annotations.json").read_text())
        names = {one["id"]: one["name"] for one in content["categories"]}
        called = Counter(names[one["category_id"]] for one in content["annotations"])
        assert {(one["width"], one["height"]) for one in content["images"]} == {SIZE}
    assert called == Counter(cell.label for cell in wanted)


def test_only_fields_whose_every_cell_was_reviewed(tmp_path: Path) -> None:
    journal = recorded_journal(tmp_path)
    code, said = export(journal, "coco", tmp_path / "out", "--reviewed")
    assert code == 7 and "has not a field of which every cell was reviewed" in said and not (tmp_path / "out").exists()
    report = opened_run(journal, RUN).report
    cells = [cell for cell in report.cells if cell.field_index == report.cells[0].field_index]
    (tmp_path / "sheet.csv").write_text("cell,label,who\n" + "".join(f"{cell.id},monocyte,A\n" for cell in cells))
    assert leuko_edge("runs", "review", RUN, "--csv", str(tmp_path / "sheet.csv"), "--journal", str(journal)).code == 0
    code, said = export(journal, "coco", tmp_path / "out", "--reviewed")
    assert code == 0 and f"1 fields with {len(cells)} boxes" in said
    content = json.loads((tmp_path / "out" / "fields" / "annotations.json").read_text())
    assert {one["category_id"] for one in content["annotations"]} == {8}, "monocyte is the eighth class"
    assert all(one["attributes"]["reviewed"] for one in content["annotations"])


def test_pictures_that_are_not_there_are_a_sentence(tmp_path: Path) -> None:
    plain = example_journal(tmp_path / "journal.sqlite")
    code, said = export(plain, "yolo", tmp_path / "out")
    assert code == 4 and "has kept no frames (--keep-frames)" in said and said.count("\n") == 1
    code, said = export(plain, "yolo", tmp_path / "out", "--frames", str(tmp_path / "nowhere"))
    assert code == 4 and "name the folder they are in now with --frames" in said
    (tmp_path / "empty").mkdir()
    code, said = export(plain, "yolo", tmp_path / "out", "--frames", str(tmp_path / "empty"))
    assert code == 7 and "of no field of run run-a a picture was found" in said
    assert not (tmp_path / "out").exists(), "what was begun is gone"


@pytest.mark.parametrize(
    ("is_named", "n_fields"),
    [
        pytest.param(False, LAYOUT.columns * LAYOUT.rows - 1, id="in the folder that was counted"),
        pytest.param(True, LAYOUT.columns * LAYOUT.rows, id="in a copy that a person names, which may be newer"),
    ],
)
def test_an_image_that_was_written_after_it_was_counted_is_left_out(tmp_path: Path, is_named: bool, n_fields: int) -> None:
    folder, records = tmp_path / "images", overlapping_run(LAYOUT, RUN)
    folder.mkdir()
    start = records[0]
    assert isinstance(start, RunStart)
    records[0] = start.model_copy(
        update={"provenance": start.provenance.model_copy(update={"source": f"folder:{folder}"}), "settings": {}}
    )
    fields = [one for one in records if isinstance(one, FieldRecord)]
    for number, one in enumerate(fields):
        file, counted_s = folder / one.source_name, datetime.fromisoformat(one.wall_time).timestamp()
        file.write_bytes(cv2.imencode(".png", np.zeros((SIZE[1], SIZE[0], 3), np.uint8))[1].tobytes())
        os.utime(file, (counted_s, counted_s + (60 if number == 1 else -60)))
    journal = journal_of(tmp_path / "journal.sqlite", records)
    code, said = export(journal, "yolo", tmp_path / "out", *(["--frames", str(folder)] if is_named else []))
    assert code == 0 and f": {n_fields} fields with " in said and ("changed since" in said) == (not is_named)


@pytest.mark.parametrize("how", FORMS)
def test_of_a_journal_that_somebody_has_changed_nothing_is_exported(tmp_path: Path, how: str) -> None:
    journal = recorded_journal(tmp_path)
    tamper(journal, "UPDATE records SET content = replace(CAST(content AS TEXT), 'field-', 'x') WHERE seq = 2")
    code, said = export(journal, how, tmp_path / "out")
    assert code == 8 and "record 2 is not what was written" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_report_of_such_a_journal_is_shown_and_ends_with_8(tmp_path: Path) -> None:
    journal = example_journal(tmp_path / "journal.sqlite")
    tamper(journal, "DELETE FROM records WHERE seq = 3")
    done = leuko_edge("report", RUN, "--journal", str(journal))
    assert done.code == 8 and "PROVISIONAL: the records are not those that were written" in done.out
    assert "records 3 to 3 are missing" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("how", FORMS)
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, how: str) -> None:
    journal = recorded_journal(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    code, said = export(journal, how, tmp_path / "full")
    assert code == 2 and ("is not empty" in said or "cannot be written" in said) and said.count("\n") == 1
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["x"]
    code, said = export(journal, how, tmp_path / "full" / "x" / "y")
    assert code == 2 and "cannot be written" in said


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("how", ["csv", "geojson", "hl7", "astm"])
def test_every_run_can_be_exported_with_its_state(tmp_path: Path, how: str, *, stop: bool) -> None:
    journal = example_journal(tmp_path / "journal.sqlite", stop=stop)
    code, said = export(journal, how, tmp_path / "out")
    assert code == 0 and ("final" if stop else "provisional (the run has not ended)") in said


def test_the_report_as_json_is_what_the_model_reads(tmp_path: Path) -> None:
    journal = recorded_journal(tmp_path)
    said = leuko_edge("report", RUN, "--json", "--journal", str(journal))
    assert said.code == 0 and Report.model_validate_json(said.out) == opened_run(journal, RUN).report
