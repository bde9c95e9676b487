"""What is left after a chaos scan: the notebook against the journal, record by record, and both against the slide."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from chaos.chaos_plan import ChaosPlan
from chaos.faulty_camera import cells_of
from chaos.letter_notebook import LetterNotebook, LetterRun
from chaos.processes import JOURNAL, NOTEBOOK
from edge.contracts.errors import LeukoError
from edge.journal.archive import Archive
from edge.scanner.audit import audit
from edge.scanner.notebook import Announced, Notebook, ScannedRun


@dataclass
class Account:
    """Of one scan. `lost`, `reordered` and `twice` count records by (run, seq), `invented` those that are not what the journal
    has at that place, `counted_twice` fields whose cells entered the sums of two runs; `problems` says everything that does
    not add up. `unacknowledged` is no problem: the last ACK was lost with a process or a cable, and the edge keeps those
    records until it comes again."""

    runs: int = 0
    interrupted: int = 0
    triggers: int = 0
    records: int = 0
    lost: int = 0
    invented: int = 0
    reordered: int = 0
    twice: int = 0
    counted_twice: int = 0
    unacknowledged: int = 0
    problems: list[str] = field(default_factory=list)


def account(folder: Path, plan: ChaosPlan) -> Account:
    """Hold the notebook in `folder` against the journal beside it."""
    try:
        runs, complaints = _scanned(folder / NOTEBOOK, plan)
        archive = Archive(folder / JOURNAL)
        try:
            found = _compare(runs, archive, plan)
        finally:
            archive.close()
        found.problems += complaints
        return found
    except LeukoError as problem:
        return Account(problems=[str(problem)])


def _scanned(file: Path, plan: ChaosPlan) -> tuple[list[ScannedRun], list[str]]:
    """Runs as the scanner has them, and what it has to say about the edge."""
    if plan.controller == "own":
        notebook = Notebook(file)
        notebook.close()
        return notebook.runs, []
    letter = LetterNotebook(file, read_only=True)
    return [_as_scanned(run) for run in letter.runs], letter.complaints


def _as_scanned(run: LetterRun) -> ScannedRun:
    """A trigger exists when it was accepted; where no answer came, its field says so, and there was no pulse of it."""
    scanned = ScannedRun(run.run_id, "", run.continues, records=run.records)
    ended = {record["trigger_id"] for record in run.records if record["type"] == "field"}
    for command in run.announced:
        if (accepted := command["cmd_id"] in run.answered) or command["trigger_id"] in ended:
            trigger_id = command["trigger_id"]
            scanned.triggers[trigger_id] = Announced(trigger_id, command["cmd_id"], command["field_index"], pulsed=accepted)
    return scanned


def _compare(runs: list[ScannedRun], archive: Archive, plan: ChaosPlan) -> Account:
    sums = audit(runs)
    found = Account(len(runs), sums.outcomes.get("interrupted", 0), sums.triggers, sums.records, problems=list(sums.problems))
    stored = {run.run_id: run for run in archive.runs()}
    for run_id in stored.keys() - {run.run_id for run in runs}:
        found.problems.append(f"run {run_id} is in the journal and the scanner does not know it")
    for run in runs:
        written: list[dict[str, Any]] = []
        if run.run_id in stored:
            written = [json.loads(content) for content in archive.records(stored[run.run_id])]
            if broken := archive.problem(stored[run.run_id]):
                found.problems.append(f"run {run.run_id}: {broken}")
            found.unacknowledged += stored[run.run_id].unacknowledged
        seqs, on_disk = [record["seq"] for record in run.records], {record["seq"]: record for record in written}
        found.lost += len(on_disk.keys() - {*seqs})
        # Not by seq alone: an edge that has forgotten a record gives its seq to the next one.
        found.invented += sum(on_disk.get(seq) != record for seq, record in zip(seqs, run.records, strict=True))
        found.reordered += sum(later < earlier for earlier, later in pairwise(seqs))
        found.twice += sum(count - 1 for count in Counter(seqs).values())
        if run.records != written:
            found.problems.append(f"run {run.run_id}: what the scanner holds is not what the journal holds")
        found.problems += [f"run {run.run_id}: {problem}" for problem in _against_slide(run, plan)]
        found.problems += [f"run {run.run_id}: {problem}" for problem in _without_replaced(run, runs)]
    times = Counter(record["field_index"] for run in runs for record in _fields(run) if record["counted"])
    found.counted_twice = sum(count - 1 for count in times.values())
    found.problems += [f"field {index} was counted {count} times" for index, count in times.items() if count > 1]
    if missing := {*range(plan.fields)} - {record["field_index"] for run in runs for record in _fields(run)}:
        found.problems.append(f"{len(missing)} fields have no record in any run, {min(missing)} for one")
    return found


def _fields(run: ScannedRun) -> Iterator[dict[str, Any]]:
    return (record for record in run.records if record["type"] == "field")


def _against_slide(run: ScannedRun, plan: ChaosPlan) -> Iterator[str]:
    cells: Counter[str] = Counter()
    for record in _fields(run):
        if record["counted"] != (record["status"] in {"ok", "empty"}):
            yield f"field {record['field_index']} is {record['status']} and counted: {record['counted']}"
        shown = cells_of(plan.seed, record["field_index"]) if record["counted"] else {}
        if record["counts"] != shown:
            yield f"field {record['field_index']} has {record['counts']}, shown was {shown}"
        cells.update(shown)
        if record["running"]["cells"] != cells:
            yield f"field {record['field_index']} says {record['running']['cells']} so far, shown were {dict(cells)}"
    if plan.controller == "own" and not all(trigger.pulsed for trigger in run.triggers.values()):
        yield "some announcements were never answered"


def _places(run: ScannedRun) -> list[dict[str, Any]]:
    """The field that holds each place: a counted one that says `replaces` takes that of the field which it names."""
    held: dict[str, dict[str, Any]] = {}
    for record in _fields(run):
        if record["replaces"] is None:
            held[record["trigger_id"]] = record
        elif record["counted"]:
            place = next(name for name, holder in held.items() if holder["trigger_id"] == record["replaces"])
            held[place] = record
    return list(held.values())


def _cells_of_places(run: ScannedRun) -> Counter[str]:
    cells: Counter[str] = Counter()
    for record in _places(run):
        cells.update(record["counts"] if record["counted"] else {})
    return cells


def _without_replaced(run: ScannedRun, runs: list[ScannedRun]) -> Iterator[str]:
    """`net` is the run with every place once, `carried` the same over the runs that it continues."""
    if not run.ended:
        return
    stop, cells = run.records[-1], _cells_of_places(run)
    if (stop["net"] is not None) != any(record["replaces"] for record in _fields(run)):
        yield f"run_stop has {stop['net']} as its net sums"
    elif stop["net"] is not None and (
        stop["net"]["cells"] != cells or sum(stop["net"]["fields"].values()) != len(_places(run))
    ):
        yield f"the net sums are {stop['net']}, {len(_places(run))} places hold {dict(cells)}"
    chain = runs[: runs.index(run) + 1]
    if (stop["carried"] is None) != (len(chain) == 1):
        yield f"run_stop of run {len(chain)} carries {stop['carried']}"
    elif stop["carried"] is not None:
        whole: Counter[str] = sum((_cells_of_places(each) for each in chain), Counter())
        if stop["carried"]["run_ids"] != [each.run_id for each in chain] or stop["carried"]["cells"] != whole:
            yield f"run_stop carries {stop['carried']}, the runs hold {dict(whole)}"
