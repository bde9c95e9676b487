"""`leuko-build quantize`."""

from pathlib import Path
from typing import Annotated

import typer

from builder.commands.verify import DEFAULT_LIMIT


def quantize(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    images: Annotated[Path, typer.Option(help="folder of field images: a third sets the scales, the others judge")],
    out: Annotated[Path, typer.Option(help="new directory for the int8 bundle")],
    um_per_px: Annotated[float | None, typer.Option(min=0.001, help="scale of the images; needed without --profile")] = None,
    profile: Annotated[Path | None, typer.Option(help="correct light and colours as a run with this profile does")] = None,
    limit: Annotated[int, typer.Option(min=3, help="at most so many images")] = DEFAULT_LIMIT + 100,
    keep_float: Annotated[
        list[str] | None, typer.Option("--float", help="convolution that stays in floating point; may be given again")
    ] = None,
    engine_dir: Annotated[Path | None, typer.Option(help="where its report goes; beside the bundle, else the user's")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Make an int8 bundle for CPUs out of a bundle, and hold it against that one's graph, as an engine is.

    The child names its parent, whose FP32 graph stays the reference. 8 bits hold weights and inputs of convolutions; all else,
    and a second look, stays in floating point. Convolutions whose rounding spoils the count go back to it, the worst first,
    until the limits hold on some of the fields that set the scales; which did is printed, with the share of the error of each.
    The report beside the child says how far it agrees, and the edge refuses an int8 bundle without a passed one. On another
    processor, or another version of OpenVINO, run leuko-build verify again.

    Beside the verdict is printed what it is worth: what the parent does as a run has it here (which may be bf16), the time over
    that one's, and what a shift of the same fields by one pixel does to the parent's own cells.

    leuko-build quantize bundles/tiny --images fields --um-per-px 0.13 --out bundles/tiny-int8

    Exit code: 0 written and passed; 5 written and not passed, or it cannot be quantised; 10 written, and the images do not
    decide it; 2 an option, 3 the bundle or --out, 4 the images.
    """
    from builder.display import print_quantised
    from builder.progress_bars import gate_bars
    from builder.quantised_gate_run import quantise_bundle
    from edge.contracts.bundle import load_bundle

    with gate_bars(quiet=as_json) as progress:
        outcome = quantise_bundle(
            load_bundle(bundle),
            images,
            out,
            limit=limit,
            um_per_px=um_per_px,
            profile=profile,
            keep_float=tuple(keep_float or ()),
            engine_dir=engine_dir,
            progress=progress,
        )
    print_quantised(outcome, as_json=as_json)
