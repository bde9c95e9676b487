"""The parity gate: reference, FP16 emulation and engines of one bundle on the same images, a report beside each engine.

`run_gate` is all of it, in the order in which it happens; what it gives (`gate_outcome.py`) says how it ended.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from builder.executors import CpuExecutor, EngineExecutor
from builder.gate_outcome import Baseline, GateOutcome, SizeOutcome, Verified
from builder.half_graph import to_half
from builder.images import FieldImages, read_images
from builder.inspection import read_graph
from builder.parity import compare, find_cells
from builder.profile_correction import seen_by
from builder.progress_bars import GateProgress, no_progress
from edge.contracts.base import parse_json
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.engine_files import (
    ENGINE_MANIFEST,
    PARITY,
    EngineFiles,
    EngineManifest,
    GpuIdentity,
    ParityReport,
    engine_folders,
    load_engine_files,
)
from edge.contracts.errors import EngineError
from edge.engine.base import Engine
from edge.engine.engine_places import engine_places, named
from edge.engine.gpu.nvidia_driver import find_gpu

OpenGpuEngine = Callable[[EngineFiles], Engine]
"""Opens an engine on this machine's GPU; raises `EngineError` with the reason when it cannot be run here."""


def run_gate(
    bundle: Bundle,
    images: Path | None,
    *,
    limit: int,
    um_per_px: float | None = None,
    profile: Path | None = None,
    engine_dir: Path | None = None,
    key: str | None = None,
    emulation_only: bool = False,
    progress: GateProgress = no_progress,
) -> GateOutcome:
    """Verify every engine of a bundle, or the one called `key`, on the first `limit` images of a folder, drawn ones when None.

    With `profile` images are corrected, and cells told apart, as in a run with it. Reference and emulation are run once per
    frame size. Without an engine, and with `emulation_only`, they are run on frames of the bundle's field. Raises `SourceError`
    for images that cannot be used and `EngineError` when there is no `key`, the
    reference cannot be run, or a report cannot be written.
    """
    found: list[EngineFiles] = []
    problems: list[str] = []
    seen = seen_by(profile, bundle) if profile is not None else None
    if not emulation_only:
        found, problems = find_engines(bundle, engine_dir, key)
    sizes = frame_sizes(found) or {(bundle.manifest.field_width_px, bundle.manifest.field_height_px): []}
    open_here = opener(bundle, engine_dir)
    outcomes: list[SizeOutcome] = []
    for (width_px, height_px), engines in sizes.items():
        frames = read_images(images, bundle, width_px, height_px, limit, um_per_px, seen)
        baseline = measure_baseline(bundle, frames, progress)
        outcomes.append(SizeOutcome(baseline, [verify_engine(files, baseline, open_here, progress) for files in engines]))
    return GateOutcome(bundle, engine_places(bundle, engine_dir), outcomes, problems, emulation_only)


def find_engines(bundle: Bundle, engine_dir: Path | None, key: str | None = None) -> tuple[list[EngineFiles], list[str]]:
    """The engines that were built from this bundle, all of them or the one called `key`, and what cannot be read, a sentence
    each. A report that cannot be read counts as none: it will be written anew. Raises `EngineError` when there is no `key`."""
    places = engine_places(bundle, engine_dir)
    found, problems = [], []
    for built in (folder for place in places for folder in engine_folders(place)):
        if key is not None and built.name != key:
            continue
        try:
            files = _read(built)
        except EngineError as problem:
            problems.append(str(problem))
            continue
        if files.manifest.request.bundle_id == bundle.bundle_id:
            found.append(files)
    if key is not None and not found and not problems:
        raise EngineError(f"{named(places)} has no engine {key} of this bundle; leave out --engine to verify all that it has.")
    return found, problems


def measure_baseline(bundle: Bundle, images: FieldImages, progress: GateProgress = no_progress) -> Baseline:
    """Run reference and emulation. Raises `EngineError` when one of them fails on any image."""
    graph, thresholds = read_graph(bundle.model_path), thresholds_for(bundle, images)
    total = len(images.frames)
    reference = CpuExecutor(graph, is_emulation=False)
    cells = find_cells(reference, images.frames, images.names, thresholds, progress("reference", total))
    emulation = CpuExecutor(to_half(graph).model, is_emulation=True)
    emulated = find_cells(emulation, images.frames, images.names, thresholds, progress("FP16 emulation", total))
    return Baseline(bundle, images, reference.name, cells, compare(cells, emulated, emulation.name, is_emulation=True))


def thresholds_for(bundle: Bundle, images: FieldImages) -> Thresholds:
    """Those that a run would use."""
    return images.seen.thresholds if images.seen is not None else bundle.manifest.thresholds


def verify_engine(
    files: EngineFiles, baseline: Baseline, open_gpu_engine: OpenGpuEngine, progress: GateProgress = no_progress
) -> Verified:
    """Run one engine on the baseline's images and write its report beside it.

    One that cannot be opened here gets a report that says why, unless one of this very plan exists: the verdict of the machine
    that could run it stands. One that fails on an image has not passed, whatever it did on the others.
    """
    images = baseline.images
    thresholds = thresholds_for(baseline.bundle, images)
    try:
        engine = open_gpu_engine(files)
    except EngineError as problem:
        if files.gate != "none":
            return Verified(files, baseline.report(engine_not_run=str(problem)), kept=True)
        return _written(files, baseline.report(engine_not_run=str(problem)))
    plan, gpu = files.manifest.plan_sha256, this_gpu()
    try:
        executor = EngineExecutor(engine)
        advance = progress(files.manifest.key, len(images.frames))
        cells = find_cells(executor, images.frames, images.names, thresholds, advance)
    except EngineError as problem:
        return _written(files, baseline.report(plan, engine_not_run=f"it failed {problem}", gpu=gpu))
    finally:
        engine.close()
    result = compare(baseline.cells, cells, executor.name, is_emulation=False)
    return _written(files, baseline.report(plan, result, gpu=gpu))


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


def this_gpu() -> GpuIdentity | None:
    """The GPU that a report is about; None where there is none."""
    try:
        return find_gpu().identity
    except EngineError:
        return None


def frame_sizes(engines: Sequence[EngineFiles]) -> dict[tuple[int, int], list[EngineFiles]]:
    """Engines by the width and height, in pixels, of the frames they take."""
    sizes: dict[tuple[int, int], list[EngineFiles]] = {}
    for files in engines:
        request = files.manifest.request
        sizes.setdefault((request.frame_width_px, request.frame_height_px), []).append(files)
    return sizes


def _read(folder: Path) -> EngineFiles:
    try:
        return load_engine_files(folder)
    except EngineError:
        file = folder / ENGINE_MANIFEST
        content = file.read_bytes()
        manifest = parse_json(EngineManifest, content, file, EngineError)
        return EngineFiles(folder, manifest, None, hashlib.sha256(content).hexdigest())


def _written(files: EngineFiles, report: ParityReport) -> Verified:
    """A reader sees the old report or the whole new one, never half of it."""
    target = files.path / PARITY
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{PARITY}.", dir=files.path)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(report.model_dump_json(indent=1) + "\n")
            Path(temporary).chmod(0o644)
            os.replace(temporary, target)  # noqa: PTH105 - the same on every system, onto an existing file too
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise EngineError(
            f"the parity report {target} cannot be written ({problem.strerror}); make room there, or make the folder writable."
        ) from problem
    return Verified(files, report, kept=False)
