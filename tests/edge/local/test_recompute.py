"""`leuko-edge replay --pixels`: the same cells to the last bit from the same frames; what is no longer the same is named."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.cli import main
from edge.journal.archive import Archive
from edge.scanner.fault_plan import parse_faults
from edge.scanner.scan_options import ScanOptions
from edge.scanner.virtual_scan import perform_scan, slide_of

pytestmark = pytest.mark.timeout(110)
Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def done(*words: str | Path) -> tuple[int, dict[str, Any], str]:
        monkeypatch.setattr("sys.argv", ["leuko-edge", *map(str, words), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(said.out) if said.out else {}, said.err

    return done


@pytest.fixture
def counted(tmp_path: Path, run: Run) -> tuple[str, Path]:
    """A run over images, of which one is damaged and two are of other sizes, in batches of four."""
    images = tmp_path / "images"
    images.mkdir()
    for at in range(14):
        size = {"width_px": 320, "height_px": 256} if at in {5, 9} else {}
        field = blob_field([("lymphocyte", 8 + 5 * at, 20), ("eosinophil", 90, 60)][: at % 3], **size)
        cv2.imwrite(str(images / f"{at:02d}.png"), field)
    (images / "03.png").write_bytes(b"no picture")
    bundle = write_tiny_bundle(tmp_path / "bundle")
    words = ("count", images, "--um-per-px", "0.13", "--bundle", bundle.path, "--out", tmp_path / "out", "--max-batch", "4")
    code, result, _ = run(*words, "--pictures", "none")
    assert code == 4
    return str(result["run_id"]), tmp_path / "out" / "journal.sqlite"


def batches_of(journal: Path, run_id: str) -> Counter[int]:
    with closing(Archive(journal)) as archive:
        records = [json.loads(each) for each in archive.records(archive.run(run_id))]
    return Counter(each["batch"] for each in records if each["type"] == "field" and each["batch"] is not None)


def test_the_same_frames_in_the_same_batches_give_the_same_cells(counted: tuple[str, Path], run: Run) -> None:
    run_id, journal = counted
    batches = batches_of(journal, run_id)
    assert sorted(batches) == list(range(len(batches))) and sum(batches.values()) == 13, "all but the damaged one"
    code, result, said = run("replay", run_id, "--journal", journal, "--pixels")
    assert (code, result["differences"]) == (0, []), said
    assert result["computed"]["fields"] == 13 and result["computed"]["batches"] == len(batches)


def test_a_picture_that_was_changed_or_is_gone_is_named(counted: tuple[str, Path], run: Run, tmp_path: Path) -> None:
    run_id, journal = counted
    cv2.imwrite(str(tmp_path / "images" / "02.png"), blob_field([("lymphocyte", 60, 60)]))
    code, result, _ = run("replay", run_id, "--journal", journal, "--pixels")
    assert code == 10 and {each["where"] for each in result["differences"]} == {"field 2 (02.png)"}
    (tmp_path / "images" / "13.png").write_bytes(b"no picture")
    code, result, _ = run("replay", run_id, "--journal", journal, "--frames", tmp_path / "images")
    assert code == 10 and "missing or changed" in {each["now"] for each in result["differences"]}
    assert run("replay", run_id, "--journal", journal)[0] == 0, "its records are as they were"


def test_another_bundle_or_place_is_one_sentence(counted: tuple[str, Path], run: Run, tmp_path: Path) -> None:
    run_id, journal = counted
    other = write_tiny_bundle(tmp_path / "other", top_k=64)
    code, _, said = run("replay", run_id, "--journal", journal, "--pixels", "--bundle", other.path)
    assert code == 3 and "is another bundle than that of run" in said
    (tmp_path / "bundle").rename(tmp_path / "moved")
    assert run("replay", run_id, "--journal", journal, "--pixels")[0] == 3
    assert run("replay", run_id, "--journal", journal, "--pixels", "--bundle", tmp_path / "moved")[0] == 0
    code, _, said = run(
        "replay", run_id, "--journal", journal, "--frames", tmp_path / "nowhere", "--bundle", tmp_path / "moved"
    )
    assert code == 4 and "does not exist" in said


def test_a_triggered_run_is_computed_from_the_frames_that_it_kept(tmp_path: Path, run: Run) -> None:
    journal, frames = tmp_path / "journal.sqlite", tmp_path / "frames"
    faults = parse_faults(["dropped@3", "damaged@5"], 1)
    settings = {"journal": str(journal), "keep_frames": str(frames)}
    slide = slide_of("seed:3,wbc=4,variants=2")
    perform_scan(slide, ScanOptions(target=10, fields=12), 0.2, faults, "model", settings)
    with closing(Archive(journal)) as archive:
        (stored,) = archive.runs()
    code, result, said = run("replay", stored.run_id, "--journal", journal, "--pixels")
    assert (code, result.get("differences")) == (0, []), said
    assert result["computed"]["fields"] >= 5
    perform_scan(slide, ScanOptions(target=2, fields=3), 0.2, faults, "truth", {"journal": str(tmp_path / "truth.sqlite")})
    with closing(Archive(tmp_path / "truth.sqlite")) as archive:
        (stored,) = archive.runs()
    code, _, said = run("replay", stored.run_id, "--journal", tmp_path / "truth.sqlite", "--pixels")
    assert code == 4 and "has kept no frames" in said
    code, _, said = run("replay", stored.run_id, "--journal", tmp_path / "truth.sqlite", "--frames", frames)
    assert code == 2 and "replay it where it was computed" in said
