"""What `leuko-build inspect` and `engine` show people: rows of a name and a text."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from builder.inspection import Inspection
from builder.precision_gate_run import PrecisionOutcome
from builder.quantised_gate_run import QuantisedOutcome
from builder.training_figures import data_lines, metric_lines
from edge.contracts.bundle import Bundle, Training
from edge.contracts.engine_files import RUNTIME_NAMES, EngineFiles, EngineManifest, ParityReport, ParityResult
from edge.engine.engine_places import named
from edge.engine.survey import GATES, Verdict, verdict_rows, verify_command

Row = tuple[str, str]


def grid(rows: Sequence[Row]) -> Table:
    """Names, and texts that are folded where they are too long."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    return table


def bundle_rows(found: Inspection) -> list[Row]:
    """What `leuko-build inspect` tells of the bundle itself."""
    manifest = found.bundle.manifest
    training, limits = manifest.training, manifest.thresholds
    rows = {
        "bundle": f"{manifest.name} ({manifest.architecture}), hashes hold",
        "bundle_id": found.bundle.bundle_id,
        "parent": manifest.parent_bundle_id or "none",
        "trained": _trained(training),
        "data": data_lines(training.data),
        "metrics": metric_lines(training.metrics),
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


def _trained(training: Training) -> str:
    if not training.trained:
        return "no: random weights"
    name, where = training.recipe.get("name"), f", on {training.hardware}" if training.hardware else ""
    how_long = f", {training.seconds / 60:.0f} min" if training.seconds else ""
    recipe = f", recipe {name}" if name else ""
    return f"yes{recipe}, seed {training.seed}, code {training.code_version}{how_long}{where}"


def engine_rows(engines: list[Verdict], places: tuple[Path, ...]) -> list[Row]:
    """What it tells of the engines that were found in these places."""
    if not engines:
        return [("engines", f"none of this bundle in {named(places)}")]
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


def built_rows(built: EngineFiles, bundle: Bundle, engine_dir: Path | None, *, reused: bool) -> list[Row]:
    """What `leuko-build engine` tells of the engine that it built, or found."""
    manifest, request, ranges = built.manifest, built.manifest.request, built.manifest.ranges
    made_for = ", ".join(request.targets) or (f"{request.gpu.name} ({request.gpu.target})" if request.gpu else "")
    kinds = Counter(manifest.layer_precisions.values())
    synthetic = "drawn " if ranges.images_are_synthetic else ""
    next_step = verify_command(bundle, engine_dir)
    rows = {
        "engine": f"{built.path}{' (was there already)' if reused else ''}",
        "built by": f"{RUNTIME_NAMES[request.runtime]} {request.runtime_version} in {manifest.build_s:.1f} s",
        "for": f"{made_for}; frames of {request.frame_width_px} x {request.frame_height_px} px",
        "batches": "up to {2}, fastest at {1}".format(*manifest.batch_profile),
        "FP16": f"all {manifest.convolutions} convolutions; layers: "
        + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()),
        "largest value": f"{ranges.largest_activation:.4g} of 65504 at {ranges.at_layer}, on {ranges.images} {synthetic}images",
        "plan": f"{manifest.plan_bytes / 1e6:.1f} MB, SHA-256 {manifest.plan_sha256}",
        "gate": GATES[built.gate] + ("" if built.gate == "passed" else f"; next: {next_step}"),
    }
    return list(rows.items())


def print_quantised(outcome: QuantisedOutcome, *, as_json: bool) -> None:
    """What `quantize`, and `verify` of an int8 bundle, tell on standard output; raises what stands against the bundle."""
    if as_json:
        print(json.dumps(outcome.as_json()))
    else:
        Console(highlight=False, soft_wrap=True).print(grid(_quantised_rows(outcome)))
    if outcome.problem is not None:
        raise outcome.problem


def print_precision(outcome: PrecisionOutcome, *, as_json: bool) -> None:
    """What `verify --precision` tells on standard output; raises what stands against the precision."""
    if as_json:
        print(json.dumps(outcome.as_json()))
    else:
        rows = [("bundle", f"{outcome.bundle.path}, {outcome.bundle.bundle_id}"), *_judged_rows(outcome.report)]
        rows += [("f32 here", f"{outcome.f32_times:.2f} times as long, in turns"), ("report in", str(outcome.folder))]
        Console(highlight=False, soft_wrap=True).print(grid(rows))
    if outcome.problem is not None:
        raise outcome.problem


def _judged_rows(report: ParityReport) -> list[Row]:
    result, rows = report.engine, [("judged on", f"{report.frames} frames, {report.images_from}")]
    if result is not None:
        rows += [
            ("by", result.executor),
            ("cells", f"{report.reference_cells} of the reference, {result.cells} here: {_changes(result)}"),
            ("scores, boxes", f"99 % within {result.p99_score_difference:.4f}; IoU {result.median_iou:.4f} in the median"),
            ("gate", f"{result.verdict}" + "".join(f"\n{failure}" for failure in result.failures)),
        ]
    return rows


def _quantised_rows(outcome: QuantisedOutcome) -> list[Row]:
    report, about = outcome.report, outcome.bundle.manifest.quantisation
    rows = [("bundle", f"{outcome.bundle.path}, {outcome.bundle.bundle_id}")]
    if about is not None:
        kept = f"; in floating point: {', '.join(about.float_convolutions)}" if about.float_convolutions else ""
        rows += [
            ("parent", f"{about.parent_bundle_id}, the reference"),
            ("int8", f"{about.convolutions} convolutions, by {about.method}{kept}"),
            ("scales from", about.images_from),
        ]
    if outcome.shares:
        back = ", ".join(str(each) for each in outcome.shares if each.taken_back) or "none: it does not help"
        stay = ", ".join(str(each) for each in outcome.shares if not each.taken_back)
        rows += [("taken back", f"{back} (share of the error)"), ("still int8", stay)]
    rows += _judged_rows(report)
    if (beside := outcome.yardsticks) is not None:
        rows += [
            ("its parent here", f"{beside.as_run.executor}: {_changes(beside.as_run)}"),
            ("time", f"{beside.time_ratio:.2f} of that one's, in turns"),
            ("its parent in f32", f"the same fields moved by a pixel: {_changes(beside.moved)}"),
        ]
    return [*rows, ("report in", str(outcome.folder))]


def _changes(result: ParityResult) -> str:
    return f"{result.missed} missed, {result.added} added, {result.label_flips} under another label"
