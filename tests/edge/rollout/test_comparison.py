"""`leuko-edge rollout BUNDLE`: both bundles on the same fields; what differs is named, and what is damaged is refused."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.cli import main
from edge.contracts.bundle import Bundle

pytestmark = pytest.mark.timeout(110)
Run = Callable[..., tuple[int, dict[str, Any], str]]
LABELS = ("lymphocyte", "neutrophil_segmented", "eosinophil")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The command logs to this test's standard error, which is closed with it."""
    yield
    logging.getLogger().handlers.clear()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def done(*words: str | Path, as_json: bool = True) -> tuple[int, dict[str, Any], str]:
        monkeypatch.setattr("sys.argv", ["leuko-edge", *map(str, words), *(["--json"] if as_json else [])])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(said.out) if said.out and as_json else {}, said.err

    return done


def write_fields(folder: Path, n_fields: int = 18) -> Path:
    """Six cells in each field, two of each class."""
    folder.mkdir()
    for index in range(n_fields):
        cells = [(LABELS[k % 3], 4 + 56 * (k % 3), 8 + 64 * (k // 3)) for k in range(6)]
        cv2.imwrite(str(folder / f"{index}.png"), blob_field(cells))
    return folder


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    return write_fields(tmp_path / "fields")


@pytest.fixture
def current(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "current")


def changed(folder: Path, change: str) -> Path:
    """A new bundle, and what is otherwise in it."""
    thresholds: dict[str, Any] = {
        "blind": {"identify_by_class": {"lymphocyte": 1.0}},
        "deaf": {"detect": 1.0},
        "same cells": {"margin": 0.11},
    }[change]
    return write_tiny_bundle(folder, thresholds=thresholds).path


@pytest.mark.parametrize(
    ("change", "n_fields", "code", "verdict"),
    [
        pytest.param("same cells", 18, 0, "within", id="other thresholds, the same cells"),
        pytest.param("same cells", 2, 10, "undecided", id="too few cells to say"),
        pytest.param("blind", 18, 10, "outside", id="one class is no longer named"),
        pytest.param("deaf", 18, 10, "outside", id="it finds nothing"),
    ],
)
def test_the_verdict(
    run: Run, fields: Path, current: Bundle, tmp_path: Path, change: str, n_fields: int, code: int, verdict: str
) -> None:
    new = changed(tmp_path / "new", change)
    words = ("rollout", new, "--bundle", current.path, "--um-per-px", "0.13", "--frames", fields)
    got, found, said = run(*words, "--fields", str(n_fields))
    assert (got, found["verdict"], found["fields"]) == (code, verdict, n_fields), said
    assert found["current"]["bundle_id"] == current.bundle_id and found["new"]["path"] == str(new)
    assert found["current"]["leukocytes"] == 6 * n_fields
    assert found["matched"] + found["only_current"] == 6 * n_fields and found["only_new"] == 0
    assert bool(found["reasons"]) == (verdict != "within")
    assert found["new"]["median_ms"] > 0 and found["current"]["p95_ms"] >= found["current"]["median_ms"]
    if change == "blind":
        assert found["label_changes"] == [{"was": "lymphocyte", "now": "unidentified", "cells": 2 * n_fields}]
        rows = {row["label"]: row for row in found["rows"]}
        assert rows["lymphocyte"]["within"] is False and rows["eosinophil"]["within"] is True


def test_a_person_reads_a_table_and_keeps_a_page(
    run: Run, fields: Path, current: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new, page = changed(tmp_path / "new", "blind"), tmp_path / "page.html"
    words = ["leuko-edge", "rollout", str(new), "--bundle", str(current.path), "--um-per-px", "0.13", "--frames", str(fields)]
    monkeypatch.setattr("sys.argv", [*words, "--html", str(page)])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    for words_said in ("OUTSIDE THE LIMITS", "36 lymphocyte now unidentified", "108 found by both", "95 % limits"):
        assert words_said in said
    assert "OUTSIDE THE LIMITS" in page.read_text(encoding="utf-8")


def test_on_a_recorded_run_what_was_counted_is_held_against_what_is_counted_here(
    run: Run, fields: Path, current: Bundle, tmp_path: Path
) -> None:
    (fields / "3.png").write_bytes(b"no picture")
    counting = ("--um-per-px", "0.13", "--bundle", current.path, "--out", tmp_path / "out", "--pictures", "none")
    _, counted, _ = run("count", fields, *counting)
    journal = tmp_path / "out" / "journal.sqlite"
    new = changed(tmp_path / "new", "same cells")
    words = ("rollout", new, "--run", counted["run_id"], "--journal", journal)
    code, found, said = run(*words, "--bundle", current.path, "--fields", "5")
    assert (code, found["fields"], found["fields_recorded"], found["recorded_otherwise"]) == (10, 5, 5, 0), said
    code, found, _ = run(*words, "--bundle", changed(tmp_path / "blind", "blind"))
    assert code == 10 and found["recorded_otherwise"] == found["fields"] == 17, "the run was another bundle's"


def test_a_run_of_a_service_kept_its_frames_in_a_directory_of_its_own(run: Run, current: Bundle, tmp_path: Path) -> None:
    from edge.pipeline.parts import place_of_run

    (tmp_path / "kept" / "run-a%2Fb").mkdir(parents=True)
    assert place_of_run(tmp_path / "kept", "a/b") == tmp_path / "kept" / "run-a%2Fb"
    assert place_of_run(tmp_path / "kept", "other") == tmp_path / "kept"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param([], 2, "nothing says on which fields to compare", id="no fields"),
        pytest.param(["--next", "3", "--journal", "memory"], 2, "journal is in memory", id="nothing of the service is on disk"),
        pytest.param(["--next", "3"], 2, "keeps no frames", id="nor are its frames"),
        pytest.param(["--frames", "{empty}"], 4, "holds no image", id="an empty folder"),
        pytest.param(["--run", "x", "--journal", "{empty}/none.sqlite"], 8, "there is no journal", id="no journal"),
        pytest.param(["--frames", "{fields}", "--profile", "{empty}/p.json"], 3, "p.json", id="no profile"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    run: Run, fields: Path, current: Bundle, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "fields": fields}
    new = changed(tmp_path / "new", "same cells")
    given = ("rollout", new, "--bundle", current.path, "--um-per-px", "0.13", *(each.format(**places) for each in words))
    got, found, sentence = run(*given)
    assert (got, found) == (code, {}) and said in sentence


@pytest.mark.parametrize("damage", ["model", "manifest", "missing", "signature", "outputs", "values"])
def test_a_bundle_that_could_not_serve_is_refused(run: Run, fields: Path, current: Bundle, tmp_path: Path, damage: str) -> None:
    faults = {"outputs": "labels_int64", "values": "nan_if_black"}
    new = write_tiny_bundle(tmp_path / "new", fault=faults.get(damage)).path  # type: ignore[arg-type] # of the table
    more: list[str] = []
    if damage == "model":
        (new / "model.onnx").write_bytes(b"x" + (new / "model.onnx").read_bytes()[1:])
    elif damage == "manifest":
        (new / "bundle.json").write_text("{}")
    elif damage == "missing":
        (new / "model.onnx").unlink()
    elif damage == "signature":
        done = run("sign", "new", "approver", "--out", tmp_path / "keys", as_json=False)
        assert done[0] == 0, done
        more = ["--signers", str(tmp_path / "keys")]
        assert run("sign", "put", current.path, "--key", next((tmp_path / "keys").glob("*.pem")), as_json=False)[0] == 0
    elif damage == "values":
        cv2.imwrite(
            str(fields / "0.png"), blob_field([((0, 0, 0), x, y) for x in range(0, 160, 32) for y in range(0, 128, 32)])
        )
    words = ("rollout", new, "--bundle", current.path, "--um-per-px", "0.13", "--frames", fields, *more)
    code, found, said = run(*words)
    assert (code, found) == (5 if damage in faults else 3, {}), said
    assert str(new) in said
