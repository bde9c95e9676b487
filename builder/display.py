"""What the commands of `leuko-build` show people: rows of a name and a text, and the table of the parity gate."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builder.inspection import Inspection
from builder.parity_gate import Baseline, GateOutcome, Verified
from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import RUNTIME_NAMES, EngineFiles, EngineManifest, ParityResult
from edge.engine.engine_places import named
from edge.engine.survey import GATES, Verdict, verdict_rows, verify_command

Row = tuple[str, str]


def grid(rows: Sequence[Row]) -> Table:
    """Names, and texts that are folded where they are too long."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def bundle_rows(found: Inspection) -> list[Row]:
    """What `leuko-build inspect` tells of the bundle itself."""
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


def print_gate(outcome: GateOutcome) -> None:
    """All that `leuko-build verify` tells, on standard output."""
    console = Console(highlight=False)
    for size in outcome.sizes:
        console.print(results_table(size.baseline, size.engines))
        for line in failure_lines(size.baseline, size.engines):
            console.print(line, markup=False, soft_wrap=True)
    for problem in outcome.unreadable:
        console.print(problem, markup=False, soft_wrap=True)
    n_passed = sum(verified.passed for verified in outcome.engines)
    emulation = "passed" if outcome.emulation_passed else "failed"
    n_engines = len(outcome.engines) + len(outcome.unreadable)
    console.print(
        f"Parity gate: {n_passed} of {n_engines} engines ran here and passed. FP16 emulation (which is not the gate): "
        f"{emulation}.",
        soft_wrap=True,
    )


def results_table(baseline: Baseline, engines: Sequence[Verified]) -> Table:
    """One column per executor: what it is, how its cells differ from the reference's, its cells per label.

    An engine that did not run has a column that says so.
    """
    images, reference = baseline.images, baseline.report()
    marked = " (drawn, not real)" if images.are_synthetic else ""
    names = ["FP16 emulation", *(verified.files.manifest.key for verified in engines)]
    results = [baseline.emulation, *(verified.report.engine for verified in engines)]
    table = Table(title=f"{images.images} images{marked}: {images.origin}", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("reference", *names):
        table.add_column(name, justify="right", overflow="fold")
    table.add_row("by", baseline.reference, *(result.executor if result else "did not run" for result in results))
    rows = [_figures(result) for result in results]
    for row, name in enumerate(_FIGURES):
        of_reference = str(reference.reference_cells) if name == "cells" else ""
        table.add_row(name, of_reference, *(figures[row] for figures in rows), end_section=row == len(_FIGURES) - 1)
    counts = [reference.reference_counts, *(result.counts if result else None for result in results)]
    for label in dict.fromkeys(label for each in counts if each for label in each):
        table.add_row(label, *("" if each is None else str(each.get(label, 0)) for each in counts))
    return table


def failure_lines(baseline: Baseline, engines: Sequence[Verified]) -> Iterator[str]:
    """Every limit that was not kept, and every engine that did not run, a line each."""
    for failure in baseline.emulation.failures:
        yield f"FP16 emulation: {failure}"
    for verified in engines:
        key = verified.files.manifest.key
        for failure in verified.report.engine.failures if verified.report.engine else ():
            yield f"{key}: {failure}"
        if verified.report.engine_not_run:
            kept = f" (its report from elsewhere is kept: {verified.files.gate})" if verified.kept else ""
            yield f"{key} did not run to the end: {verified.report.engine_not_run}{kept}"
    overflows = sum(field.overflow for field in baseline.cells)
    if overflows:
        yield f"{overflows} of {len(baseline.cells)} frames have more candidates than the graph has rows; a run marks them"


_FIGURES = ("cells", "missed", "added", "other label", "score p99", "IoU median", "IoU mean", "IoU lowest", "limits")


def _figures(result: ParityResult | None) -> list[str]:
    """In the order of `_FIGURES`."""
    if result is None:
        return [""] * len(_FIGURES)
    changes = (result.cells, result.missed, result.added, result.label_flips)
    quality = (result.p99_score_difference, result.median_iou, result.mean_iou, result.min_iou)
    return [*map(str, changes), *(f"{value:.4f}" for value in quality), "kept" if result.passed else "NOT KEPT"]
