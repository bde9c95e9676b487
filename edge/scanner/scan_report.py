"""How a virtual scan is told: truth against count as a table, losses one by one, what became of each fault; and as JSON."""

import dataclasses
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.counting import NON_WBC_LABELS, WBC_LABELS
from edge.scanner.fault_plan import FAULTS
from edge.scanner.virtual_scan import Detector, Scanned
from edge.watch.record_text import SHORT, legend

TOTAL_LIMIT = 0.005
CLASS_LIMIT_PER_200 = 1.0
"""What a perfect detector's count must keep: of all cells, and of a class per 200 cells of the slide."""
_LISTED = 20


def is_proven(scanned: Scanned) -> bool:
    """Whether the count is that of the slide, within the limits for a perfect detector."""
    found = scanned.compared
    return found.error <= TOTAL_LIMIT and found.worst_class_per_200 <= CLASS_LIMIT_PER_200


def figures(scanned: Scanned, detector: Detector) -> dict[str, Any]:
    """All of it, as JSON takes it."""
    found = scanned.compared
    return {
        "detector": detector,
        "engine": scanned.engine,
        "area": dataclasses.asdict(scanned.area),
        "fields": dict(found.fields),
        "lost": found.lost,
        "misplaced": found.misplaced,
        "truth": dict(found.truth),
        "counted": dict(found.counted),
        "truth_wbc": found.truth_wbc,
        "counted_wbc": found.counted_wbc,
        "detections": found.raw,
        "error": round(found.error, 6),
        "worst_class_per_200": round(found.worst_class_per_200, 3),
        "within_limits": is_proven(scanned),
        "target_final_at_field": scanned.target_reached_at,
        "faults": {name: dict(ends) for name, ends in found.caught.items()},
        "faulty_fields": {str(index): list(names) for index, names in scanned.injected.items()},
        "events": dict(found.events),
        "doubts": found.doubts,
        "mishaps": scanned.mishaps,
        "edge_restarts": scanned.kills,
        "runs": scanned.sums.runs,
        "outcomes": scanned.sums.outcomes,
        "problems": scanned.sums.problems,
    }


def tell_scan(scanned: Scanned, detector: Detector, target: int) -> None:
    """Print it."""
    console, found = Console(highlight=False), scanned.compared
    said = [
        f"scanned  {found.fields.total()} fields, overlap {scanned.area.overlap:.0%}, order {scanned.area.order}",
        f"found by {scanned.engine}",
        f"fields   {_listed(found.fields)}",
    ]
    if scanned.sums.runs > 1 or scanned.mishaps or scanned.kills:
        said.append(
            f"trouble  {scanned.sums.runs} runs ({_listed(scanned.sums.outcomes)}), {scanned.kills} restarts of the edge; "
            f"scanner: {_listed(scanned.mishaps)}"
        )
    for each in found.lost[:_LISTED]:
        said.append(f"  lost   field {each['field_index']} {each['status']}: {each['detail']}")
    if len(found.lost) > _LISTED:
        said.append(f"  and {len(found.lost) - _LISTED} more without a count")
    if found.misplaced:
        shown = ", ".join(map(str, found.misplaced[:_LISTED])) + (", ..." if len(found.misplaced) > _LISTED else "")
        said.append(
            f"WRONG    {len(found.misplaced)} fields show another field's picture ({shown}); events: {_listed(found.events)}"
        )
    said += [f"DOUBT    {doubt}" for doubt in found.doubts]
    for line in said:
        console.print(Text(line))
    if found.caught:
        console.print(_faults(scanned))
    console.print(_table(scanned))
    end = scanned.target_reached_at
    over = found.counted_wbc - target
    goal = f"{target} leukocytes were final with field {end}" if end is not None else f"{target} leukocytes were not reached"
    repeats = found.raw - found.counted.total()
    for line in (
        f"target   {goal}; {found.counted_wbc} in the end ({'over' if over >= 0 else 'short'} by {abs(over)})",
        f"once     {found.raw} detections, {repeats} of them of cells that another field shows, too",
        f"error    {found.error:.2%} of all cells, a class by at most {found.worst_class_per_200:.1f} per 200 cells"
        + ("" if detector == "model" else f"; limits {TOTAL_LIMIT:.1%} and {CLASS_LIMIT_PER_200:g}"),
    ):
        console.print(Text(line))
    labels = {label for label in (*found.truth, *found.counted)}
    console.print(Text(legend(labels)))
    for problem in scanned.sums.problems:
        console.print(Text(f"DEFECT   {problem}"))


def _table(scanned: Scanned) -> Table:
    found = scanned.compared
    table = Table(title="truth and count, inside the processed fields", title_justify="left")
    for name in ("class", "truth", "counted", "difference"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for label in (*WBC_LABELS, *NON_WBC_LABELS):
        if found.truth[label] or found.counted[label]:
            table.add_row(SHORT[label], *_row(found.truth[label], found.counted[label]))
    table.add_section()
    table.add_row("leukocytes", *_row(found.truth_wbc, found.counted_wbc))
    table.add_row("all cells", *_row(found.truth.total(), found.counted.total()))
    return table


def _faults(scanned: Scanned) -> Table:
    table = Table(title="faults, and how the edge ended their fields", title_justify="left")
    for name in ("fault", "fields", "ended as"):
        table.add_column(name, justify="right" if name == "fields" else "left")
    for name in FAULTS:
        if name in scanned.compared.caught:
            fields = sum(name in names for names in scanned.injected.values())
            table.add_row(name, str(fields), _listed(scanned.compared.caught[name]))
    return table


def _row(truth: int, counted: int) -> tuple[str, str, str]:
    return str(truth), str(counted), f"{counted - truth:+d}" if counted != truth else "-"


def _listed(numbers: "dict[str, int] | Counter[str]") -> str:
    return ", ".join(f"{n} {what}" for what, n in numbers.items()) or "none"
