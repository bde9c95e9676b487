"""Whether what a scanner holds adds up: every trigger one end, every cell counted once, and the edge's sums are its own."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from edge.scanner.notebook import ScannedRun


@dataclass(frozen=True, slots=True)
class Audit:
    """Sums over all runs, and what is wrong with them in sentence parts; `problems` is empty when nothing is."""

    runs: int = 0
    records: int = 0
    triggers: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def audit(runs: list[ScannedRun]) -> Audit:
    """Hold each run against what `run_stop` says, and against what the scanner announced and pulsed itself."""
    statuses: Counter[str] = Counter()
    problems, every_end = [], list[dict[str, Any]]()
    for run in runs:
        ends = [record for record in run.records if record["type"] == "field"]
        statuses.update(record["status"] for record in ends)
        every_end += ends
        problems += [f"run {run.run_id}: {what}" for what in _problems(run, ends)]
    return Audit(
        runs=len(runs),
        records=sum(len(run.records) for run in runs),
        triggers=sum(len(run.triggers) for run in runs),
        fields=dict(statuses),
        cells=dict(_cells(every_end)),
        outcomes=dict(Counter(run.records[-1]["outcome"] for run in runs if run.ended)),
        problems=problems,
    )


def _cells(ends: list[dict[str, Any]]) -> Counter[str]:
    """Cells per label of the fields that were counted."""
    counted: Counter[str] = Counter()
    for record in ends:
        counted.update(record["counts"] if record["counted"] else {})
    return counted


def _problems(run: ScannedRun, ends: list[dict[str, Any]]) -> list[str]:
    if [record["seq"] for record in run.records] != list(range(len(run.records))):
        return ["records are missing or out of order"]
    if not run.ended:
        return ["it has no run_stop"]
    stop, found = run.records[-1], []
    ended = Counter(record["trigger_id"] for record in ends)
    for trigger_id in run.triggers:
        if ended[trigger_id] != 1:
            found.append(f"trigger {trigger_id} has {ended[trigger_id]} fields")
    if unknown := ended.keys() - run.triggers.keys():
        found.append(f"{len(unknown)} fields are of triggers that nobody announced, {min(unknown)} for one")
    indices = [record["field_index"] for record in ends]
    if indices != sorted(indices):
        found.append("fields are not in the order of their triggers")
    sums = Counter(record["status"] for record in ends)
    if not stop["sums_match"] or stop["triggers"] != len(ends) or Counter(stop["fields"]) != sums:
        found.append(f"run_stop says {stop['triggers']} triggers and {stop['fields']}, its records {dict(sums)}")
    counted = _cells(ends)
    if Counter(stop["cells"]) != counted:
        found.append(f"run_stop has {sum(stop['cells'].values())} cells, its fields {counted.total()}")
    return found
