"""Journals as earlier versions wrote them, kept as files: the newest version reads, verifies, reports, counts anew and goes on.

`first` is the first journal with a chain, before reviews, forgotten runs and the mark of a closed file; `0.1.0` is the first
release's. Each holds one run over three images, of which a controller has all records. A version that writes something new
gets a file of its own here, made by `leuko-edge run` on a bundle of the tests; none of these is ever made anew.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError
from edge.contracts.records import FieldRecord, RunStart, RunStop
from edge.journal.archive import Archive
from edge.journal.sqlite_journal import SqliteJournal
from edge.local.replay import replay_run
from edge.reports.opened_run import opened_run
from edge.settings import EdgeSettings
from edge.watch.journal_text import verify_runs

pytestmark = pytest.mark.timeout(60)
KEPT = sorted((Path(__file__).parent / "kept").glob("*.sqlite"))
CELLS = {"lymphocyte": 2, "eosinophil": 1}


@pytest.fixture(params=KEPT, ids=lambda path: path.stem)
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "journal.sqlite"
    shutil.copyfile(request.param, path)
    yield path


def records_in(path: Path) -> list[bytes]:
    with closing(Archive(path)) as archive:
        (run,) = archive.runs()
        assert archive.problem(run) == "" and run.unacknowledged == 0
        return list(archive.records(run))


def test_there_is_one_of_every_version() -> None:
    assert [path.stem for path in KEPT] == ["0.1.0", "first"]


def test_its_records_are_read_and_its_chain_holds(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *fields, last = records_in(journal)
    assert parse_json(RunStart, first, "the first record", JournalError).provenance.host == "scanner"
    assert [parse_json(FieldRecord, each, "a field", JournalError).counted for each in fields] == [True] * 3
    assert parse_json(RunStop, last, "the last record", JournalError).cells == CELLS
    verify_runs(journal, None, as_json=True)
    assert json.loads(capsys.readouterr().out)


def test_it_is_reported_and_counted_anew(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = json.loads(records_in(journal)[0])["run_id"]
    report = opened_run(journal, run_id).report
    assert report.result.cells == CELLS and report.chain.is_whole
    assert replay_run(journal, run_id, None, as_json=True) == 0, capsys.readouterr().out


def test_an_edge_goes_on_with_it_and_a_controller_resumes(journal: Path) -> None:
    before = records_in(journal)
    run_id = json.loads(before[0])["run_id"]
    with closing(SqliteJournal(journal, "normal")) as opened:
        assert opened.runs() == [run_id] and opened.finished(run_id)
        start = parse_json(RunStart, before[0], "the first record", JournalError)
        opened.append(start.model_copy(update={"run_id": "a new one", "seq": 0}))
        opened.settle()
        assert [content for _, content in opened.read(run_id, 0, 100)] == before
        assert opened.next_seq(run_id) == len(before) and opened.next_seq("a new one") == 1
    with closing(Archive(journal)) as archive:
        old, new = archive.runs()
        assert list(archive.records(old)) == before and archive.problem(old) == "" and new.records == 1


def test_its_settings_are_settings_still(journal: Path) -> None:
    stated = json.loads(records_in(journal)[0])["settings"]
    settings = EdgeSettings.model_validate(stated)
    again = settings.model_dump(mode="json")
    assert {name: again[name] for name in stated} == stated


def test_the_first_ones_are_as_they_were_written() -> None:
    tables = {}
    for path in KEPT:
        with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as db:
            names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            tables[path.stem] = names, *db.execute("PRAGMA user_version").fetchone()
    assert tables["first"] == ({"runs", "records", "triggers"}, 0)
    assert tables["0.1.0"][0] > tables["first"][0] and tables["0.1.0"][1] == 2
