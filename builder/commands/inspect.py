"""`leuko-build inspect`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from builder.inspection import Inspection, inspect_bundle
from edge.contracts.engine_files import EngineManifest, engines_folder
from edge.contracts.errors import BundleError
from edge.engine.machine import look_at_machine
from edge.engine.survey import Verdict, survey, verdict_as_json, verdict_rows


def inspect(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    engine_dir: Annotated[Path | None, typer.Option(help="where its engines are; `engines` beside the bundle")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Verify a bundle's hashes, hold its graph against the contract, and list the engines that were built from it.

    Of each engine: what it was built for, how much of it is FP16, the parity gate, and whether it fits this machine.

    Exit code: 0 the bundle is good, whatever its engines are; 3 a hash or the contract does not hold.
    """
    found = inspect_bundle(bundle)
    engines = survey(found.bundle, look_at_machine(), None, engine_dir)
    if as_json:
        print(json.dumps({**found.as_json(), "engines": [verdict_as_json(each) for each in engines]}))
    else:
        rows = [*_bundle_rows(found), *_engine_rows(engines, engines_folder(found.bundle, engine_dir))]
        Console(highlight=False, markup=False).print(_table(rows))
    if found.problems:
        raise BundleError(
            f"the graph of bundle {bundle} breaks the contract: {'; '.join(found.problems)}; "
            "export it again with `leuko-train export`."
        )


def _bundle_rows(found: Inspection) -> list[tuple[str, str]]:
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
    return list(rows.items())


def _engine_rows(engines: list[Verdict], folder: Path) -> list[tuple[str, str]]:
    if not engines:
        return [("engines", f"none of this bundle in {folder}")]
    rows = []
    for verdict in engines:
        half = [("  FP16", _half_text(verdict.files.manifest))] if verdict.files is not None else []
        rows += verdict_rows(verdict, *half)
    return rows


def _half_text(manifest: EngineManifest) -> str:
    ranges = manifest.ranges
    images = f"{ranges.images} {'drawn ' if ranges.images_are_synthetic else ''}image{'s' if ranges.images != 1 else ''}"
    return (
        f"{manifest.convolutions_half} of {manifest.convolutions} convolutions; largest value {ranges.largest_activation:.4g} "
        f"of 65504 at {ranges.at_layer}, on {images}"
    )


def _table(rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table
