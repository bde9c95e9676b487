"""The parity gate of bf16: what OpenVINO counts in it on this CPU, against the same bundle's FP32 graph on the same images."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from builder.executors import EngineExecutor
from builder.gate_outcome import problem_of, verdict_as_json
from builder.images import read_images
from builder.int8_yardsticks import time_ratio
from builder.parity import compare, find_cells
from builder.parity_gate import thresholds_for
from builder.profile_correction import seen_by
from builder.progress_bars import GateProgress, no_progress
from builder.served_gate_run import frame_size_for, reference_baseline
from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.choices import Precision
from edge.contracts.engine_files import ParityReport
from edge.contracts.errors import BundleError, EngineError
from edge.engine.openvino import OpenVinoEngine
from edge.engine.precision_gate import BF16
from edge.engine.quantised_gate import keep_report


@dataclass(frozen=True, slots=True)
class PrecisionOutcome:
    """The verdict on this CPU. `problem` is None when bf16 has passed; FP32 takes `f32_times` as long here."""

    bundle: Bundle
    folder: Path
    report: ParityReport
    problem: EngineError | None
    f32_times: float

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        return {
            "bundle": str(self.bundle.path),
            "bundle_id": self.bundle.bundle_id,
            "precision": BF16,
            "f32_times": self.f32_times,
            **verdict_as_json(self.folder, self.report, self.problem),
        }


def verify_precision(
    bundle: Bundle,
    images: Path | None,
    *,
    limit: int,
    um_per_px: float | None = None,
    profile: Path | None = None,
    engine_dir: Path | None = None,
    progress: GateProgress = no_progress,
) -> PrecisionOutcome:
    """Judge bf16 on this CPU and write the report among the bundle's engines.

    Raises `BundleError` for an int8 bundle, `SourceError` for images that cannot be used, and `EngineError` where this CPU does
    not compute bf16 natively, or one of both cannot be run.
    """
    if bundle.manifest.quantisation is not None:
        raise BundleError(f"bundle {bundle.path} computes in int8; leave out --precision to verify it.")
    seen = seen_by(profile, bundle) if profile is not None else None
    size = frame_size_for(images, bundle, um_per_px or (seen.um_per_px if seen is not None else None))
    with ExitStack() as held:

        def opened(precision: Precision) -> EngineExecutor:
            engine = OpenVinoEngine(bundle, *size, slots=1, precision=precision)
            held.callback(engine.close)
            return EngineExecutor(engine)

        judged = opened(BF16)  # where it cannot be had, before minutes of the reference
        found = read_images(images, bundle, *size, limit, um_per_px, seen)
        baseline = reference_baseline(bundle, found, progress)
        cells = find_cells(judged, found.frames, found.names, thresholds_for(bundle, found), progress(BF16, len(found.frames)))
        times = time_ratio(opened("f32"), judged, found.frames)
    report = baseline.report(bundle.manifest.files[MODEL], compare(baseline.cells, cells, judged.name, is_emulation=False))
    folder = keep_report(bundle, engine_dir, report, BF16)
    slower = f"which takes {times:.1f} times as long"
    what_then = f"with the precision at auto an edge computes this bundle in f32 here from now on, {slower}"
    problem = problem_of(f"bundle {bundle.path} in {BF16}", baseline, report, what_then)
    return PrecisionOutcome(bundle, folder, report, problem, times)
