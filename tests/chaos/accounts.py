"""What is left after a chaos run: the scanner's notebook against the edge's journal, record by record."""

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from chaos.stand_ins import cells_of
from leukostream.edge.journal.archive import Archive
from leukostream.edge.scanner.audit import audit
from leukostream.edge.scanner.notebook import Notebook, ScannedRun


@dataclass
class Account:
    """Of one scan. `lost`, `reordered` and `twice` count records, `problems` says everything that does not add up."""

    runs: int = 0
    interrupted: int = 0
    records: int = 0
    triggers: int = 0
    lost: int = 0
    reordered: int = 0
    twice: int = 0
    problems: list[str] = field(default_factory=list)


def account(folder: Path, n_fields: int) -> Account:
    """Hold the notebook in `folder` against the journal beside it."""
    notebook = Notebook(folder / "notebook.jsonl")
    notebook.close()
    archive = Archive(folder / "journal.sqlite")
    try:
        return _compare(notebook.runs, archive, n_fields)
    finally:
        archive.close()


def _compare(runs: list[ScannedRun], archive: Archive, n_fields: int) -> Account:
    sums = audit(runs)
    found = Account(len(runs), sums.outcomes.get("interrupted", 0), sums.records, sums.triggers, problems=list(sums.problems))
    stored = {run.run_id: run for run in archive.runs()}
    for run in runs:
        if run.run_id not in stored:
            found.problems.append(f"run {run.run_id} is not in the journal")
            continue
        if broken := archive.problem(stored[run.run_id]):
            found.problems.append(f"run {run.run_id}: {broken}")
        written = [json.loads(content) for content in archive.records(stored[run.run_id])]
        seqs = [record["seq"] for record in run.records]
        found.lost += len({record["seq"] for record in written} - set(seqs))
        found.reordered += sum(later < earlier for earlier, later in pairwise(seqs))
        found.twice += sum(count - 1 for count in Counter(seqs).values())
        if run.records != written:
            found.problems.append(f"run {run.run_id}: what the scanner holds is not what the journal holds")
        for record in run.records:
            if record["type"] == "field" and record["status"] in {"ok", "empty"}:
                expected = {"lymphocyte": 1} if cells_of(record["field_index"]) else {}
                if record["counts"] != expected:
                    found.problems.append(f"field {record['field_index']} has {record['counts']}, shown was {expected}")
        if not all(trigger.pulsed for trigger in run.triggers.values()):
            found.problems.append(f"run {run.run_id} has announcements that were never answered")
    ended = {record["field_index"] for run in runs for record in run.records if record["type"] == "field"}
    if ended != set(range(n_fields)):
        found.problems.append(f"{n_fields - len(ended)} fields have no record in any run")
    return found
