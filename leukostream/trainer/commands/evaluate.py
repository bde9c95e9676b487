"""`leuko-train evaluate`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from leukostream.edge.contracts.bundle import Bundle, load_bundle
from leukostream.edge.contracts.errors import ConfigError
from leukostream.trainer.data.datasets import load_datasets
from leukostream.trainer.data.split import HELP
from leukostream.trainer.evaluation.detect import results_of
from leukostream.trainer.evaluation.report import summarise, table_of


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="directory of the bundle")],
    data: Annotated[Path, typer.Option(help="data description (YAML)")],
    root: Annotated[Path, typer.Option(envvar="LEUKO_DATA", help="folder the description's paths are in")],
    split: Annotated[str, typer.Option(help="train, val or test; several separated by commas")] = "test",
    split_by: Annotated[str, typer.Option(help=HELP)] = "given",
    source: Annotated[str | None, typer.Option(help="only images of this source")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead of a table")] = False,
) -> None:
    """Measure a bundle on annotated images, through the edge's own engine and post-processing.

    leuko-train evaluate bundles/tiny --data datasets.yaml --root DIR
    """
    summary = measure_split(load_bundle(bundle), data, root, split, source, split_by)
    if as_json:
        print(json.dumps(summary, indent=1))
    else:
        Console().print(table_of(summary))


def measure_split(
    bundle: Bundle, data: Path, root: Path, split: str, source: str | None = None, split_by: str = "given"
) -> dict[str, Any]:
    """Figures of a bundle on one split. Raises `ConfigError` when the split holds no image."""
    wanted = set(split.split(","))
    rows = [row for row in load_datasets(data, root, split_by) if row.split in wanted and source in (None, row.source)]
    if not rows:
        raise ConfigError(f"no image of {data} is in split {split!r}{f' from {source!r}' if source else ''}; check the names.")
    results = list(results_of(bundle, rows))
    return {
        "split": split,
        "split_by": split_by,
        "source": source,
        "engine": "OpenVINO on the CPU",
        "command": f"leuko-train evaluate BUNDLE --data {data.name} --root DIR --split-by {split_by} --split {split}",
        **summarise(results, bundle.manifest.thresholds.detect),
    }
