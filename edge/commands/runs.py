"""`leuko-edge runs`: what a journal holds, with or without an edge running."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from edge.contracts.errors import JournalError
from edge.journal.archive import Archive, StoredRun
from edge.settings import DEFAULT_JOURNAL

app = typer.Typer(help="List, show, export and verify the runs of a journal.", no_args_is_help=True)

JournalOption = Annotated[Path, typer.Option("--journal", help="file that `leuko-edge run` writes")]
RunArgument = Annotated[str, typer.Argument(help="id of a run, or how it begins")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output")]


@app.command("list")
def list_runs(journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> None:
    """Every run, oldest first: its slide, how it ended, and how many of its records no controller has acknowledged."""
    with _opened(journal) as archive:
        rows = [_summary(archive, run) for run in archive.runs()]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("run", "slide", "began", "outcome", "fields", "leukocytes", "records", "not acknowledged")
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    Console(highlight=False).print(table)


@app.command()
def show(run: RunArgument, journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> None:
    """Beginning and end of one run: what it depended on, and its sums."""
    with _opened(journal) as archive:
        stored = archive.run(run)
        ends = {**_summary(archive, stored), **_ends(archive, stored)}
    print(json.dumps(ends) if as_json else json.dumps(ends, indent=2))


@app.command()
def export(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    out: Annotated[Path | None, typer.Option(help="file to write; standard output when not given")] = None,
) -> None:
    """Every record of one run as it was journalled, one JSON object a line, in order of seq."""
    with _opened(journal) as archive:
        records = archive.records(archive.run(run))
        if out is None:
            for content in records:
                sys.stdout.buffer.write(content + b"\n")
            return
        try:
            with out.open("xb") as stream:
                stream.writelines(content + b"\n" for content in records)
        except OSError as problem:
            raise JournalError(f"{out} cannot be written ({problem.strerror}); give another file with --out.") from problem


@app.command()
def verify(
    journal: JournalOption = DEFAULT_JOURNAL,
    run: Annotated[str | None, typer.Argument(help="id of a run, or how it begins; all when not given")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the hash chain of one or all runs: a record that was changed, removed or moved since is found.

    The last link of a whole run, noted elsewhere, proves later that nobody has written the run anew.

    Exit code 0 when every run is whole, 8 when one is not.
    """
    with _opened(journal) as archive:
        runs = archive.runs() if run is None else [archive.run(run)]
        found = [{"run": each.run_id, "problem": archive.problem(each), "last_link": each.link.hex()} for each in runs]
    if as_json:
        print(json.dumps(found))
    else:
        for each in found:
            print(f"{each['run']}  {each['problem'] or 'whole'}  last link {each['last_link']}")
    if broken := [each for each in found if each["problem"]]:
        raise JournalError(
            f"{len(broken)} of {len(found)} runs of journal {journal} are not as they were written: run {broken[0]['run']}, "
            f"{broken[0]['problem']}; restore the file from a copy."
        )


@contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    archive = Archive(path.expanduser())
    try:
        yield archive
    finally:
        archive.close()


def _ends(archive: Archive, run: StoredRun) -> dict[str, Any]:
    first, last = archive.first_and_last(run)
    start, stop = json.loads(first), json.loads(last)
    return {"run_start": start, "run_stop": stop if stop["type"] == "run_stop" else None}


def _summary(archive: Archive, run: StoredRun) -> dict[str, Any]:
    ends = _ends(archive, run)
    start, stop = ends["run_start"], ends["run_stop"]
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
