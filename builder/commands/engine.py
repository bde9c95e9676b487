"""`leuko-build engine`."""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge.contracts.engine_files import GpuRuntime

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
    engine_dir: Annotated[Path | None, typer.Option(help="where engines are kept; beside the bundle, else the user's")] = None,
    images: Annotated[Path | None, typer.Option(help="folder of field images to measure value ranges on; else drawn")] = None,
    um_per_px: Annotated[float | None, typer.Option(min=0.001, help="scale of the images; needed with --images")] = None,
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
    from rich.console import Console

    from builder.display import built_rows, grid
    from builder.engine_build import BuildOptions, build_engine, find_built, installed_runtime, prepare
    from builder.images import FieldImages, read_images
    from builder.progress_bars import ProgressWatch
    from edge.contracts.bundle import load_bundle
    from edge.engine.engine_places import engine_places, place_to_build
    from edge.engine.survey import parse_frame_size

    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(message)s", stream=sys.stderr)
    opened = load_bundle(bundle)
    field_px = (opened.manifest.field_width_px, opened.manifest.field_height_px)
    width_px, height_px = field_px if frame is None else parse_frame_size(frame)
    asked = runtime or installed_runtime()
    prepared = prepare(opened, BuildOptions(asked, width_px, height_px, max_batch, workspace_mib, tuple(target or ())))
    key = prepared.request.key()
    there = next((built for place in engine_places(opened, engine_dir) if (built := find_built(place, key))), None)

    def read() -> FieldImages:
        return read_images(images, opened, width_px, height_px, _RANGE_IMAGES, um_per_px)

    with ProgressWatch() as watch:
        built = there or build_engine(prepared, place_to_build(opened, engine_dir), read, watch)
    if as_json:
        manifest = built.manifest.model_dump(mode="json")
        print(json.dumps({"directory": str(built.path), "reused": there is not None, "gate": built.gate, "manifest": manifest}))
    else:
        rows = built_rows(built, opened, engine_dir, reused=there is not None)
        Console(highlight=False, soft_wrap=True).print(grid(rows))
