"""`leuko-build`: inspect."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from leukostream.builder.commands.engine import engine
from leukostream.builder.commands.verify import verify
from leukostream.builder.inspection import Inspection, inspect_bundle
from leukostream.edge.contracts.errors import BundleError
from leukostream.edge.contracts.exits import run_command_line

app = typer.Typer(help="Looks into a bundle before anything is built from it.", no_args_is_help=True, add_completion=False)


@app.callback()
def _room() -> None:
    """Looks into a bundle before anything is built from it."""


@app.command()
def inspect(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Verify a bundle's hashes and hold its graph against the contract; exit code 3 when either does not hold."""
    found = inspect_bundle(bundle)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        Console(highlight=False).print(_table(found))
    if found.problems:
        raise BundleError(
            f"the graph of bundle {bundle} breaks the contract: {'; '.join(found.problems)}; "
            "export it again with `leuko-train export`."
        )


app.command()(engine)
app.command()(verify)


def _table(found: Inspection) -> Table:
    manifest = found.bundle.manifest
    training, limits = manifest.training, manifest.thresholds
    rows = {
        "bundle": f"{manifest.name} ({manifest.architecture}), hashes hold",
        "bundle_id": found.bundle.bundle_id,
        "parent": manifest.parent_bundle_id or "none",
        "trained": f"yes, seed {training.seed}, code {training.code_version}" if training.trained else "no: random weights",
        "data": ", ".join(training.data) or "none named",
        "metrics": ", ".join(training.metrics) or "none measured",
        "fields": f"{manifest.field_width_px} x {manifest.field_height_px} px at {manifest.um_per_px} um/px",
        "network": f"{manifest.network_width_px} x {manifest.network_height_px} px, {manifest.resize}",
        "in": "\n".join(map(str, found.inputs)),
        "out": "\n".join(map(str, found.outputs)),
        "contract": "kept" if not found.problems else "\n".join(found.problems),
        "weights": ", ".join(f"{count:,} {dtype}" for dtype, count in found.parameters.items()) or "none",
        "model.onnx": f"{found.model_bytes / 1e6:.1f} MB, opset {found.opset}",
        "operators": ", ".join(f"{count} {name}" for name, count in found.operators.items()),
        "thresholds": f"detect {limits.detect}, identify {limits.identify}, margin {limits.margin}, "
        f"NMS IoU {limits.nms_iou} per class and {limits.agnostic_iou} across classes",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def main() -> None:
    """Entry point."""
    run_command_line(app)
