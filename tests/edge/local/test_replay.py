"""`leuko-edge replay`: what was recorded is what the records give, and what is not is named."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main
from edge.journal.archive import Archive
from edge.local.recount import Announced, Recounted, recount
from edge.local.replay import fields_of, recounted
from edge.scanner.fault_plan import parse_faults
from edge.scanner.scan_options import ScanOptions
from edge.scanner.virtual_scan import perform_scan, slide_of

pytestmark = pytest.mark.timeout(110)
SOURCE = "virtual:seed=42,fields=8,wbc=5,overlap=0.4,variants=2,lose_every=5"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a count over fields that overlap, one of them lost."""
    out = tmp_path_factory.mktemp("replay") / "out"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["leuko-edge", "count", SOURCE, "--out", str(out), "--pictures", "none"])
        main()
    assert ended.value.code == 4, "one field was lost"
    return out / "journal.sqlite"


def replay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["leuko-edge", "replay", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_count_is_the_same_again(journal: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Archive(journal)) as archive:
        (run,) = archive.runs()
    code, out, _ = replay(capsys, monkeypatch, run.run_id[:8], "--journal", str(journal), "--json")
    assert (code, json.loads(out)["same"], json.loads(out)["fields"]) == (0, True, 8)
    code, out, _ = replay(capsys, monkeypatch, run.run_id, "--journal", str(journal))
    assert code == 0 and "the same, byte for byte" in out


def changed(journal: Path, change: Callable[[dict[str, Any]], object], at: int) -> Recounted:
    """The records counted anew, one of them changed."""
    with closing(Archive(journal)) as archive:
        (run,) = archive.runs()
        contents, fields = list(archive.records(run)), list(fields_of(archive, run))
    record = json.loads(contents[at])
    change(record)
    contents[at] = json.dumps(record, separators=(",", ":")).encode()
    return recount(iter(contents), contents[-1], run.run_id, [], fields)


def moved(record: dict[str, Any]) -> None:
    for axis in ("x_nm", "y_nm"):
        record["stage"][axis] = str(int(record["stage"][axis]) + 50_000)


@pytest.mark.parametrize(
    ("change", "at", "named"),
    [
        pytest.param(lambda r: r["counts"].update(monocyte=7), 1, "counts.monocyte", id="a count of a field"),
        pytest.param(lambda r: r["running"]["cells"].update(blast=1), 1, "running.cells.blast", id="a running sum"),
        pytest.param(lambda r: r["running"].update(wbc_total=999), 2, "running.wbc_total", id="leukocytes"),
        pytest.param(lambda r: r["running"]["fields"].update(ok=9), 2, "running.fields.ok", id="ends of fields"),
        pytest.param(lambda r: r["running"]["slide"].update(final_until=99), 2, "slide.final_until", id="how far it is final"),
        pytest.param(lambda r: r["running"]["slide"]["same_cells"].clear(), 2, "slide.same_cells", id="a merge is gone"),
        pytest.param(lambda r: r["detections"].pop(), 1, "counts", id="a cell is gone"),
        pytest.param(lambda r: r["detections"][0].update(label="basophil"), 1, "counts", id="another label"),
        pytest.param(moved, 2, "centre_stage", id="another place"),
        pytest.param(lambda r: r.update(counted=False), 1, "counts", id="not counted"),
        pytest.param(lambda r: r["cells"].update(blast=3), -1, "cells.blast", id="the result"),
        pytest.param(lambda r: r["slide"].update(same_cells=0), -1, "slide.same_cells", id="merges of the result"),
        pytest.param(lambda r: r["differential"].update(wbc_total=1), -1, "differential.wbc_total", id="the differential"),
        pytest.param(lambda r: r.update(triggers=1), -1, "triggers", id="triggers"),
    ],
)
def test_what_does_not_follow_is_named(journal: Path, change: Callable[[dict[str, Any]], object], at: int, named: str) -> None:
    found = changed(journal, change, at)
    assert found.differences and any(named in each.what for each in found.differences), list(map(str, found.differences))


def test_what_the_records_themselves_say_may_be_anything(journal: Path) -> None:
    assert changed(journal, lambda r: r.update(wall_time="2001-01-01T00:00:00.000+00:00"), 1).differences == []
    assert changed(journal, lambda r: r.update(boot_id="another"), 1).differences == []


def test_a_field_that_ends_twice_is_a_difference(journal: Path) -> None:
    with closing(Archive(journal)) as archive:
        (run,) = archive.runs()
        contents, fields = list(archive.records(run)), list(fields_of(archive, run))
    contents.insert(2, contents[1])
    found = recount(iter(contents), contents[-1], run.run_id, [], fields)
    assert any("is not open" in str(each.now) for each in found.differences)
    none: list[Announced] = []
    assert recount(iter(contents), contents[-1], run.run_id, [], none).differences


def test_a_scan_in_which_everything_went_wrong_is_the_same_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    faults = parse_faults(["edge-killed@14", "dropped@3", "damaged@6", "pulse-twice@20", "disconnect@9"], 7)
    options = ScanOptions(target=60, order="random", fields=40)
    perform_scan(slide_of("seed:7,wbc=3,variants=2"), options, 0.3, faults, "truth", {"journal": str(journal)})
    with closing(Archive(journal)) as archive:
        runs = archive.runs()
        assert len(runs) == 2
        for run in runs:
            found = recounted(archive, run)
            assert found.fields and [str(each) for each in found.differences] == []


def test_records_that_were_changed_are_refused(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(journal.read_bytes().replace(b'"counted":true', b'"counted":null', 1))
    with closing(Archive(copy)) as archive:
        (run,) = archive.runs()
    code, _, said = replay(capsys, monkeypatch, run.run_id, "--journal", str(copy))
    assert code == 8 and "is not as it was written" in said
    code, _, said = replay(capsys, monkeypatch, "zzz", "--journal", str(journal))
    assert code == 8 and "no run zzz" in said
