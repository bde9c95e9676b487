"""What `leuko-edge replay` does: prove that a run's counts follow from its records."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.text import Text

from edge.contracts.errors import JournalError
from edge.contracts.records import FieldRecord, RunStart
from edge.contracts.user_paths import expanded
from edge.journal.archive import Archive, StoredRun
from edge.local.recompute import Pixels, Recomputed, recompute
from edge.local.recount import Announced, Recounted, announced_in, record_of, recount

_LISTED = 20
DIFFERS = 10
"""Exit code: what was compared does not agree."""


def replay_run(journal: Path, run_id: str, pixels: Pixels | None, *, as_json: bool) -> int:
    """Count the run anew, with `pixels` from its frames on, print what differs, and return the exit code: 0 nothing, `DIFFERS`
    something.

    Raises `JournalError` when the journal cannot be read, has no such run, or its records are not those that were written, and
    any `LeukoError` that says why its frames cannot be computed as they were.
    """
    with closing(Archive(expanded(journal))) as archive:
        run = archive.run(run_id)
        if problem := archive.problem(run):
            raise JournalError(f"run {run.run_id} is not as it was written ({problem}); there is nothing to count anew.")
        found = recounted(archive, run)
        computed = None if pixels is None else recomputed(archive, run, pixels)
    if computed is not None:
        found.differences += computed.differences
    if as_json:
        print(json.dumps(_figures(run, found, computed)))
    else:
        _tell(run, found, computed)
    return DIFFERS if found.differences else 0


def recounted(archive: Archive, run: StoredRun) -> Recounted:
    """The run, counted once more. Raises `JournalError`."""
    commands = archive.commands(run)
    fields = [] if commands else list(fields_of(archive, run))
    _, last = archive.first_and_last(run)
    return recount(archive.records(run), last, run.run_id, commands, fields, lambda each: archive.records(archive.run(each)))


def recomputed(archive: Archive, run: StoredRun, pixels: Pixels) -> Recomputed:
    """Its fields, computed once more from their frames. Raises any `LeukoError` that says why they cannot be."""
    contents = archive.records(run)
    start = record_of(next(contents), f"record 0 of run {run.run_id}")
    if not isinstance(start, RunStart):
        raise JournalError(f"run {run.run_id} does not begin with run_start; `leuko-edge runs verify` says what was changed.")
    records = (record_of(content, f"record {seq} of run {run.run_id}") for seq, content in enumerate(contents, 1))
    fields = (record for record in records if isinstance(record, FieldRecord) and record.batch is not None)
    return recompute(start, fields, pixels, is_triggered=bool(archive.commands(run)))


def fields_of(archive: Archive, run: StoredRun) -> Iterator[Announced]:
    """Triggers of a source that paces itself, as its fields have them."""
    for seq, content in enumerate(archive.records(run)):
        if content.startswith(b'{"type":"field"'):
            record = record_of(content, f"record {seq} of run {run.run_id}")
            if isinstance(record, FieldRecord):
                yield announced_in(record)


def _figures(run: StoredRun, found: Recounted, computed: Recomputed | None) -> dict[str, object]:
    return {
        "run": run.run_id,
        "fields": found.fields,
        "same": not found.differences,
        "differences": [
            {"where": each.where, "what": each.what, "was": each.was, "now": each.now} for each in found.differences
        ],
        "remarks": found.remarks,
        "computed": None
        if computed is None
        else {"fields": computed.fields, "batches": computed.batches, "by": computed.engine},
    }


def _tell(run: StoredRun, found: Recounted, computed: Recomputed | None) -> None:
    console = Console(highlight=False)
    n = len(found.differences)
    result = "the same, byte for byte" if not n else f"NOT THE SAME: {n} difference{'' if n == 1 else 's'}"
    lines = [f"run      {run.run_id}", f"counted  {found.fields} fields from {run.records} records: {result}"]
    if computed is not None:
        lines.insert(1, f"computed {computed.fields} fields in {computed.batches} batches as recorded, by {computed.engine}")
    lines += [f"  {each}" for each in found.differences[:_LISTED]]
    if n > _LISTED:
        lines.append(f"  and {n - _LISTED} more; --json has them")
    lines += [f"note     {each}" for each in found.remarks]
    for line in lines:
        console.print(Text(line))
