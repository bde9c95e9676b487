"""`leuko-build engine`."""

import json
import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from builder.engine_build import BuildOptions, Prepared, build_engine, prepare
from builder.engine_folder import find_built
from builder.images import FieldImages, read_images
from builder.progress import ProgressWatch
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.engine_files import RUNTIME_NAMES, EngineFiles, GpuRuntime, engines_folder
from edge.engine.survey import GATES, parse_frame_size, verify_command
from edge.engine.trt.runtime import is_installed

_RANGE_IMAGES = 8


def engine(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    runtime: Annotated[GpuRuntime | None, typer.Option(help="builder to use; the one that is installed when not given")] = None,
    frame: Annotated[
        str | None, typer.Option(help="frame it takes, in px, as 740x580; the bundle's field if not given")
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, max=256, help="largest batch it must take")] = 8,
    workspace_mib: Annotated[int, typer.Option(min=1, help="scratch memory of the GPU that layers may use, in MiB")] = 2048,
    target: Annotated[
        list[str] | None, typer.Option(help="GPU generation to build for without having one, as SM86; may be given again")
    ] = None,
    engine_dir: Annotated[Path | None, typer.Option(help="where engines are kept; `engines` beside the bundle")] = None,
    images: Annotated[Path | None, typer.Option(help="folder of field images to measure value ranges on; else drawn")] = None,
    um_per_px: Annotated[float | None, typer.Option(min=0.001, help="scale of the images; the bundle's when not given")] = None,
    log_level: Annotated[str, typer.Option(help="debug tells all that TensorRT says")] = "warning",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object: directory, whether reused, manifest")] = False,
) -> None:
    """Compile a bundle into an FP16 engine: for this machine's GPU or, with --target, ahead of time for those of scanners.

    The trunk computes in FP16, pre-processing, box decoding, softmax and L2 normalisation in FP32. A weight, or a value
    measured on the images, that FP16 cannot hold ends the build with the name of its layer. The bundle itself never changes:
    the engine gets a directory with its manifest, and one that is there already is used as it is. Afterwards compare it with
    the bundle: leuko-build verify.

    The edge cuts a larger camera frame into tiles of the bundle's field, which all run in one batch: --frame is needed only
    for a camera whose field is up to 2 % larger or smaller, and a run that needs a larger --max-batch says so.

    leuko-build engine bundles/tiny --max-batch 12

    leuko-build engine bundles/tiny --runtime tensorrt_rtx --target SM86 --target SM89

    Exit code: 0 built, or there already; 2 an option, 3 the bundle, 4 the images, 5 the runtime, the GPU or the build.
    """
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(message)s", stream=sys.stderr)
    opened = load_bundle(bundle)
    width_px, height_px = _frame_size(frame, opened)
    options = BuildOptions(runtime or _installed(), width_px, height_px, max_batch, workspace_mib, tuple(target or ()))
    engines = engines_folder(opened, engine_dir)
    prepared = prepare(opened, options)
    there = find_built(engines, prepared.request.key())

    def read() -> FieldImages:
        return read_images(images, opened, width_px, height_px, _RANGE_IMAGES, um_per_px)

    with ProgressWatch() as watch:
        built = there or build_engine(prepared, engines, read, watch)
    if as_json:
        print(json.dumps(_as_json(built, reused=there is not None)))
    else:
        Console(highlight=False, soft_wrap=True).print(_table(built, prepared, engine_dir, reused=there is not None))


def _frame_size(frame: str | None, bundle: Bundle) -> tuple[int, int]:
    if frame is None:
        return bundle.manifest.field_width_px, bundle.manifest.field_height_px
    return parse_frame_size(frame)


def _installed() -> GpuRuntime:
    """TensorRT where it is installed; TensorRT for RTX otherwise, whose loading then says what is missing."""
    return "tensorrt" if is_installed("tensorrt") else "tensorrt_rtx"


def _as_json(built: EngineFiles, *, reused: bool) -> dict[str, Any]:
    manifest = built.manifest.model_dump(mode="json")
    return {"directory": str(built.path), "reused": reused, "gate": built.gate, "manifest": manifest}


def _table(built: EngineFiles, prepared: Prepared, engine_dir: Path | None, *, reused: bool) -> Table:
    manifest, request, ranges = built.manifest, built.manifest.request, built.manifest.ranges
    made_for = ", ".join(request.targets) or (f"{request.gpu.name} ({request.gpu.target})" if request.gpu else "")
    kinds = Counter(manifest.layer_precisions.values())
    synthetic = "drawn " if ranges.images_are_synthetic else ""
    next_step = verify_command(prepared.bundle, engine_dir)
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
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table
