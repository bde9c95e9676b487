"""The support archive of a run: what is in it, and above all what is not; the verdict on the journal itself."""

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.scripted_run import field_record, run_start, run_stop
from typer.testing import CliRunner, Result

from edge.command_list import app
from edge.contracts.errors import LeukoError
from edge.doctor.log_extract import extract_of, log_files
from edge.files import toml_value
from edge.journal.sqlite_journal import SqliteJournal

pytestmark = pytest.mark.timeout(60)
SLIDE, SAMPLE, OTHER = "SLIDE-0815", "Müller, Anna", "0047"
FILES = {"about.json", "verdict.json", "records.jsonl", "log.json", "configuration.json", "versions.json", "doctor.json"}


def journal_of(folder: Path, sample_id: str = SAMPLE) -> Path:
    path = folder / "journal.sqlite"
    journal = SqliteJournal(path)
    for run_id, slide, sample in (("before-1", None, OTHER), ("run-1", SLIDE, sample_id)):
        settings = {"sample_id": sample, "bind": "tcp://127.0.0.1:5570", "api_token": "t0k3n"}
        start = run_start(run_id, slide, source=f"opencv:rtsp://admin:hunter2@10.0.0.9/{SLIDE}")
        start = start.model_copy(update={"sample_id": sample, "settings": settings})
        journal.append(start)
        named = {"source_name": f"{slide}_{sample}_1.png", "detail": f"see /data/{OTHER}/x"}
        journal.append(field_record(run_id, 1).model_copy(update=named))
        journal.append(run_stop(run_id, 2))
        journal.settle()
    journal.close()
    return path


def log_line(message: str, run_id: str | None = None, time: str = "2030-01-02T03:04:00+00:00") -> str:
    line: dict[str, Any] = {"time": time, "level": "info", "thread": "MainThread", "logger": "x", "message": message}
    return json.dumps(line | ({"run_id": run_id} if run_id else {}))


def logs(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["logs", *map(str, words)])


def packed(done: Result, archive: Path) -> dict[str, str]:
    assert done.exit_code == 0, (done.output, done.exception)
    with zipfile.ZipFile(archive) as content:
        return {name: content.read(name).decode() for name in content.namelist()}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The archive of a run of which everything is there."""
    folder = tmp_path_factory.mktemp("support")
    journal, log, config = journal_of(folder), folder / "edge.log", folder / "edge.toml"
    lines = [log_line("mine", "run-1"), log_line("another's", "before-1"), log_line(f"opened /data/{SAMPLE}/x.png", "run-1")]
    lines += ["no JSON", log_line("at the time"), log_line("long ago", None, "2029-01-01T00:00:00Z")]
    log.write_text("\n".join(lines) + "\n")
    (folder / "edge.log.1").write_text(log_line("set aside", "run-1") + "\n")
    stated = {"source": "opencv:http://u:p4ss@cam/x", "sample_id": f"{OTHER}-b", "journal": str(journal), "um_per_px": 0.13}
    config.write_text("".join(f"{name} = {toml_value(value)}\n" for name, value in stated.items()))
    out = folder / "out.zip"
    return packed(logs("run", "--config", config, "--log-file", log, "--out", out), out)


def test_everything_is_in_it(found: dict[str, str]) -> None:
    assert found.keys() == FILES | {"log.jsonl"}
    records = [json.loads(line) for line in found["records.jsonl"].splitlines()]
    assert [record["type"] for record in records] == ["run_start", "field", "run_stop"]
    assert [json.loads(line)["message"] for line in found["log.jsonl"].splitlines()] == [
        *("set aside", "mine", "opened /data/sample-1/x.png", "at the time"),
    ]
    assert json.loads(found["log.json"]) == {"files": ["edge.log.1", "edge.log"], "lines": 4, "lines_of_another_form": 1}
    assert json.loads(found["verdict.json"])["whole"] is True
    configuration = json.loads(found["configuration.json"])
    assert configuration["of_the_run"]["settings"]["bind"] == "tcp://127.0.0.1:5570"
    assert {"setting": "um_per_px", "value": 0.13, "from": "file"}.items() <= configuration["here_and_now"][1].items()
    versions = json.loads(found["versions.json"])
    assert {"leukostream", "python", "system"} <= versions.keys() and "numpy" in versions["distributions"]
    assert "facts" in json.loads(found["doctor.json"])
    about = json.loads(found["about.json"])
    assert {each["name"] for each in about["files"]} == found.keys() - {"about.json"}
    assert all(each["bytes"] == len(found[each["name"]].encode()) for each in about["files"])


@pytest.mark.parametrize("secret", [SLIDE, SAMPLE, json.dumps(SAMPLE)[1:-1], OTHER, "hunter2", "p4ss", "t0k3n"])
def test_ids_and_secrets_are_nowhere(found: dict[str, str], secret: str) -> None:
    assert [name for name, text in found.items() if secret.lower() in text.lower()] == []


def test_ids_become_the_same_words_everywhere(found: dict[str, str]) -> None:
    start, field, _ = (json.loads(line) for line in found["records.jsonl"].splitlines())
    assert (start["slide_id"], start["sample_id"], start["settings"]["sample_id"]) == ("slide-1", "sample-1", "sample-1")
    assert field["source_name"] == "slide-1_sample-1_1.png" and field["detail"] == "see /data/sample-2/x"


@pytest.mark.parametrize("sample_id", ["7", "ok", "/", "a" * 128, "{}", '"', "\\", "(", "ß"])
def test_an_id_of_any_shape_is_replaced_under_its_key_and_spoils_nothing(sample_id: str, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    texts = packed(logs("run-1", "--journal", journal_of(tmp_path, sample_id), "--out", out), out)
    start, field, stop = (json.loads(line) for line in texts["records.jsonl"].splitlines())
    assert start["sample_id"] == start["settings"]["sample_id"] == "sample-1"
    assert (start["type"], field["field_index"], stop["outcome"]) == ("run_start", 0, "completed")
    assert "--log-file" in json.loads(texts["log.json"])["missing"]


def test_a_journal_that_was_changed_is_packed_with_that_verdict(tmp_path: Path) -> None:
    journal, out = journal_of(tmp_path), tmp_path / "out.zip"
    connection = sqlite3.connect(journal)
    connection.execute(
        "UPDATE records SET content = ? WHERE seq = 1 AND run = (SELECT number FROM runs WHERE name = 'run-1')",
        (b"{" + SAMPLE.encode(),),
    )
    connection.commit()
    connection.close()
    done = logs("run-1", "--journal", journal, "--out", out)
    texts = packed(done, out)
    verdict = json.loads(texts["verdict.json"])
    assert (verdict["whole"], verdict["problem"]) == (False, "record 1 is not what was written")
    assert "record 1 is not what was written" in done.stdout
    assert json.loads(texts["records.jsonl"].splitlines()[1]) == {"unreadable": "record 1 is no JSON"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["nobody"], "no run nobody", id="no such run"),
        pytest.param(["run-1", "--out", "{folder}/journal.sqlite"], "is there already", id="a file that is there"),
        pytest.param(["run-1", "--out", "{folder}/none/x.zip"], "cannot be written", id="no such folder"),
        pytest.param(["run-1", "--journal", "{folder}/none"], "there is no journal", id="no journal"),
        pytest.param(["run-1", "--journal", "memory"], "is memory", id="a journal in memory"),
        pytest.param(["run-1", "--print"], "no log file is configured", id="nothing to print"),
        pytest.param(["run-1", "--print", "--log-file", "{folder}/none"], "there is no log file", id="a log that is not there"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_leaves_nothing(words: list[str], says: str, tmp_path: Path) -> None:
    journal_of(tmp_path)
    before = set(tmp_path.iterdir())
    given = [word.format(folder=tmp_path) for word in words]
    journal = [] if "--journal" in given else ["--journal", str(tmp_path / "journal.sqlite")]
    done = logs(*given, *journal)
    assert isinstance(done.exception, LeukoError) and says in str(done.exception), done.exception
    beside = {tmp_path / f"journal.sqlite-{part}" for part in ("wal", "shm")}  # SQLite's own
    assert set(tmp_path.iterdir()) - beside == before


def test_settings_that_cannot_be_used_are_no_reason_for_no_archive(tmp_path: Path) -> None:
    config, out = tmp_path / "edge.toml", tmp_path / "out.zip"
    config.write_text("max_bach = 2\n")
    texts = packed(logs("run-1", "--config", config, "--journal", journal_of(tmp_path), "--out", out), out)
    assert "did you mean `max_batch`" in json.loads(texts["configuration.json"])["here_and_now"]["problem"]


def test_lines_for_people(tmp_path: Path) -> None:
    log = tmp_path / "edge.log"
    log.write_text(log_line(f"slow {SLIDE}", "run-1") + "\n" + log_line("another's", "x") + "\n")
    done = logs("run-1", "--print", "--log-file", log, "--journal", journal_of(tmp_path))
    assert done.stdout == "2030-01-02T03:04:00+00:00 INFO MainThread: slow slide-1 [run run-1]\n"


def test_log_files_are_found_in_their_order(tmp_path: Path) -> None:
    for name in ("e[1].log", "e[1].log.2", "e[1].log.10", "e[1].log.1", "e[1].log.lock", "e1.log.3", "e[1].log.old"):
        (tmp_path / name).write_text("{}\n[1]\n\n")
    files = log_files(tmp_path / "e[1].log")
    assert [path.name for path in files] == ["e[1].log", "e[1].log.1", "e[1].log.2", "e[1].log.10"]
    assert extract_of(tmp_path / "e[1].log", "r", "", None).others == 4
