"""What `leuko-edge score` does: every slide of a list, or of one shard of it, that has no result yet."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from edge.scoring.score_place import ScorePlace
from edge.scoring.slide_list import SlideEntry, list_slides, of_shard
from edge.scoring.slide_score import SlideScorer, check_settings

_LISTED = 20
"""Slides that failed and are named on the terminal; all of them are in the tables."""
_EXIT_CODES = {"engine": 5, "defect": 1, "slide": 4}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Archive:
    """What is to be scored, and how; `shard` is (index, shards). `given` are settings of the command line."""

    slides: Path
    out: Path
    given: Mapping[str, Any]
    config: Path | None = None
    shard: tuple[int, int] = (0, 1)
    retry_failed: bool = False


@dataclass(slots=True)
class ScoreSummary:
    """Rows as they are on the disk; `kept` are those of earlier calls."""

    out: Path
    slides: int
    kept: int = 0
    notes: list[str] = field(default_factory=list)
    rows: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if row["status"] == "failed"]

    @property
    def exit_code(self) -> int:
        """0 when each slide has its result; else whose failure there is: of the engine before a defect before a slide's own."""
        failures = {row["failure"] for row in self.failed}
        return next((code for failure, code in _EXIT_CODES.items() if failure in failures), 0)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "out": str(self.out),
            "slides": self.slides,
            "scored": len(self.rows) - len(self.failed),
            "kept": self.kept,
            "failed": [{name: row[name] for name in ("slide_id", "failure", "detail")} for row in self.failed],
            "fields": sum(row.get("fields") or 0 for row in self.rows),
            "wbc": sum(row.get("wbc") or 0 for row in self.rows),
            "notes": self.notes,
            "exit_code": self.exit_code,
        }


@dataclass(frozen=True, slots=True)
class Pending:
    """A list of slides held against what is there: rows of earlier calls that still hold, and slides that are to be scored."""

    entries: list[SlideEntry]
    summary: ScoreSummary
    order: dict[str, Any]


def pending_of(archive: Archive, scorer: SlideScorer) -> Pending:
    """What is still to do. Raises `ConfigError` as `list_slides` and `ScorePlace` do."""
    check_settings(archive.given)
    found = list_slides(archive.slides, archive.out)
    mine = of_shard(found.entries, *archive.shard)
    order = scorer.order()
    place = ScorePlace(archive.out, order)
    summary = ScoreSummary(archive.out, len(mine), notes=[*scorer.warnings, *found.notes])
    waiting = []
    for entry in mine:
        row = place.row_of(entry.slide_id)
        if row is not None and scorer.is_done(entry, row, retry_failed=archive.retry_failed):
            summary.rows.append(row)
        else:
            waiting.append(entry)
    summary.kept = len(summary.rows)
    return Pending(waiting, summary, order)


def score_archive(archive: Archive, *, as_json: bool = False) -> int:
    """Score one slide after the other in this process; print what became of them, and return the exit code."""
    with closing(SlideScorer(archive.given, archive.config)) as scorer:
        pending = pending_of(archive, scorer)
        place = ScorePlace(archive.out, pending.order)
        say_notes(pending.summary)
        with _bars(pending) as advance:
            for entry in pending.entries:
                row = scorer.score(entry, place, advance.field)
                pending.summary.rows.append(row)
                advance.slide(row)
    tell_scores(pending.summary, as_json=as_json)
    return pending.summary.exit_code


def score_rows(pending: Pending, rows: Iterable[Mapping[str, Any]]) -> None:
    """Take in rows that others have written, as they come."""
    with _bars(pending) as advance:
        for row in rows:
            pending.summary.rows.append(row)
            advance.slide(row)


def tell_scores(summary: ScoreSummary, *, as_json: bool) -> None:
    """Print what there is now, slides that failed and why."""
    if as_json:
        print(json.dumps(summary.as_json()))
        return
    console = Console(highlight=False)
    say = partial(console.print, soft_wrap=True)
    failed = summary.failed
    for row in failed[:_LISTED]:
        say(Text(f"{row['slide_id']} failed: {row['detail']}", style="red"))
    if len(failed) > _LISTED:
        say(Text(f"and {len(failed) - _LISTED} more"))
    doubtful = sum(bool(row.get("doubts")) for row in summary.rows)
    if doubtful:
        say(Text(f"{_slides(doubtful)} with doubts, which their rows name", style="yellow"))
    scored = len(summary.rows) - len(failed)
    before = f", {summary.kept} of them by earlier calls" if summary.kept else ""
    say(Text(f"{_slides(summary.slides)}: {scored} scored, {len(failed)} failed{before}; tables in {summary.out}"))
    if kept := [row for row in failed if row["failure"] == "slide"]:
        say(Text(f"--retry-failed scores {'it' if len(kept) == 1 else f'these {len(kept)}'} again"))


def _slides(number: int) -> str:
    return f"{number} slide{'' if number == 1 else 's'}"


def say_notes(summary: ScoreSummary) -> None:
    """What of the list or the settings is not used, into the log."""
    for note in summary.notes:
        _log.warning("%s", note)


@dataclass(frozen=True, slots=True)
class _Advance:
    field: Callable[[int | None], None]
    slide: Callable[[Mapping[str, Any]], None]


@contextmanager
def _bars(pending: Pending) -> Iterator[_Advance]:
    """Slides, and fields of the one that is scored, on standard error; where that is no terminal, the log has a line each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    counted: Counter[str] = Counter()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        slides = bars.add_task("slides", total=pending.summary.slides, completed=pending.summary.kept)
        fields = bars.add_task("fields", total=None)

        def on_field(expected: int | None) -> None:
            counted["fields"] += 1
            bars.update(fields, total=expected, completed=counted["fields"])

        def on_slide(row: Mapping[str, Any]) -> None:
            counted["fields"] = 0
            bars.advance(slides)
            bars.reset(fields)
            done, of = len(pending.summary.rows), pending.summary.slides
            said = row["detail"] if row["status"] == "failed" else f"{row.get('fields')} fields, {row.get('wbc')} WBC"
            _log.info("%d of %d: slide %s %s: %s", done, of, row["slide_id"], row["status"], said)

        yield _Advance(on_field, on_slide)
