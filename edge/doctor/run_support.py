"""What `leuko-edge logs` does: a run's support archive, or its lines of the log for people."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contracts.errors import JournalError, LeukoError, first_line
from edge.contracts.user_paths import expanded
from edge.doctor.diagnosis import Question, diagnose
from edge.doctor.diagnosis_text import as_json, question_of
from edge.doctor.log_extract import LogExtract, extract_of
from edge.doctor.support_archive import ArchiveWriter, Cleaner, clean_records, cleaner_of, verdict_of, versions
from edge.engine.machine import look_at_machine
from edge.journal.archive import Archive, StoredRun
from edge.service.log_lines import ids_text
from edge.service.serving_setup import Stated
from edge.settings import DEFAULT_JOURNAL, IN_MEMORY, SHIPPED_BUNDLE, Setup
from edge.watch.settings_text import NO_SOURCE, effective


@dataclass(frozen=True, slots=True)
class Now:
    """How an edge would be set here and now; `problem` says why that cannot be told."""

    journal: Path
    log_file: Path | None
    setup: Setup | None
    problem: str = ""
    why: str = ""
    """which bundle serves and why, where one was rolled out"""


def as_set_now(given: Mapping[str, Any], file: Path | None, environment: Mapping[str, str]) -> Now:
    """Never raises for settings that cannot be used: what went wrong may be just that."""
    try:
        serving = Stated(given, file, environment, NO_SOURCE).serving()
    except LeukoError as problem:
        log_file = given.get("log_file")
        return Now(Path(given.get("journal", DEFAULT_JOURNAL)), log_file and Path(log_file), None, str(problem))
    settings = serving.setup.settings
    return Now(settings.journal, settings.log_file, serving.setup, why=serving.why)


def pack_support(run_id: str, now: Now, out: Path | None) -> None:
    """Write the archive and say where it is and what the journal's verdict was. Raises `JournalError` and `ConfigError`."""
    with _Opened(now) as archive:
        run = archive.run(run_id)
        verdict = verdict_of(archive, run)
        settings = now.setup.settings if now.setup else None
        cleaner = cleaner_of(archive, run, (settings.slide_id, settings.sample_id) if settings else ())
        place = out or Path(f"leukostream-support-{_file_name(cleaner.text(run.run_id))}.zip")
        ArchiveWriter(place).write(_files(archive, run, verdict, cleaner, now))
    print(f"written  {place}\nrun      {verdict['problem'] or 'whole'}, {run.records} records")


def tell_lines(run_id: str, now: Now) -> None:
    """Print the run's lines of the log for people. Raises `JournalError`."""
    with _Opened(now) as archive:
        run = archive.run(run_id)
        cleaner = cleaner_of(archive, run)
        extract = _extract(archive, run, now)
    if isinstance(extract, str):
        raise JournalError(f"there is nothing to show of run {run.run_id}: {extract}.")
    for line in extract.lines:
        said = (
            f"{line.get('time')} {str(line.get('level')).upper()} {line.get('thread')}: {line.get('message')}{ids_text(line)}"
        )
        print(cleaner.text(said))
        if (trace := line.get("traceback")) is not None:
            print(cleaner.text(str(trace)))


class _Opened(Archive):
    """The journal, as a context."""

    def __init__(self, now: Now) -> None:
        if now.journal == IN_MEMORY:
            raise JournalError(
                "the journal of this configuration is memory, and ended with its process; name a file with --journal."
            )
        super().__init__(expanded(now.journal))

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _files(
    archive: Archive, run: StoredRun, verdict: dict[str, Any], cleaner: Cleaner, now: Now
) -> Iterator[tuple[str, Iterator[object]]]:
    def clean(*documents: object) -> Iterator[object]:
        return (cleaner.document(each) for each in documents)

    yield "verdict.json", clean(verdict)
    yield "records.jsonl", clean_records(archive, run, cleaner)
    extract = _extract(archive, run, now)
    if isinstance(extract, str):
        yield "log.json", clean({"missing": extract})
    else:
        yield "log.jsonl", clean(*extract.lines)
        yield "log.json", clean({"files": extract.files, "lines": len(extract.lines), "lines_of_another_form": extract.others})
    yield "configuration.json", clean(_configuration(archive, run, now))
    yield "versions.json", clean(versions())
    question = question_of(now.setup, now.why) if now.setup else Question(SHIPPED_BUNDLE)
    yield "doctor.json", clean(as_json(diagnose(question, look_at_machine(everything=True))))


def _extract(archive: Archive, run: StoredRun, now: Now) -> LogExtract | str:
    """The lines, or why there are none."""
    if now.log_file is None:
        return "no log file is configured; name it with --log-file, or with `log_file` in the configuration"
    began, ended = _times(archive, run)
    try:
        extract = extract_of(expanded(now.log_file), run.run_id, began, ended)
    except OSError as problem:
        return f"log file {now.log_file} cannot be read ({first_line(problem)})"
    return extract if extract.files else f"there is no log file {now.log_file}"


def _times(archive: Archive, run: StoredRun) -> tuple[str, str | None]:
    first, last = (_document(content) for content in archive.first_and_last(run))
    ended = last.get("wall_time") if last.get("type") == "run_stop" else None
    return str(first.get("wall_time")), ended and str(ended)


def _configuration(archive: Archive, run: StoredRun, now: Now) -> dict[str, Any]:
    start = _document(archive.first_and_last(run)[0])
    return {
        "of_the_run": {key: start.get(key) for key in ("settings", "provenance", "policy", "diagnostic")},
        "here_and_now": list(effective(now.setup, now.why)) if now.setup else {"problem": now.problem},
    }


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _file_name(run_id: str) -> str:
    return "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "-_" else "_" for letter in run_id)[:40]
