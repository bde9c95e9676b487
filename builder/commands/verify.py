"""`leuko-build verify`."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

DEFAULT_LIMIT = 300
"""Most images of leukocytes show one: a hundred more than the cells that are needed."""


def verify(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    images: Annotated[
        Path | None, typer.Option(help="folder of field images; without it fields are drawn, which pass no engine")
    ] = None,
    um_per_px: Annotated[float | None, typer.Option(min=0.001, help="scale of the images; needed with --images")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="correct the images' light and colours as a run with this profile, at its thresholds")
    ] = None,
    engine_dir: Annotated[Path | None, typer.Option(help="where its engines are; beside the bundle, else the user's")] = None,
    engine: Annotated[str | None, typer.Option(help="key of the only engine to verify")] = None,
    server: Annotated[
        str | None, typer.Option(help="HOST:PORT of an inference server: verify what it serves, and no engine")
    ] = None,
    server_ca: Annotated[
        Path | None, typer.Option(help="of --server: PEM file of who signed its certificate; the connection is TLS then")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many images")] = DEFAULT_LIMIT,
    emulation_only: Annotated[
        bool, typer.Option("--emulation-only", help="judge the FP16 graph alone, on the CPU, without any engine")
    ] = False,
    parent: Annotated[
        Path | None, typer.Option(help="of an int8 bundle: its parent's directory; looked for beside it when not given")
    ] = None,
    precision: Annotated[
        Literal["bf16"] | None,
        typer.Option(help="verify OpenVINO on this CPU in this precision, and no engine"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Hold every engine of a bundle against its graph, on the same images; a report is written beside each engine.

    Reference is the bundle's graph in FP32 on the CPU; how FP16 rounds is emulated there, too; then each engine is run on this
    machine's GPU. Compared are the cells that would be counted, by limits that the report names.

    Exit code 0: every engine ran here and passed. Exit code 5: one did not pass or could not be run here, or there is none; an
    emulation that passed does not change that. Exit code 10: nothing speaks against them, and the images do not decide it: too
    few cells, or drawn fields. An engine that cannot be run here keeps the report it has. With --emulation-only, for a machine
    without a GPU, exit code 0 says that the emulation passed and nothing about any engine.

    With --precision bf16, in which OpenVINO computes on a CPU that has it, that is held against FP32 on this CPU. An edge that
    finds a failed verdict here computes in f32, unless it is told otherwise; how many times as long that takes is said.

    Of an int8 bundle (leuko-build quantize) the reference is its parent's graph, and what is run is that bundle on this CPU.

    leuko-build verify bundles/tiny --images fields --um-per-px 0.13

    leuko-build verify bundles/tiny --images fields --um-per-px 0.073 --emulation-only --json

    leuko-build verify bundles/tiny --images fields --profile profile.json

    leuko-build verify bundles/tiny --images fields --um-per-px 0.13 --server 10.0.0.5:8001

    leuko-build verify bundles/tiny --images fields --um-per-px 0.13 --precision bf16
    """
    if precision is not None:
        from edge.contracts.errors import ConfigError

        if server is not None or engine is not None or emulation_only:
            raise ConfigError("--precision is of OpenVINO on this CPU; leave out --server, --engine and --emulation-only.")
        _verify_precision(bundle, images, um_per_px, profile, engine_dir, limit, as_json)
        return
    if server is not None:
        _verify_server(bundle, images, um_per_px, profile, engine_dir, server, server_ca, limit, as_json)
        return
    from builder.gate_display import print_gate
    from builder.parity_gate import run_gate
    from builder.progress_bars import gate_bars
    from edge.contracts.bundle import load_bundle

    opened = load_bundle(bundle)
    if opened.manifest.quantisation is not None:
        from builder.display import print_quantised
        from builder.quantised_gate_run import find_parent, verify_quantised

        with gate_bars(quiet=as_json) as progress:
            judged = verify_quantised(
                opened,
                find_parent(opened, parent),
                images,
                limit=limit,
                um_per_px=um_per_px,
                profile=profile,
                engine_dir=engine_dir,
                progress=progress,
            )
        print_quantised(judged, as_json=as_json)
        return
    with gate_bars(quiet=as_json) as progress:
        outcome = run_gate(
            opened,
            images,
            limit=limit,
            um_per_px=um_per_px,
            profile=profile,
            engine_dir=engine_dir,
            key=engine,
            emulation_only=emulation_only,
            progress=progress,
        )
    if as_json:
        print(json.dumps(outcome.as_json()))
    else:
        print_gate(outcome)
    if outcome.problem is not None:
        raise outcome.problem


def _verify_precision(
    bundle: Path,
    images: Path | None,
    um_per_px: float | None,
    profile: Path | None,
    engine_dir: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    from builder.display import print_precision
    from builder.precision_gate_run import verify_precision
    from builder.progress_bars import gate_bars
    from edge.contracts.bundle import load_bundle

    with gate_bars(quiet=as_json) as progress:
        judged = verify_precision(
            load_bundle(bundle),
            images,
            limit=limit,
            um_per_px=um_per_px,
            profile=profile,
            engine_dir=engine_dir,
            progress=progress,
        )
    print_precision(judged, as_json=as_json)


def _verify_server(
    bundle: Path,
    images: Path | None,
    um_per_px: float | None,
    profile: Path | None,
    engine_dir: Path | None,
    server: str,
    server_ca: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    from builder.progress_bars import gate_bars
    from builder.served_gate_run import verify_server
    from edge.contracts.bundle import load_bundle

    with gate_bars(quiet=as_json) as progress:
        outcome = verify_server(
            load_bundle(bundle),
            images,
            server,
            server_ca,
            limit=limit,
            um_per_px=um_per_px,
            profile=profile,
            engine_dir=engine_dir,
            progress=progress,
        )
    if as_json:
        print(json.dumps(outcome.as_json()))
    else:
        result = outcome.report.engine
        cells = f"{result.matched} of {outcome.report.reference_cells} cells found again" if result else "it did not run"
        print(f"{server}: {cells}, on {outcome.report.images} images; report in {outcome.folder}")
    if outcome.problem is not None:
        raise outcome.problem
