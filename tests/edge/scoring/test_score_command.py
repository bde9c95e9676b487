"""`leuko-edge score`: what an archive becomes, what a slide that cannot be scored becomes, and what is refused at once."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from support.full_disk import files_limited_to
from support.scoring_archive import SLIDES, Score, Tables, results, write_slide

from edge.contracts.records import Provenance
from edge.scoring.score_tables import FORMAT

pytestmark = pytest.mark.timeout(120)


def test_a_folder_of_slides_becomes_three_tables(archive: Path, score: Score, tables: Tables, tmp_path: Path) -> None:
    code, said, _ = score(archive)
    assert code == 0 and (said["slides"], said["scored"], said["failed"], said["kept"]) == (3, 3, [], 0)
    found = tables()
    slides = {row["slide_id"]: row for row in found["slides"]}
    assert set(slides) == set(SLIDES)
    assert [slides[name]["wbc"] for name in SLIDES] == [3, 0, 2]
    assert [slides[name]["lymphocyte"] for name in SLIDES] == [2, 0, 0]
    assert [slides[name]["fields"] for name in SLIDES] == [3, 1, 2]
    assert [(row["fields_ok"], row["fields_empty"], row["fields_failed"]) for row in found["slides"]] == [
        (2, 1, 0), (2, 0, 0), (1, 0, 0)
    ]  # fmt: skip
    provenance = Provenance.model_validate(json.loads(slides["s1"]["provenance"]))
    assert provenance.bundle_id == slides["s1"]["bundle_id"] and provenance.um_per_px == slides["s1"]["um_per_px"] == 0.13
    assert json.loads(slides["s1"]["settings"])["max_batch"] == 1
    assert provenance.engine_hint == "throughput", "nobody waits for a single field"
    (row,) = [row for row in slides["s1"]["differential"] if row["label"] == "lymphocyte"]
    assert row["count"] == 2 and row["low_percent"] < row["percent"] < row["high_percent"]
    assert [row["source_name"] for row in found["fields"] if row["slide_id"] == "s1"] == ["0.png", "1.png", "2.png"]
    assert [(row["field_index"], row["cell"], row["label"]) for row in found["cells"] if row["slide_id"] == "s10"] == [
        (0, 0, "eosinophil"),
        (1, 0, "eosinophil"),
    ]
    assert all({row["run_id"] for row in found[name]} <= {row["run_id"] for row in slides.values()} for name in found)
    schema = pyarrow.parquet.read_schema(tmp_path / "out" / "cells" / "s1.parquet")
    assert schema.metadata[b"format"] == FORMAT.encode()


def test_cells_that_two_fields_show_are_one(score: Score, tables: Tables, tmp_path: Path) -> None:
    table = tmp_path / "slides.csv"
    table.write_text('slide_id,location\ndrawn,"virtual:seed=42,fields=4,wbc=5,overlap=0.4,variants=2"\n')
    code, _, _ = score(table, "--bundle", str(Path(__file__).parents[3] / "edge/bundles/yolov3-tiny-416-look"), scale=None)
    found = tables()
    (slide,), cells = found["slides"], found["cells"]
    same = [row for row in cells if row["same_as"]]
    assert code == 0 and slide["each_cell_once"] and slide["is_synthetic"] and same
    shown = {(row["field_index"], row["cell"]) for row in cells}
    assert all((one["field_index"], one["cell"]) in shown for row in same for one in row["same_as"])
    labels = {row["label"] for row in cells}
    assert sum(slide[label] for label in labels) < len(cells) and all(row["stage_x_nm"] is not None for row in cells)


def test_a_slide_that_cannot_be_scored_is_a_row_and_stops_no_other(
    archive: Path, score: Score, tables: Tables, tmp_path: Path
) -> None:
    (archive / "empty").mkdir()
    write_slide(archive / "damaged", [["lymphocyte"]] * 3)
    for number in (0, 1):
        (archive / "damaged" / f"{number}.png").write_bytes(b"no picture")
    write_slide(archive / "one-bad", [["lymphocyte"]] * 3)
    (archive / "one-bad" / "1.png").write_bytes(b"no picture")
    (archive / "beside.txt").touch()
    code, said, warned = score(archive)
    assert code == 4 and said["scored"] == 4 and {row["slide_id"] for row in said["failed"]} == {"empty", "damaged"}
    assert "1 of" in warned and "no folder" in warned
    slides = {row["slide_id"]: row for row in tables()["slides"]}
    assert "holds no image file" in slides["empty"]["detail"] and slides["empty"]["failure"] == "slide"
    assert "2 of 3 fields could not be used" in slides["damaged"]["detail"]
    assert (slides["damaged"]["wbc"], slides["damaged"]["lymphocyte"]) == (None, None), "failed is never zero cells"
    assert "1 of 3 fields were not counted; the first: " in slides["one-bad"]["detail"]
    assert (slides["one-bad"]["status"], slides["one-bad"]["wbc"]) == ("scored", 2)
    (bad,) = [row for row in tables()["fields"] if row["slide_id"] == "one-bad" and not row["counted"]]
    assert bad["status"] == "failed" and bad["wbc"] is None and bad["detail"]

    write_slide(tmp_path / "new", [["lymphocyte"]])
    (tmp_path / "new" / "0.png").rename(archive / "empty" / "0.png")
    code, said, _ = score(archive)
    assert code == 4 and said["kept"] == 6, "a slide's own failure is its result"
    code, said, _ = score(archive, "--retry-failed")
    assert [row["slide_id"] for row in said["failed"]] == ["damaged"] and said["kept"] == 4
    assert {row["slide_id"]: row["status"] for row in tables()["slides"]}["empty"] == "scored"


def test_shards_share_the_slides_and_what_is_done_is_done(archive: Path, score: Score, tables: Tables) -> None:
    score(archive, out="whole")
    for index in (2, 0, 1, 3):
        code, said, _ = score(archive, "--shard", f"{index}/4")
        assert (code, said["slides"], said["kept"]) == (0, int(index < 3), 0)
    assert results(tables()) == results(tables("whole"))
    code, said, _ = score(archive)
    assert (code, said["kept"], said["wbc"]) == (0, 3, 5)


def test_a_slide_that_is_asked_for_otherwise_is_scored_anew_and_alone(
    archive: Path, score: Score, tables: Tables, tmp_path: Path
) -> None:
    table = archive / "slides.csv"
    table.write_text("slide_id,location,um_per_px\na,s1,0.13\nb,s2,0.13\n")
    score(table)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "slides").iterdir()}
    table.write_text("slide_id,location,um_per_px\na,s1,0.13\nb,s2,0.131\n")
    _, said, _ = score(table)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "slides").iterdir()}
    assert said["kept"] == 1 and [name for name in before if before[name] != after[name]] == ["b.parquet"]
    assert [row["um_per_px"] for row in tables()["slides"]] == [0.13, 0.131]


def test_other_settings_and_other_things_are_not_mixed_in(archive: Path, score: Score, tmp_path: Path) -> None:
    score(archive)
    code, _, said = score(archive, "--detect", "0.9")
    assert code == 2 and "rest on something else (thresholds was" in said and "give another --out" in said
    (tmp_path / "out" / "score.json").write_text("{")
    code, _, said = score(archive)
    assert code == 2 and "score.json is damaged" in said
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    code, _, said = score(archive, out="mine")
    assert code == 2 and "holds other things than scores" in said


@pytest.mark.parametrize(
    ("words", "out", "says"),
    [
        pytest.param(["nowhere"], "out", "does not exist", id="no such folder"),
        pytest.param(["archive/s1"], "out", "holds files and no folders: each slide is a sub-folder", id="one slide"),
        pytest.param(["hollow"], "out", "is empty", id="an empty folder"),
        pytest.param(["archive"], "archive/s1/out", "lies among the slides", id="results in a slide"),
        pytest.param(["archive"], "archive", "lies among the slides", id="results are the archive"),
        pytest.param(["archive", "--shard", "3/3"], "out", "'3/3' names no shard", id="counted from one"),
        pytest.param(["archive", "--shard", "1"], "out", "names no shard", id="no number of shards"),
        pytest.param(["archive", "--um-per-px", "13"], "out", "um_per_px", id="no scale of a microscope"),
    ],
)
def test_what_cannot_be_an_archive_is_one_sentence(
    archive: Path, score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], out: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hollow").mkdir()
    code, said, error = score(Path(words[0]), *words[1:], out=out, scale=None if "--um-per-px" in words else "0.13")
    assert (code, said, error.count("\n")) == (2, {}, 1) and says in error
    assert not (tmp_path / "out").exists()


def test_a_slide_without_a_scale_says_so_in_its_row(archive: Path, score: Score, tables: Tables) -> None:
    code, said, _ = score(archive, scale=None)
    assert code == 4 and all("does not say how large a pixel is" in row["detail"] for row in said["failed"])
    assert len(tables()["slides"]) == 3
    code, said, _ = score(archive)
    assert code == 0 and said["kept"] == 0, "with another scale it is another question"


def test_a_disk_without_room_ends_it_and_it_goes_on_when_there_is(
    archive: Path, score: Score, tables: Tables, tmp_path: Path
) -> None:
    with files_limited_to(3000):
        code, _, said = score(archive)
    assert code == 9 and said.count("\n") == 1
    assert not list((tmp_path / "out" / "slides").iterdir()) and not list((tmp_path / "out").rglob(".*"))
    code, said_now, _ = score(archive)
    assert code == 0 and said_now["kept"] == 0 and len(tables()["slides"]) == 3


@pytest.mark.parametrize("rows", [b"", b"PAR1 and what a power cut left", None], ids=["empty", "torn", "of another slide"])
def test_a_row_that_cannot_be_trusted_is_none(
    archive: Path, score: Score, tables: Tables, tmp_path: Path, rows: bytes | None
) -> None:
    score(archive)
    row = tmp_path / "out" / "slides" / "s2.parquet"
    row.write_bytes((tmp_path / "out" / "slides" / "s1.parquet").read_bytes() if rows is None else rows)
    code, said, _ = score(archive)
    assert (code, said["kept"], len(tables()["slides"])) == (0, 2, 3)


def test_a_slide_of_another_profile_has_its_own_scale(archive: Path, score: Score, tables: Tables) -> None:
    table = archive / "slides.parquet"
    ids, places = ["x", "y"], ["s1", "s2"]
    columns = {"slide_id": ids, "location": places, "um_per_px": [0.13, None], "profile": [None, "nowhere.json"]}
    pyarrow.parquet.write_table(pa.table(columns), table)
    code, said, _ = score(table, scale=None)
    assert code == 4 and [row["slide_id"] for row in said["failed"]] == ["y"]
    assert "nowhere.json" in said["failed"][0]["detail"]
    assert [row["status"] for row in tables()["slides"]] == ["scored", "failed"]
