"""What `leuko-edge replay` does: prove that a run's counts follow from its records."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.text import Text

from edge.contracts.errors import JournalError
from edge.contracts.records import FieldRecord
from edge.contracts.user_paths import expanded
from edge.journal.archive import Archive, StoredRun
from edge.local.recount import Announced, Recounted, announced_in, record_of, recount

_LISTED = 20
DIFFERS = 10
"""Exit code: what was compared does not agree."""


def replay_run(journal: Path, run_id: str, *, as_json: bool) -> int:
    """Count the run anew, print what differs, and return the exit code: 0 nothing, `DIFFERS` something.

    Raises `JournalError` when the journal cannot be read, has no such run, or its records are not those that were written.
    """
    with closing(Archive(expanded(journal))) as archive:
        run = archive.run(run_id)
        if problem := archive.problem(run):
            raise JournalError(f"run {run.run_id} is not as it was written ({problem}); there is nothing to count anew.")
        found = recounted(archive, run)
    if as_json:
        print(json.dumps(_figures(run, found)))
    else:
        _tell(run, found)
    return DIFFERS if found.differences else 0


def recounted(archive: Archive, run: StoredRun) -> Recounted:
    """The run, counted once more. Raises `JournalError`."""
    commands = archive.commands(run)
    fields = [] if commands else list(fields_of(archive, run))
    _, last = archive.first_and_last(run)
    return recount(archive.records(run), last, run.run_id, commands, fields, lambda each: archive.records(archive.run(each)))


def fields_of(archive: Archive, run: StoredRun) -> Iterator[Announced]:
    """Triggers of a source that paces itself, as its fields have them."""
    for seq, content in enumerate(archive.records(run)):
        if content.startswith(b'{"type":"field"'):
            record = record_of(content, f"record {seq} of run {run.run_id}")
            if isinstance(record, FieldRecord):
                yield announced_in(record)


def _figures(run: StoredRun, found: Recounted) -> dict[str, object]:
    return {
        "run": run.run_id,
        "fields": found.fields,
        "same": not found.differences,
        "differences": [
            {"where": each.where, "what": each.what, "was": each.was, "now": each.now} for each in found.differences
        ],
        "remarks": found.remarks,
    }


def _tell(run: StoredRun, found: Recounted) -> None:
    console = Console(highlight=False)
    n = len(found.differences)
    result = "the same, byte for byte" if not n else f"NOT THE SAME: {n} difference{'' if n == 1 else 's'}"
    lines = [f"run      {run.run_id}", f"counted  {found.fields} fields from {run.records} records: {result}"]
    lines += [f"  {each}" for each in found.differences[:_LISTED]]
    if n > _LISTED:
        lines.append(f"  and {n - _LISTED} more; --json has them")
    lines += [f"note     {each}" for each in found.remarks]
    for line in lines:
        console.print(Text(line))
