"""The result of a count: as `summary.json`, as a table on the terminal, and as an exit code."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.contracts.records import Differential, Event, FieldRecord, RunOutcome, RunStart, RunStop
from edge.contracts.whole_file import write_whole
from edge.watch import record_text

SUMMARY = "summary.json"
_LISTED = 20
"""Fields without a count that are named on the terminal; all of them are in the files."""
_NOT_COUNTED, _CUT_SHORT = 4, 1
"""Exit codes: as for an image that cannot be used, and as for a run that was interrupted."""


@dataclass(slots=True)
class CountResult:
    """Filled while the records come; `files` are those of `out` beside the two tables."""

    out: Path
    start: RunStart | None = None
    stop: RunStop | None = None
    notes: list[Event] = field(default_factory=list)
    not_counted: list[FieldRecord] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    flags: tuple[str, ...] = ()
    """what the differential gives to think about, in sentences"""

    def add(self, record: FieldRecord) -> None:
        """A field has ended."""
        self.labels |= record_text.labels(record)
        if record_text.is_unusable(record):
            self.not_counted.append(record.model_copy(update={"running": record.running.model_copy(update={"slide": None})}))

    @property
    def ends(self) -> RunStop:
        if self.stop is None:
            raise ValueError("the run has no end")
        return self.stop

    @property
    def differential(self) -> Differential:
        """Each cell once where fields said where they lie, else the sum of all fields."""
        return self.ends.slide.differential if self.ends.slide else self.ends.differential

    @property
    def missing(self) -> int:
        """Fields that the source has and the run did not come to, because it was stopped or could not go on."""
        expected = self.start.fields_expected if self.start else None
        return max(0, (expected or 0) - self.ends.triggers) if self.ends.outcome is not RunOutcome.COMPLETED else 0

    @property
    def exit_code(self) -> int:
        if self.ends.outcome.exit_code or self.missing:
            return _CUT_SHORT
        return _NOT_COUNTED if self.not_counted else 0

    def summary(self) -> dict[str, Any]:
        """All of it but the cells, as JSON takes it."""
        stop, start = self.ends, self.start
        provenance = start.provenance if start else None
        return {
            "out": str(self.out),
            "run_id": stop.run_id,
            "outcome": stop.outcome.value,
            "detail": stop.detail,
            "fields_expected": start.fields_expected if start else None,
            "fields": {status.value: n for status, n in stop.fields.items()},
            "fields_missing": self.missing,
            "not_counted": [_where(record) for record in self.not_counted],
            "each_cell_once": stop.slide is not None,
            "cells": stop.slide.cells if stop.slide else stop.cells,
            "differential": self.differential.model_dump(mode="json"),
            "cells_of_all_fields": stop.cells,
            "flags": list(self.flags),
            "doubts": list(stop.doubts),
            "marks": record_text.marks(start) if start else [],
            "notes": [note.message for note in self.notes],
            "provenance": provenance.model_dump(mode="json") if provenance else None,
            "duration_s": round(stop.duration_s, 3),
            "exit_code": self.exit_code,
        }

    def write(self) -> None:
        """`summary.json`, which is there once everything else is. Raises OSError."""
        write_whole(self.out / SUMMARY, json.dumps(self.summary(), indent=1) + "\n")


def tell(result: CountResult, *, as_json: bool) -> None:
    """Print what was counted: the differential as a table, fields that were not counted, and where the files are."""
    if as_json:
        print(json.dumps(result.summary()))
        return
    console = Console(highlight=False)
    start, stop = result.start, result.ends
    for line in record_text.header(start)[1:] if start else []:
        console.print(Text(line))
    for mark in record_text.marks(start) if start else []:
        console.print(Text(f" {mark} ", style="bold white on red"))
    for note in result.notes:
        console.print(Text(record_text.note(note), style="yellow"))
    listed = record_text.unusable_lines(result.not_counted[:_LISTED], len(result.not_counted))
    for line in record_text.result(stop) + listed:
        console.print(Text(line))
    if result.missing:
        console.print(Text(f"only the first {stop.triggers} of {stop.triggers + result.missing} fields were counted"))
    once = ", each cell once" if stop.slide else ""
    table = Table(title=f"differential over {result.differential.wbc_total} WBC{once}", title_justify="left")
    for name in ("class", "count", "%", "95 % limits"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for row in record_text.differential_rows(result.differential):
        table.add_row(*row)
    console.print(table, Text(f"per 100 WBC: {record_text.non_wbc(result.differential)}"))
    console.print(Text(record_text.legend(result.labels | record_text.differential_labels(result.differential))))
    for flag in result.flags:
        console.print(Text(f"FLAG     {flag}"))
    console.print(Text(f"files    {', '.join(sorted(each.name for each in result.out.iterdir()))} in {result.out}"))


def _where(record: FieldRecord) -> dict[str, Any]:
    """A field that has no count, and why."""
    return {
        "field_index": record.field_index,
        "source_name": record.source_name,
        "status": record.status.value,
        "detail": record.detail,
    }
