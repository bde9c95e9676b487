"""What `leuko-edge config show` prints: every value in effect, and which layer it comes from. Secrets are not shown."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from edge.contracts.secrets_hidden import without_secrets
from edge.pipeline.latency_fit import with_latency
from edge.service.serving_setup import Stated
from edge.settings import SHIPPED_BUNDLE, Setup
from edge.settings.edge_settings import NAMED, PARTED
from edge.settings.setting_layers import DEFAULT
from edge.watch.fitting_table import Column, fitting_table

NO_SOURCE = "(none: it must be set)"
_COLUMNS = (Column("setting"), Column("value", least=20), Column("from"), Column("where", leave_out=0, least=20))


def tell_settings(given: Mapping[str, Any], file: Path | None, environment: Mapping[str, str], as_json: bool) -> None:
    """Print them, warnings last, and which bundle serves where another was rolled out. Raises as a run would, but for a source
    that is not stated."""
    serving = Stated(given, file, environment, NO_SOURCE).serving()
    setup = with_latency(serving.setup)
    rows = list(effective(setup, serving.why))
    if as_json:
        print(json.dumps(rows))
        return
    console = Console(highlight=False)
    texts = [[Text("-" if value is None else str(value)) for value in islice(row.values(), len(_COLUMNS))] for row in rows]
    table, _ = fitting_table(_COLUMNS, texts, console.width)
    console.print(table)
    if serving.why and serving.why not in setup.warnings:
        console.print(Text(serving.why), soft_wrap=True)
    for warning in setup.warnings:
        console.print(Text(f"warning: {warning}"), soft_wrap=True)


def effective(setup: Setup, why: str = "") -> Iterator[dict[str, Any]]:
    """Every setting as a row: `setting`, its `value` as JSON has it, which layer it is `from`, and `where` that is; of the
    bundle also `why` it serves, if that is to be said."""
    values = setup.settings.model_dump(mode="json")
    for name, value in values.items():
        parts = value.items() if isinstance(value, dict) and name in (*PARTED, *NAMED) else [(None, value)]
        for part, inner in parts:
            path = name if part is None else f"{name}.{part}"
            origin = setup.origins.get(path) or setup.origins.get(name) or DEFAULT
            if name == "source" and value == NO_SOURCE:
                origin = DEFAULT
            shown = "the shipped one" if name == "bundle" and inner == str(SHIPPED_BUNDLE) else without_secrets(path, inner)
            row = {"setting": path, "value": shown, "from": origin.kind, "where": origin.place or None}
            yield {**row, "why": why} if name == "bundle" and why else row
