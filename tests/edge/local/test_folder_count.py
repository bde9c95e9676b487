"""`leuko-edge count`: what a person gives and finds, and how the command says that something was not counted."""

import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.full_disk import files_limited_to
from support.tiny_bundle import BLOB_PX, blob_field, write_tiny_bundle

from edge.camera.frame_store import FrameStore
from edge.camera.several import uri_of
from edge.camera.uri import open_source
from edge.cli import main

pytestmark = pytest.mark.timeout(90)
CELLS = {"a": ["lymphocyte"], "b": [], "c": ["eosinophil", "lymphocyte", "platelet_giant"]}
"""Images of the folder below and the cells on them."""
Count = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, cells in CELLS.items():
        field = blob_field([(cell, 8 + 48 * at, 40) for at, cell in enumerate(cells)])
        cv2.imwrite(str(folder / f"{name}.png"), field)
    return folder


@pytest.fixture
def count(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Count:
    bundle = write_tiny_bundle(tmp_path / "bundle")

    def counted(*words: str | Path, scale: str | None = "0.13", out: str = "out") -> tuple[int, dict[str, Any], str]:
        """Exit code, the JSON that was printed, and what was said besides."""
        more = [] if scale is None else ["--um-per-px", scale]
        arguments = ["count", *map(str, words), "--bundle", str(bundle.path), "--out", str(tmp_path / out), "--json", *more]
        monkeypatch.setattr("sys.argv", ["leuko-edge", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(said.out) if said.out else {}, said.err

    return counted


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_tables_pictures_and_a_journal(images: Path, count: Count, tmp_path: Path) -> None:
    code, result, _ = count(images)
    out = tmp_path / "out"
    assert code == 0 and result["fields"] == {"ok": 2, "empty": 1} and result["not_counted"] == []
    assert result["cells"] == {"lymphocyte": 2, "eosinophil": 1, "platelet_giant": 1}
    assert result["differential"]["wbc_total"] == 3
    assert result == json.loads((out / "summary.json").read_text())
    fields, cells = table(out / "fields.csv"), table(out / "cells.csv")
    assert [(each["source_name"], each["status"], each["leukocytes"], each["cells"]) for each in fields] == [
        ("a.png", "ok", "1", "1"),
        ("b.png", "empty", "0", "0"),
        ("c.png", "ok", "2", "3"),
    ]
    assert [(each["cell"], each["label"], each["is_wbc"]) for each in cells if each["field_index"] == "2"] == [
        ("f2c0", cells[1]["label"], cells[1]["is_wbc"]),
        ("f2c1", cells[2]["label"], cells[2]["is_wbc"]),
        ("f2c2", cells[3]["label"], cells[3]["is_wbc"]),
    ]
    assert float(cells[0]["x2_px"]) - float(cells[0]["x1_px"]) == BLOB_PX and float(cells[0]["width_um"]) == BLOB_PX * 0.13
    for field in fields:
        picture = cv2.imread(str(out / field["picture"]))
        plain = cv2.imread(str(images / field["source_name"]))
        differs = np.abs(picture.astype(int) - plain.astype(int)).max() > 40  # JPEG alone changes less
        assert differs == (field["cells"] != "0"), "cells are drawn on the fields that have some"
    assert len(list((out / "crops").glob("*/*.tif"))) == 4
    page = (out / "report.html").read_text(encoding="utf-8")
    assert result["run_id"] in page and page.count("<img") >= 4, "with the cells that were cut out"
    with sqlite3.connect(out / "journal.sqlite") as journal:
        (records,) = journal.execute("SELECT count(*) FROM records").fetchone()
    journal.close()
    assert records >= 5, "run_start, three fields and run_stop, for `leuko-edge runs` and whoever reads journals"
    assert not list(out.glob("journal.sqlite.*")) and not list(out.glob("*.part"))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        pytest.param((), "throughput", id="nobody waits for a single field"),
        pytest.param(("--hint", "latency"), "latency", id="as asked for"),
    ],
)
def test_stored_images_are_computed_side_by_side_and_stay_in_order(
    images: Path, count: Count, tmp_path: Path, words: tuple[str, ...], hint: str
) -> None:
    code, result, _ = count(images, *words)
    with sqlite3.connect(tmp_path / "out" / "journal.sqlite") as journal:
        records = [json.loads(row[0]) for row in journal.execute("SELECT content FROM records ORDER BY seq")]
    journal.close()
    assert code == 0 and result["cells"] == {"lymphocyte": 2, "eosinophil": 1, "platelet_giant": 1}
    assert (records[0]["provenance"]["engine_hint"], records[0]["settings"]["hint"]) == (hint, hint)
    assert [each["source_name"] for each in records if each["type"] == "field"] == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"no picture", "it is no JPEG", id="no picture at all"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(40), "", id="a damaged one"),
        pytest.param(b"", "", id="an empty file"),
    ],
)
def test_an_image_that_cannot_be_used_is_a_row_and_an_exit_code(
    images: Path, count: Count, tmp_path: Path, content: bytes, says: str
) -> None:
    (images / "bad.png").write_bytes(content)
    code, result, _ = count(images)
    (row,) = [row for row in table(tmp_path / "out" / "fields.csv") if row["source_name"] == "bad.png"]
    assert code == 4 and result["fields"]["failed"] == 1
    assert row["status"] == "failed" and says in row["detail"] and row["detail"]
    assert (row["counted"], row["cells"], row["lymphocyte"], row["picture"]) == ("0", "", "", ""), "failed is never zero cells"
    assert [each["detail"] for each in result["not_counted"]] == [row["detail"]]


@pytest.mark.parametrize(
    ("words", "scale", "code", "says"),
    [
        pytest.param(["images"], None, 2, "does not say how large a pixel is; give it with --um-per-px", id="no scale"),
        pytest.param(["images/a.png", "images"], None, 2, "does not say how large a pixel is", id="no scale of several"),
        pytest.param(["nothing"], "0.13", 4, "nothing does not exist", id="no such path"),
        pytest.param(["images", "nothing"], "0.13", 4, "nothing does not exist", id="the second is not there"),
        pytest.param(["text.mp4"], "0.13", 4, "video text.mp4", id="no video"),
        pytest.param(["empty"], "0.13", 4, "holds no image file", id="an empty folder"),
        pytest.param(["virtual:seed=1,trigger=software"], None, 2, "waits for triggers", id="a source for a scanner"),
        pytest.param(["slide:1"], "0.13", 2, "unknown scheme", id="no such source"),
        pytest.param(["images"], "1.3", 2, "um", id="another model's scale"),
    ],
)
def test_what_cannot_be_counted_is_one_sentence_and_leaves_nothing(
    images: Path, count: Count, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    words: list[str], scale: str | None, code: int, says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    found, result, said = count(*words, scale=scale)
    assert (found, result) == (code, {})
    assert says in said and said.startswith("error (") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_not_written_into(images: Path, count: Count, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert count(images)[0] == 0, "an empty one is as good as a new one"
    code, _, said = count(images)
    assert code == 2 and "is not an empty folder" in said


def test_several_paths_are_one_count_whose_fields_can_be_told_apart(
    images: Path, count: Count, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = cv2.VideoWriter("v.avi", cv2.VideoWriter.fourcc(*"MJPG"), 5, (160, 128))
    for cells in CELLS.values():
        writer.write(blob_field([(cell, 8 + 48 * at, 40) for at, cell in enumerate(cells)]))
    writer.release()
    source = open_source("folder:images", 0.13)
    store = FrameStore(Path("stored"), source.info, 10)
    store.add(source.read(1.0))
    store.close()
    code, result, _ = count("images/a.png", "v.avi", "images", "images/[bc].png", "stored")
    assert code == 0 and result["fields"] == {"ok": 6 + 1, "empty": 3}
    assert [row["source_name"] for row in table(tmp_path / "out" / "fields.csv")] == [
        *("images/a.png", "v.avi#0", "v.avi#1", "v.avi#2", "images/a.png", "images/b.png", "images/c.png"),
        *("images/b.png", "images/c.png", "stored/a.png"),
    ]
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 10


def test_fields_ends_the_count_and_pictures_chooses_what_is_drawn(images: Path, count: Count, tmp_path: Path) -> None:
    code, result, _ = count(images, "--fields", "2", "--pictures", "cells")
    assert code == 0 and sum(result["fields"].values()) == 2
    assert [path.name for path in (tmp_path / "out" / "pictures").iterdir()] == ["000000-a.png.jpg"]
    code, _, _ = count(images, "--pictures", "none", out="plain")
    assert code == 0
    assert {path.name for path in (tmp_path / "plain").iterdir()} >= {"cells.csv", "fields.csv", "summary.json"}
    assert not (tmp_path / "plain" / "pictures").exists() and not (tmp_path / "plain" / "crops").exists()


def test_a_cell_that_two_fields_show_is_counted_once_and_named_in_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = "virtual:seed=42,fields=4,wbc=5,overlap=0.4,variants=2"
    monkeypatch.setattr("sys.argv", ["leuko-edge", "count", source, "--out", str(tmp_path / "out"), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    result = json.loads(capsys.readouterr().out)
    cells = table(tmp_path / "out" / "cells.csv")
    same = [each for each in cells if each["same_cell_as"]]
    names = {each["cell"] for each in cells}
    assert not ended.value.code and result["each_cell_once"] and same
    assert all(name in names for each in same for name in each["same_cell_as"].split())
    assert sum(result["cells"].values()) < sum(result["cells_of_all_fields"].values()) == len(cells)
    assert result["marks"], "a drawn slide says that it is drawn"


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("images", "folder:images"),
        ("images/a.png", "folder:images/a.png"),
        ("images/*.png", "folder:images/*.png"),
        ("SCAN.MP4", "video:SCAN.MP4"),
        ("virtual:seed=1", "virtual:seed=1"),
        ("folder:images", "folder:images"),
        ("C:\\scan.avi", "video:C:\\scan.avi"),
        ("folder.mp4", "folder:folder.mp4"),
        ("seed:1.png", "folder:seed:1.png"),
    ],
)
def test_a_path_says_what_source_it_is(images: Path, monkeypatch: pytest.MonkeyPatch, path: str, uri: str) -> None:
    monkeypatch.chdir(images.parent)
    (images.parent / "folder.mp4").mkdir()
    (images.parent / "seed:1.png").touch()
    assert uri_of(path) == uri


def test_most_fields_unusable_is_a_failed_count(images: Path, count: Count) -> None:
    for name in ("b", "c"):
        (images / f"{name}.png").write_bytes(b"no picture")
    code, result, _ = count(images)
    assert code == 1 and result["outcome"] == "failed" and "could not be used" in result["detail"]


def test_a_disk_without_room_ends_the_count_and_leaves_no_half_table(images: Path, count: Count, tmp_path: Path) -> None:
    with files_limited_to(200):
        code, _, said = count(images, "--pictures", "none")
    assert code in {8, 9} and said.startswith("error (")
    assert not {"cells.csv", "fields.csv", "summary.json"} & {path.name for path in (tmp_path / "out").glob("*")}


def test_ctrl_c_keeps_what_was_counted_and_says_that_it_is_not_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = "virtual:seed=1,fields=500,rate=20,variants=1"
    words = [sys.executable, "-m", "edge.cli", "count", source, "--out", str(out), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len(list(out.glob("pictures/*.jpg"))) < 3:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=40)
    result = json.loads(said)
    done = sum(result["fields"].values())
    assert process.returncode == 1 and result["outcome"] == "stopped"
    assert 3 <= done < 500 and done + result["fields_missing"] == 500
    assert len(table(out / "fields.csv")) == done
