"""What `leuko-edge simulate` does: plays a scanner against an edge and says whether everything adds up."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from edge.contracts.base import explain
from edge.contracts.errors import ConfigError
from edge.contracts.names import checked_name
from edge.contracts.records import FieldRecord, Record
from edge.scanner.audit import Audit, audit
from edge.scanner.notebook import Notebook
from edge.scanner.scan_plan import ScanPlan
from edge.scanner.scanner import Scanner
from edge.stream.curve_keys import ClientKeys
from edge.watch.work_progress import field_bar


def simulate_scan(
    endpoint: str, given: Mapping[str, Any], notebook: Path | None, client_id: str, keys: ClientKeys | None, *, as_json: bool
) -> bool:
    """Perform the plan `given` to its end and print the sums; whether they add up.

    Raises `ConfigError` for a plan that cannot be, and `StreamError`.
    """
    checked_name("--client-id", client_id)
    try:
        plan = ScanPlan.model_validate(given)
    except ValidationError as problem:
        raise ConfigError(
            f"the scanner cannot be played so: {explain(problem)}; see `leuko-edge simulate --help`."
        ) from problem
    if plan.restart_every and notebook is None:
        raise ConfigError("a scanner that restarts needs a file to remember where it was; give --notebook FILE.")
    with field_bar() as progress:
        task = progress.add_task("fields", total=plan.fields)

        def told(record: Record) -> None:
            if isinstance(record, FieldRecord):
                progress.update(task, completed=record.field_index + 1)

        scanner = Scanner(endpoint, lambda: Notebook(notebook), plan, client_id, keys, told)
        found = audit(scanner.scan())
    if as_json:
        print(json.dumps({**dataclasses.asdict(found), "mishaps": dict(scanner.mishaps)}))
    else:
        Console().print(_table(found, scanner))
    if found.problems:
        print(f"{len(found.problems)} things do not add up, report this defect: {'; '.join(found.problems)}", file=sys.stderr)
    return not found.problems


def _table(found: Audit, scanner: Scanner) -> Table:
    table = Table("", "", show_header=False)
    rows = {
        "runs": f"{found.runs} ({', '.join(f'{n} {outcome}' for outcome, n in found.outcomes.items())})",
        "triggers": str(found.triggers),
        "fields": ", ".join(f"{n} {status}" for status, n in found.fields.items()),
        "cells": ", ".join(f"{n} {label}" for label, n in found.cells.items()) or "none",
        "records": str(found.records),
        "mishaps": ", ".join(f"{n} {what}" for what, n in scanner.mishaps.items()) or "none",
        "adds up": "; ".join(found.problems) or "yes",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
