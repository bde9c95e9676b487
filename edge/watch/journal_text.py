"""What `leuko-edge runs` says of a journal: its runs as a table or as JSON, one run's records, and whether they are whole."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.contracts.errors import JournalError
from edge.contracts.user_paths import expanded
from edge.journal.archive import Archive, StoredRun
from edge.journal.reviews import stored_reviews
from edge.watch.fitting_table import Column, fitting_table
from edge.watch.stage_trace import trace_document

_COLUMNS = (
    Column("run"),
    Column("slide", least=8),
    Column("began", leave_out=2),
    Column("outcome"),
    Column("fields", leave_out=1, justify="right"),
    Column("leukocytes", "WBC", justify="right"),
    Column("records", leave_out=0, justify="right"),
    Column("not acknowledged", "open", justify="right"),
)
"""In the order of `_row`."""


def tell_runs(journal: Path, as_json: bool) -> None:
    """Print every run, oldest first. Raises `JournalError`, as all of these do."""
    with _opened(journal) as archive:
        rows = [_summary(archive, run) for run in archive.runs()]
        if as_json:
            print(json.dumps(rows))
            return
        for part in runs_table(rows, Console().width):
            Console(highlight=False).print(part)


def runs_table(rows: list[dict[str, Any]], width: int) -> list[Table | Text]:
    """Every run in a line, for a terminal `width` wide, and what had to be left out or shortened for it.

    Where there is no room for whole names of runs, they are given by how they begin, as `runs show` takes them.
    """
    texts = [["-" if value is None else str(value) for value in row.values()] for row in rows]
    table, left_out = fitting_table(_COLUMNS, [[Text(text) for text in row] for row in texts], width)
    if not left_out and table.show_edge:
        return [table]
    if left_out:
        names = shortest_beginnings([row[0] for row in texts])
        texts = [[name, row[1], row[2][:16].replace("T", " "), *row[3:]] for name, row in zip(names, texts, strict=True)]
        columns = (Column("run", least=8), *_COLUMNS[1:])
        table, left_out = fitting_table(columns, [[Text(text) for text in row] for row in texts], width)
    missing = f"left out here: {', '.join(left_out)}; " if left_out else ""
    words = "" if table.show_edge else "WBC: leukocytes, open: records not acknowledged; "
    return [table, Text(f"{words}{missing}--json has everything, `runs show RUN` takes a run by how it begins.")]


def shortest_beginnings(names: Sequence[str], least: int = 8) -> list[str]:
    """How each of these names begins, with at least `least` characters, so that no two are alike."""
    ordered = sorted(set(names))
    shared = [_n_shared(one, other) for one, other in pairwise(ordered)]
    needed = {
        name: max(least, 1 + max(before, after))
        for name, before, after in zip(ordered, [0, *shared], [*shared, 0], strict=False)
    }
    return [name[: needed[name]] for name in names]


def _n_shared(one: str, other: str) -> int:
    """Characters with which both begin."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def tell_run(journal: Path, run_id: str, as_json: bool) -> None:
    """Print beginning and end of one run; `run_id` may be how its id begins."""
    with _opened(journal) as archive:
        stored = archive.run(run_id)
        ends = {**_summary(archive, stored), **_ends(archive, stored)}
        print(json.dumps(ends) if as_json else json.dumps(ends, indent=2))


def export_run(journal: Path, run_id: str, out: Path | None) -> None:
    """Write every record of one run, a line each, to a new file or to standard output."""
    with _opened(journal) as archive:
        _give((content + b"\n" for content in archive.records(archive.run(run_id))), out)


def trace_run(journal: Path, run_id: str, out: Path | None) -> None:
    """Write the times of one run's stages as a trace, to a new file or to standard output."""
    with _opened(journal) as archive:
        _give((piece.encode() for piece in trace_document(archive.records(archive.run(run_id)))), out)


def _give(pieces: Iterator[bytes], out: Path | None) -> None:
    if out is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    try:
        with out.open("xb") as stream, _removed_unless_whole(out):
            stream.writelines(pieces)
            stream.flush()
    except OSError as problem:
        raise JournalError(f"{out} cannot be written ({problem.strerror}); give another file with --out.") from problem


def verify_runs(journal: Path, run_id: str | None, as_json: bool) -> None:
    """Print of one run or of all whether they are as they were written; raises when one is not."""
    with _opened(journal) as archive:
        runs = archive.runs() if run_id is None else [archive.run(run_id)]
        found = [_verified(archive, each) for each in runs]
        if as_json:
            print(json.dumps(found))
        else:
            for each in found:
                reviews = f"  {each['reviews']} reviews, last link {each['last_review_link']}" if each["reviews"] else ""
                print(f"{each['run']}  {each['problem'] or 'whole'}  last link {each['last_link']}{reviews}")
        if broken := [each for each in found if each["problem"]]:
            raise JournalError(
                f"{len(broken)} of {len(found)} runs of journal {journal} are not as they were written, or were never whole: "
                f"run {broken[0]['run']}, {broken[0]['problem']}; restore the file from a copy, or report a defect of the edge."
            )
        if damage := archive.damage():
            raise JournalError(
                f"journal {journal}: {damage}, so that what was found whole may not be all; restore the file from a copy."
            )


def _verified(archive: Archive, run: StoredRun) -> dict[str, Any]:
    """Records first: of others than those that were written no review can be right."""
    found = stored_reviews(archive, run)
    problem = archive.problem(run) or found.problem
    reviews = {"reviews": len(found.reviews), "last_review_link": found.last_link.hex()}
    return {"run": run.run_id, "problem": problem, "last_link": run.link.hex(), **reviews}


@contextmanager
def _removed_unless_whole(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink()
        raise


@contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    """Reads what is there; a journal that lacks records is an error afterwards."""
    archive = Archive(expanded(path))
    try:
        yield archive
    finally:
        archive.close()
    if archive.lacks:
        raise JournalError(f"{archive.lacks}; put both files side by side. What is here was read.")


def _ends(archive: Archive, run: StoredRun) -> dict[str, Any]:
    first, last = archive.first_and_last(run)
    try:
        start, stop = json.loads(first), json.loads(last)
        return {"run_start": start, "run_stop": stop if stop["type"] == "run_stop" else None}
    except (ValueError, LookupError, TypeError) as problem:
        raise _changed(run) from problem


def _summary(archive: Archive, run: StoredRun) -> dict[str, Any]:
    ends = _ends(archive, run)
    try:
        return _row(run, ends["run_start"], ends["run_stop"])
    except (LookupError, TypeError) as problem:
        raise _changed(run) from problem


def _changed(run: StoredRun) -> JournalError:
    return JournalError(f"a record of run {run.run_id} is none; `leuko-edge runs verify` says what was changed.")


def _row(run: StoredRun, start: dict[str, Any], stop: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "run": run.run_id,
        "slide": start["slide_id"],
        "began": start["wall_time"],
        "outcome": stop["outcome"] if stop else "not ended",
        "fields": stop["triggers"] if stop else None,
        "leukocytes": stop["differential"]["wbc_total"] if stop else None,
        "records": run.records,
        "not_acknowledged": run.unacknowledged,
    }
