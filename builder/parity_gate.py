"""The parity gate: reference, FP16 emulation and engines of one bundle on the same images, a report beside each engine."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from builder.engine_executor import EngineExecutor
from builder.executors import CpuExecutor
from builder.half_graph import to_half
from builder.images import FieldImages
from builder.inspection import read_graph
from builder.limits import LIMITS
from builder.parity import compare, count, find_cells
from edge.contracts.base import parse_json
from edge.contracts.bundle import Bundle
from edge.contracts.detections import Cells
from edge.contracts.engine_files import (
    ENGINE_MANIFEST,
    PARITY,
    EngineFiles,
    EngineManifest,
    GpuIdentity,
    ParityReport,
    ParityResult,
    engine_folders,
    engines_folder,
    load_engine_files,
)
from edge.contracts.errors import EngineError
from edge.contracts.version import VERSION
from edge.engine.base import Engine
from edge.engine.gpu.nvidia_driver import find_gpu

OpenGpuEngine = Callable[[EngineFiles], Engine]
"""Opens an engine on this machine's GPU; raises `EngineError` with the reason when it cannot be run here."""

Progress = Callable[[str, int], Callable[[int], object]]
"""Told what begins and of how many frames; what it returns is told how many more were done."""


def no_progress(what: str, total: int) -> Callable[[int], object]:
    """Tells nobody."""
    return lambda n: (what, total, n)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What engines of one frame size are compared with: the reference's cells, and how the emulation did."""

    bundle: Bundle
    images: FieldImages
    reference: str
    cells: list[Cells]
    emulation: ParityResult

    def report(
        self,
        plan_sha256: str | None = None,
        engine: ParityResult | None = None,
        engine_not_run: str = "",
        gpu: GpuIdentity | None = None,
    ) -> ParityReport:
        """The report of one engine, or of the emulation alone."""
        return ParityReport(
            bundle_id=self.bundle.bundle_id,
            plan_sha256=plan_sha256,
            gpu=gpu,
            images=self.images.images,
            frames=len(self.images.frames),
            images_sha256=self.images.sha256,
            images_from=self.images.origin,
            images_are_synthetic=self.images.are_synthetic,
            reference_executor=self.reference,
            reference_cells=sum(len(field) for field in self.cells),
            reference_counts=count(self.cells),
            reference_overflows=sum(field.overflow for field in self.cells),
            limits=LIMITS,
            emulation=self.emulation,
            engine=engine,
            engine_not_run=engine_not_run,
            made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            leukostream_version=VERSION,
        )


@dataclass(frozen=True, slots=True)
class Verified:
    """One engine after `verify_engine`. `kept` says that an earlier report still stands, as the engine cannot be run here."""

    files: EngineFiles
    report: ParityReport
    kept: bool

    @property
    def passed(self) -> bool:
        """It ran here and agrees."""
        return self.report.passed


def find_engines(bundle: Bundle, engine_dir: Path | None, key: str | None = None) -> tuple[list[EngineFiles], list[str]]:
    """The engines that were built from this bundle, all of them or the one called `key`, and what cannot be read, a sentence
    each. A report that cannot be read counts as none: it will be written anew. Raises `EngineError` when there is no `key`."""
    folder = engines_folder(bundle, engine_dir)
    found, problems = [], []
    for built in engine_folders(folder):
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
        raise EngineError(f"{folder} has no engine {key} of this bundle; leave out --engine to verify all that it has.")
    return found, problems


def measure_baseline(bundle: Bundle, images: FieldImages, progress: Progress = no_progress) -> Baseline:
    """Run reference and emulation. Raises `EngineError` when one of them fails on any image."""
    graph, thresholds = read_graph(bundle.model_path), bundle.manifest.thresholds
    total = len(images.frames)
    reference = CpuExecutor(graph, is_emulation=False)
    cells = find_cells(reference, images.frames, images.names, thresholds, progress("reference", total))
    emulation = CpuExecutor(to_half(graph).model, is_emulation=True)
    emulated = find_cells(emulation, images.frames, images.names, thresholds, progress("FP16 emulation", total))
    return Baseline(bundle, images, reference.name, cells, compare(cells, emulated, emulation.name, is_emulation=True))


def verify_engine(
    files: EngineFiles, baseline: Baseline, open_gpu_engine: OpenGpuEngine, progress: Progress = no_progress
) -> Verified:
    """Run one engine on the baseline's images and write its report beside it.

    One that cannot be opened here gets a report that says why, unless one of this very plan exists: the verdict of the machine
    that could run it stands. One that fails on an image has not passed, whatever it did on the others.
    """
    thresholds, images = baseline.bundle.manifest.thresholds, baseline.images
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
