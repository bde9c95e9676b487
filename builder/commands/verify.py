"""`leuko-build verify`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from builder.images import read_images
from builder.limits import GIVE_MORE
from builder.parity_gate import (
    Baseline,
    OpenGpuEngine,
    Verified,
    find_engines,
    frame_sizes,
    measure_baseline,
    no_progress,
    verify_engine,
)
from builder.parity_gate import Progress as Tell
from builder.verify_text import failure_lines, results_table
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.engine_files import EngineFiles, engines_folder
from edge.contracts.errors import EngineError
from edge.engine.base import Engine

DEFAULT_LIMIT = 300
"""Most images of leukocytes show one: a hundred more than the cells that are needed."""

_AGAIN = "build with another version of TensorRT, or export the bundle again, and verify anew"

Outcome = tuple[Baseline, list[Verified]]
"""Of one frame size: what its engines were compared with, and they."""


def verify(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    images: Annotated[
        Path | None, typer.Option(help="folder of field images; without it fields are drawn, which pass no engine")
    ] = None,
    um_per_px: Annotated[float | None, typer.Option(min=0.001, help="scale of the images; the bundle's when not given")] = None,
    engine_dir: Annotated[Path | None, typer.Option(help="where the engines are; `engines` beside the bundle")] = None,
    engine: Annotated[str | None, typer.Option(help="key of the only engine to verify")] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many images")] = DEFAULT_LIMIT,
    emulation_only: Annotated[
        bool, typer.Option("--emulation-only", help="judge the FP16 graph alone, on the CPU, without any engine")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Hold every engine of a bundle against its graph, on the same images; a report is written beside each engine.

    Reference is the bundle's graph in FP32 on the CPU; how FP16 rounds is emulated there, too; then each engine is run on this
    machine's GPU. Compared are the cells that would be counted, by limits that the report names.

    Exit code 0: every engine ran here and passed. Exit code 5: one did not pass or could not be run here, or there is none; an
    emulation that passed does not change that. An engine that cannot be run here keeps the report it has. With
    --emulation-only, for a machine without a GPU, exit code 0 says that the emulation passed and nothing about any engine.

    leuko-build verify bundles/tiny --images fields

    leuko-build verify bundles/tiny --images fields --um-per-px 0.073 --emulation-only --json
    """
    opened = load_bundle(bundle)
    found: list[EngineFiles] = []
    problems: list[str] = []
    if not emulation_only:
        found, problems = find_engines(opened, engine_dir, engine)
    manifest = opened.manifest
    sizes = frame_sizes(found) or {(manifest.field_width_px, manifest.field_height_px): []}
    open_here = opener(opened, engine_dir)
    outcomes: list[Outcome] = []
    with _progress(as_json) as tell:
        for (width_px, height_px), engines in sizes.items():
            frames = read_images(images, opened, width_px, height_px, limit, um_per_px)
            baseline = measure_baseline(opened, frames, tell)
            outcomes.append((baseline, [verify_engine(files, baseline, open_here, tell) for files in engines]))
    if as_json:
        print(json.dumps(_as_json(opened, outcomes, problems)))
    else:
        _print(outcomes, problems)
    said = _verdict(opened, engines_folder(opened, engine_dir), outcomes, problems, emulation_only)
    if said:
        raise EngineError(said)


def opener(bundle: Bundle, engine_dir: Path | None) -> OpenGpuEngine:
    """What opens this bundle's engines on this machine."""

    def open_here(files: EngineFiles) -> Engine:
        # Only a machine with engines to run needs to look for a GPU and its runtimes.
        from edge.engine.choice import open_gpu_engine  # noqa: PLC0415
        from edge.engine.machine import look_at_machine  # noqa: PLC0415
        from edge.engine.survey import why_not  # noqa: PLC0415

        reason, remedy = why_not(files.manifest.request, bundle, look_at_machine(), None, engine_dir)
        if reason:
            raise EngineError(f"{reason} Remedy: {remedy}.")
        return open_gpu_engine(files)

    return open_here


def _verdict(bundle: Bundle, folder: Path, outcomes: list[Outcome], problems: list[str], emulation_only: bool) -> str:
    """Why the exit code is not 0, in one sentence; empty when it is."""
    emulations = [baseline.emulation for baseline, _ in outcomes]
    emulation = "passed" if all(each.passed for each in emulations) else "failed"
    engines = [verified for _, group in outcomes for verified in group]
    failures = [failure for each in emulations for failure in each.failures]
    if emulation_only:
        return f"the FP16 emulation of bundle {bundle.path} failed: {_remedied(failures[0])}" if failures else ""
    if problems:
        return f"{len(problems)} engines in {folder} cannot be read, so they are not verified: {problems[0]}"
    if not engines:
        return (
            f"bundle {bundle.path} has no engine in {folder}, so nothing passed the parity gate (its FP16 emulation "
            f"{emulation}); build one with `leuko-build engine`, or ask for --emulation-only."
        )
    not_passed = [verified for verified in engines if not verified.passed]
    if not not_passed:
        return ""
    report = not_passed[0].report
    if report.agrees:
        return (
            f"{len(not_passed)} of {len(engines)} engines agree on drawn fields, which show nothing about photographed ones; "
            "give --images DIR to pass the gate."
        )
    failures = [*(report.engine.failures if report.engine else ()), *failures]
    reason = report.engine_not_run or _remedied(failures[0])
    return (
        f"{len(not_passed)} of {len(engines)} engines did not pass the parity gate (FP16 emulation: {emulation}), "
        f"{not_passed[0].files.manifest.key}: {reason}"
    )


def _remedied(failure: str) -> str:
    """A limit that was not kept, as the end of a sentence that says what to do."""
    return f"{failure}." if failure.endswith(GIVE_MORE) else f"{failure}; {_AGAIN}."


@contextmanager
def _progress(quiet: bool) -> Iterator[Tell]:
    if quiet:
        yield no_progress
        return
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def begin(what: str, total: int) -> Callable[[int], object]:
            task = bars.add_task(what, total=total)
            return lambda n: bars.advance(task, n)

        yield begin


def _as_json(bundle: Bundle, outcomes: list[Outcome], problems: list[str]) -> dict[str, object]:
    engines = [
        {
            "key": verified.files.manifest.key,
            "folder": str(verified.files.path),
            "passed": verified.passed,
            "earlier_report_kept": verified.kept,
            "report": verified.report.model_dump(mode="json"),
        }
        for _, group in outcomes
        for verified in group
    ]
    return {
        "bundle_id": bundle.bundle_id,
        "passed": bool(engines) and not problems and all(engine["passed"] for engine in engines),
        "emulation_passed": all(baseline.emulation.passed for baseline, _ in outcomes),
        "baselines": [baseline.report().model_dump(mode="json") for baseline, _ in outcomes],
        "engines": engines,
        "unreadable": problems,
    }


def _print(outcomes: list[Outcome], problems: list[str]) -> None:
    console = Console(highlight=False)
    for baseline, engines in outcomes:
        console.print(results_table(baseline, engines))
        for line in failure_lines(baseline, engines):
            console.print(line, markup=False, soft_wrap=True)
    for problem in problems:
        console.print(problem, markup=False, soft_wrap=True)
    n_passed = sum(verified.passed for _, engines in outcomes for verified in engines)
    emulation = "passed" if all(baseline.emulation.passed for baseline, _ in outcomes) else "failed"
    n_engines = sum(len(engines) for _, engines in outcomes) + len(problems)
    console.print(
        f"Parity gate: {n_passed} of {n_engines} engines ran here and passed. FP16 emulation (which is not the gate): "
        f"{emulation}.",
        soft_wrap=True,
    )
