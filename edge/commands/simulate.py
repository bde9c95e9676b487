"""`leuko-edge simulate`: a scanner that announces its fields, and to which things happen."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from typer.models import OptionInfo

from edge.commands.watch import keys_given
from edge.contracts.base import explain
from edge.contracts.errors import ConfigError
from edge.contracts.records import FieldRecord, Record
from edge.scanner.audit import Audit, audit
from edge.scanner.notebook import Notebook
from edge.scanner.scanner import Scanner, ScanPlan
from edge.watch.progress import field_bar

_DEFAULT = ScanPlan()


def _of(name: str) -> OptionInfo:
    option: OptionInfo = typer.Option(help=ScanPlan.model_fields[name].description)
    return option


def simulate(
    endpoint: Annotated[
        str, typer.Argument(help="Address of an edge whose source is triggered, such as tcp://127.0.0.1:5570.")
    ],
    fields: Annotated[int, _of("fields")] = _DEFAULT.fields,
    rate: Annotated[float, _of("rate")] = _DEFAULT.rate,
    window: Annotated[int, _of("window")] = _DEFAULT.window,
    seed: Annotated[int, _of("seed")] = _DEFAULT.seed,
    disconnect_every: Annotated[float, _of("disconnect_every")] = _DEFAULT.disconnect_every,
    stall_every: Annotated[float, _of("stall_every")] = _DEFAULT.stall_every,
    stall_s: Annotated[float, _of("stall_s")] = _DEFAULT.stall_s,
    restart_every: Annotated[float, _of("restart_every")] = _DEFAULT.restart_every,
    patience_s: Annotated[float, _of("patience_s")] = _DEFAULT.patience_s,
    notebook: Annotated[
        Path | None, typer.Option(help="File in which the scanner remembers; a scanner that was killed goes on from it.")
    ] = None,
    client_id: Annotated[str, typer.Option(help="Name under which the scanner returns.")] = "simulated-scanner",
    key: Annotated[Path | None, typer.Option(help="Own secret key (NAME.key_secret), for an edge with keys.")] = None,
    edge_key: Annotated[Path | None, typer.Option(help="Public key of that edge (edge.key).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Play the scanner: announce every field, pulse when accepted, read the records, and check in the end that all adds up.

    The edge needs a source that waits for triggers, for example `leuko-edge run --source virtual:trigger=software,fields=200`.
    Disconnects, stalls and restarts are drawn from the seed; an edge that was killed and started again with its journal is
    continued in a new run.

    Exit code: 0 when every trigger ended once and all sums match, 1 when not, 6 when the edge refuses or stays away.
    """
    try:
        plan = ScanPlan(
            fields=fields,
            rate=rate,
            window=window,
            seed=seed,
            disconnect_every=disconnect_every,
            stall_every=stall_every,
            stall_s=stall_s,
            restart_every=restart_every,
            patience_s=patience_s,
        )
    except ValidationError as problem:
        raise ConfigError(
            f"the scanner cannot be played so: {explain(problem)}; see `leuko-edge simulate --help`."
        ) from problem
    if restart_every and notebook is None:
        raise ConfigError("a scanner that restarts needs a file to remember where it was; give --notebook FILE.")
    with field_bar() as progress:
        task = progress.add_task("fields", total=fields)

        def told(record: Record) -> None:
            if isinstance(record, FieldRecord):
                progress.update(task, completed=record.field_index + 1)

        scanner = Scanner(endpoint, lambda: Notebook(notebook), plan, client_id, keys_given(key, edge_key), told)
        found = audit(scanner.scan())
    if as_json:
        print(json.dumps({**dataclasses.asdict(found), "mishaps": dict(scanner.mishaps)}))
    else:
        Console().print(_table(found, scanner))
    if found.problems:
        print(f"{len(found.problems)} things do not add up, report this defect: {'; '.join(found.problems)}", file=sys.stderr)
        raise typer.Exit(1)


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
