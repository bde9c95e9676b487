"""The parity gate of an inference server: what it serves as a bundle against the bundle's graph, on the same images."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from builder.executors import CpuExecutor, EngineExecutor
from builder.gate_outcome import Baseline, problem_of, verdict_as_json
from builder.images import FieldImages, read_images
from builder.inspection import read_graph
from builder.parity import compare, find_cells
from builder.parity_gate import thresholds_for
from builder.profile_correction import seen_by
from builder.progress_bars import GateProgress, no_progress
from edge.camera.resample import plan_fit
from edge.camera.uri import open_source
from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import ParityReport
from edge.contracts.errors import EngineError
from edge.engine.remote import RemoteEngine, ServerWanted
from edge.engine.remote.served_gate import keep_gate

_PATIENT_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class ServedOutcome:
    """How a server did. `problem` is None when it has passed."""

    server: str
    folder: Path
    report: ParityReport
    problem: EngineError | None

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        return {
            "server": self.server,
            **verdict_as_json(self.folder, self.report, self.problem),
        }


def verify_server(
    bundle: Bundle,
    images: Path | None,
    address: str,
    server_ca: Path | None = None,
    *,
    limit: int,
    um_per_px: float | None = None,
    profile: Path | None = None,
    engine_dir: Path | None = None,
    progress: GateProgress = no_progress,
) -> ServedOutcome:
    """Verify a server on frames as a run of these images sends them; the report, and one field with its answer, lie among the
    bundle's engines.

    Raises `SourceError` for images that cannot be used, and `EngineError` when the server, or the reference, cannot be run.
    `server_ca`: see `ServerWanted`.
    """
    if bundle.manifest.quantisation is not None:
        raise EngineError(
            f"bundle {bundle.path} is an int8 one, whose graph is no reference; verify a server on its parent, bundle "
            f"{bundle.manifest.quantisation.parent_bundle_id[:12]}."
        )
    seen = seen_by(profile, bundle) if profile is not None else None
    size = frame_size_for(images, bundle, um_per_px or (seen.um_per_px if seen is not None else None))
    engine = RemoteEngine(bundle, *size, ServerWanted(address, _PATIENT_MS, ca=server_ca))
    try:
        frames = read_images(images, bundle, *size, limit, um_per_px, seen)
        baseline = reference_baseline(bundle, frames, progress)
        executor = EngineExecutor(engine)
        advance = progress(address, len(frames.frames))
        cells = find_cells(executor, frames.frames, frames.names, thresholds_for(bundle, frames), advance)
        result = compare(baseline.cells, cells, executor.name, is_emulation=False)
        report = baseline.report(engine.identity.sha256(), result)
        fullest = max(range(len(baseline.cells)), key=lambda at: len(baseline.cells[at]))
        folder = keep_gate(engine, bundle, engine_dir, report, frames.frames[fullest])
    finally:
        engine.close()
    what_then = "give it another precision, or compute at the edge"
    problem = problem_of(f"what inference server {address} serves", baseline, report, what_then)
    return ServedOutcome(address, folder, report, problem)


def frame_size_for(images: Path | None, bundle: Bundle, um_per_px: float | None) -> tuple[int, int]:
    """Width and height, in pixels, of the frames that these images become."""
    asked = bundle.manifest
    field = (asked.field_width_px, asked.field_height_px)
    if images is None or um_per_px is None:  # drawn, or refused where they are read
        return field
    with closing(open_source(f"folder:{images}", um_per_px)) as source:
        info = source.info
    plan = plan_fit(info.width_px, info.height_px, info.um_per_px, asked.um_per_px, *field)
    return plan.engine_width_px, plan.engine_height_px


def reference_baseline(bundle: Bundle, frames: FieldImages, progress: GateProgress) -> Baseline:
    """The reference alone: how FP16 rounds says nothing about a server, whose precision is its own, nor about int8.
    Its place in the report is taken by the reference held against itself."""
    reference = CpuExecutor(read_graph(bundle.model_path), is_emulation=False)
    thresholds = thresholds_for(bundle, frames)
    cells = find_cells(reference, frames.frames, frames.names, thresholds, progress("reference", len(frames.frames)))
    itself = compare(cells, cells, f"{reference.name}, against itself", is_emulation=True)
    return Baseline(bundle, frames, reference.name, cells, itself)
