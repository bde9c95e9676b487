"""The parity gate: reference, FP16 emulation and engines of one bundle on the same images, a report beside each engine.

`run_gate` is all of it, in the order in which it happens; what it gives says how it ended, in one sentence and as plain values.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from builder.executors import CpuExecutor, EngineExecutor
from builder.half_graph import to_half
from builder.images import FieldImages, read_images
from builder.inspection import read_graph
from builder.parity import GIVE_MORE, LIMITS, compare, count, find_cells
from builder.progress_bars import GateProgress, no_progress
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
    load_engine_files,
)
from edge.contracts.errors import EngineError
from edge.contracts.version import VERSION
from edge.engine.base import Engine
from edge.engine.engine_places import engine_places, named
from edge.engine.gpu.nvidia_driver import find_gpu

_AGAIN = "build with another version of TensorRT, or export the bundle again, and verify anew"

OpenGpuEngine = Callable[[EngineFiles], Engine]
"""Opens an engine on this machine's GPU; raises `EngineError` with the reason when it cannot be run here."""


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


@dataclass(frozen=True, slots=True)
class SizeOutcome:
    """Of one frame size: what its engines were compared with, and they."""

    baseline: Baseline
    engines: list[Verified]


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """Of a bundle: every frame size, and what cannot be read in `places`, a sentence each."""

    bundle: Bundle
    places: tuple[Path, ...]
    sizes: list[SizeOutcome]
    unreadable: list[str]
    emulation_only: bool

    @property
    def engines(self) -> list[Verified]:
        """All that were verified."""
        return [verified for size in self.sizes for verified in size.engines]

    @property
    def emulation_passed(self) -> bool:
        return all(size.baseline.emulation.passed for size in self.sizes)

    @property
    def failure(self) -> str:
        """Why the gate was not passed, or with `emulation_only` the emulation failed, in one sentence; empty when it was."""
        emulation = "passed" if self.emulation_passed else "failed"
        failures = [failure for size in self.sizes for failure in size.baseline.emulation.failures]
        if self.emulation_only:
            return f"the FP16 emulation of bundle {self.bundle.path} failed: {_remedied(failures[0])}" if failures else ""
        if self.unreadable:
            first = self.unreadable[0]
            return f"{len(self.unreadable)} engines in {named(self.places)} cannot be read, so they are not verified: {first}"
        engines = self.engines
        if not engines:
            return (
                f"bundle {self.bundle.path} has no engine in {named(self.places)}, so nothing passed the parity gate (its FP16 "
                f"emulation {emulation}); build one with `leuko-build engine`, or ask for --emulation-only."
            )
        not_passed = [verified for verified in engines if not verified.passed]
        if not not_passed:
            return ""
        report = not_passed[0].report
        if report.agrees:
            return (
                f"{len(not_passed)} of {len(engines)} engines agree on drawn fields, which show nothing about photographed "
                "ones; give --images DIR to pass the gate."
            )
        failures = [*(report.engine.failures if report.engine else ()), *failures]
        reason = report.engine_not_run or _remedied(failures[0])
        return (
            f"{len(not_passed)} of {len(engines)} engines did not pass the parity gate (FP16 emulation: {emulation}), "
            f"{not_passed[0].files.manifest.key}: {reason}"
        )

    def as_json(self) -> dict[str, object]:
        """The same as plain values, with every report."""
        engines = [
            {
                "key": verified.files.manifest.key,
                "folder": str(verified.files.path),
                "passed": verified.passed,
                "earlier_report_kept": verified.kept,
                "report": verified.report.model_dump(mode="json"),
            }
            for verified in self.engines
        ]
        return {
            "bundle_id": self.bundle.bundle_id,
            "passed": bool(engines) and not self.unreadable and all(engine["passed"] for engine in engines),
            "emulation_passed": self.emulation_passed,
            "baselines": [size.baseline.report().model_dump(mode="json") for size in self.sizes],
            "engines": engines,
            "unreadable": self.unreadable,
        }


def run_gate(
    bundle: Bundle,
    images: Path | None,
    *,
    limit: int,
    um_per_px: float | None = None,
    engine_dir: Path | None = None,
    key: str | None = None,
    emulation_only: bool = False,
    progress: GateProgress = no_progress,
) -> GateOutcome:
    """Verify every engine of a bundle, or the one called `key`, on the first `limit` images of a folder, drawn ones when None.

    Reference and emulation are run once per frame size. Without an engine, and with `emulation_only`, they are run on frames of
    the bundle's field. Raises `SourceError` for images that cannot be used and `EngineError` when there is no `key`, the
    reference cannot be run, or a report cannot be written.
    """
    found: list[EngineFiles] = []
    problems: list[str] = []
    if not emulation_only:
        found, problems = find_engines(bundle, engine_dir, key)
    sizes = frame_sizes(found) or {(bundle.manifest.field_width_px, bundle.manifest.field_height_px): []}
    open_here = opener(bundle, engine_dir)
    outcomes: list[SizeOutcome] = []
    for (width_px, height_px), engines in sizes.items():
        frames = read_images(images, bundle, width_px, height_px, limit, um_per_px)
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
    graph, thresholds = read_graph(bundle.model_path), bundle.manifest.thresholds
    total = len(images.frames)
    reference = CpuExecutor(graph, is_emulation=False)
    cells = find_cells(reference, images.frames, images.names, thresholds, progress("reference", total))
    emulation = CpuExecutor(to_half(graph).model, is_emulation=True)
    emulated = find_cells(emulation, images.frames, images.names, thresholds, progress("FP16 emulation", total))
    return Baseline(bundle, images, reference.name, cells, compare(cells, emulated, emulation.name, is_emulation=True))


def verify_engine(
    files: EngineFiles, baseline: Baseline, open_gpu_engine: OpenGpuEngine, progress: GateProgress = no_progress
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


def _remedied(failure: str) -> str:
    """A limit that was not kept, as the end of a sentence that says what to do."""
    return f"{failure}." if failure.endswith(GIVE_MORE) else f"{failure}; {_AGAIN}."


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
