"""How the parity gate ended: what engines were compared with, what each did, and one sentence for whoever waits."""

from dataclasses import dataclass
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from typing import Literal

from builder.images import FieldImages
from builder.parity import LIMITS, count
from builder.profile_correction import Seen
from edge.contracts.bundle import Bundle
from edge.contracts.detections import Cells
from edge.contracts.engine_files import EngineFiles, GpuIdentity, ParityReport, ParityResult
from edge.contracts.errors import EngineError, UndecidedError
from edge.contracts.version import VERSION
from edge.engine.engine_places import named

_NO_FP16 = (
    "these weights do not bear FP16, whichever version of TensorRT rounds them: train longer or with a lower learning rate, or "
    "run this bundle with --engine openvino"
)
_OTHER_BUILD = "build with another version of TensorRT and verify anew; until then --engine openvino counts right"
_SPARE = 1.05
"""Fields differ in how many cells they show: so many times the images that the mean asks for."""

Ending = Literal["passed", "failed", "not decided"]


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
            **_correction(self.images.seen),
            reference_executor=self.reference,
            reference_cells=self.n_cells,
            reference_counts=count(self.cells),
            reference_overflows=sum(field.overflow for field in self.cells),
            limits=LIMITS,
            emulation=self.emulation,
            engine=engine,
            engine_not_run=engine_not_run,
            made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            leukostream_version=VERSION,
        )

    @property
    def n_cells(self) -> int:
        return sum(len(field) for field in self.cells)

    def how_to_decide(self) -> str:
        """What makes enough cells of these images, as the end of a sentence."""
        images, n_cells = self.images, self.n_cells
        if images.are_synthetic:
            return "give photographed fields with --images DIR --um-per-px SCALE"
        if not n_cells:
            return "check --um-per-px, and that these images show leukocytes as this bundle knows them"
        needed = ceil(images.images * round(_SPARE * LIMITS["min_cells"]) / n_cells)
        these = f"these {images.available}" if images.available > 1 else "this one"
        if images.available >= needed:
            return f"read more of these images: about {needed} of the {images.available}, with --limit {needed}"
        return f"give more images, about {needed} like {these}, and --limit {needed}"


def _correction(seen: Seen | None) -> dict[str, str | None]:
    """What the report says was done to the images' light and colours."""
    if seen is None:
        return {}
    correction = seen.correction
    return {
        "profile_sha256": seen.profile_sha256,
        "colour_transform": correction.colour_name if correction is not None else None,
        "illumination_sha256": correction.light_sha256 if correction is not None else None,
    }


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

    @property
    def ending(self) -> Ending:
        """On drawn fields an engine that agrees has not passed, and nothing else is known of it."""
        if self.passed:
            return "passed"
        return "not decided" if self.report.undecided or self.report.agrees else "failed"


def problem_of(about: str, baseline: Baseline, report: ParityReport, what_then: str) -> EngineError | None:
    """Why what was judged at once has not passed, `what_then` behind a failure; None where it has."""
    result = report.engine
    if result is None or result.failures:
        why = result.failures[0] if result else "it did not run"
        return EngineError(f"{about} did not pass the parity gate: {why}; {what_then}.")
    if result.undecided:
        return UndecidedError(f"{about} is not decided: {result.undecided}; {baseline.how_to_decide()}.")
    if not report.passed:
        return UndecidedError(
            f"{about} agrees on drawn fields, which show nothing about photographed ones; give --images DIR --um-per-px SCALE "
            "to pass the gate."
        )
    return None


def verdict_as_json(folder: Path, report: ParityReport, problem: EngineError | None) -> dict[str, object]:
    """Of one that was compared as a whole; `problem` is None when it has passed."""
    ending: Ending = "passed" if problem is None else "not decided" if problem.code == "undecided" else "failed"
    return {"folder": str(folder), "passed": report.passed, "verdict": ending, "report": report.model_dump(mode="json")}


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
    def emulation(self) -> Ending:
        """The worst of all frame sizes."""
        verdicts = [size.baseline.emulation.verdict for size in self.sizes]
        return "failed" if "failed" in verdicts else "not decided" if "not decided" in verdicts else "passed"

    @property
    def problem(self) -> EngineError | None:
        """Why the gate was not passed, or with `emulation_only` the emulation: an `UndecidedError` where only more or other
        images are missing. None when it was passed."""
        if self.emulation_only:
            return self._of_emulation()
        if self.unreadable:
            first = self.unreadable[0]
            return EngineError(
                f"{len(self.unreadable)} engines in {named(self.places)} cannot be read, so they are not verified: {first}"
            )
        if not self.engines:
            return EngineError(
                f"bundle {self.bundle.path} has no engine in {named(self.places)}, so nothing passed the parity gate (its FP16 "
                f"emulation: {self.emulation}); build one with `leuko-build engine`, or ask for --emulation-only."
            )
        return self._of_engines()

    def _of_emulation(self) -> EngineError | None:
        about = f"the FP16 emulation of bundle {self.bundle.path}"
        for size in self.sizes:
            if size.baseline.emulation.failures:
                return EngineError(f"{about} failed: {size.baseline.emulation.failures[0]}; {_NO_FP16}.")
        for size in self.sizes:
            if size.baseline.emulation.undecided:
                why, remedy = size.baseline.emulation.undecided, size.baseline.how_to_decide()
                return UndecidedError(f"{about} is not decided: {why}; {remedy}.")
        return None

    def _of_engines(self) -> EngineError | None:
        total = len(self.engines)
        ended = [(size.baseline, verified) for size in self.sizes for verified in size.engines]
        failed = [verified for _, verified in ended if verified.ending == "failed"]
        if failed:
            report = failed[0].report
            return EngineError(
                f"{len(failed)} of {total} engines did not pass the parity gate (FP16 emulation: {self.emulation}), "
                f"{failed[0].files.manifest.key}: {_reason(report)}"
            )
        few = [(baseline, verified) for baseline, verified in ended if verified.report.undecided]
        if few:
            baseline, verified = few[0]
            why = verified.report.emulation.undecided or (verified.report.engine.undecided if verified.report.engine else "")
            remedy = baseline.how_to_decide()
            return UndecidedError(
                f"{len(few)} of {total} engines are not decided, {verified.files.manifest.key}: {why}; {remedy}."
            )
        drawn = sum(not verified.passed for verified in self.engines)
        if drawn:
            return UndecidedError(
                f"{drawn} of {total} engines agree on drawn fields, which show nothing about photographed ones; give --images "
                "DIR --um-per-px SCALE to pass the gate."
            )
        return None

    def as_json(self) -> dict[str, object]:
        """The same as plain values, with every report."""
        engines = [
            {
                "key": verified.files.manifest.key,
                "folder": str(verified.files.path),
                "passed": verified.passed,
                "verdict": verified.ending,
                "earlier_report_kept": verified.kept,
                "report": verified.report.model_dump(mode="json"),
            }
            for verified in self.engines
        ]
        return {
            "bundle_id": self.bundle.bundle_id,
            "passed": bool(engines) and not self.unreadable and all(engine["passed"] for engine in engines),
            "emulation_passed": self.emulation == "passed",
            "emulation_verdict": self.emulation,
            "baselines": [size.baseline.report().model_dump(mode="json") for size in self.sizes],
            "engines": engines,
            "unreadable": self.unreadable,
        }


def _reason(report: ParityReport) -> str:
    """Why an engine did not pass, and what helps: whole sentence parts with their full stop."""
    if report.engine_not_run:
        return report.engine_not_run
    if report.emulation.failures:
        return f"{[*(report.engine.failures if report.engine else ()), *report.emulation.failures][0]}; {_NO_FP16}."
    return f"{report.engine.failures[0] if report.engine else 'it did not run'}; {_OTHER_BUILD}."
