"""From a bundle to its int8 child and that one's verdict: reference is the parent's FP32 graph, the child runs on this CPU."""

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import edge
from builder.executors import EngineExecutor
from builder.gate_outcome import problem_of, verdict_as_json
from builder.graph_contract import check_graph
from builder.images import FieldImages, read_images
from builder.inspection import read_graph
from builder.int8_yardsticks import Yardsticks, measure_yardsticks
from builder.parity import compare, find_cells
from builder.parity_gate import thresholds_for
from builder.profile_correction import seen_by
from builder.progress_bars import GateProgress, no_progress
from builder.quantised_child import ChildWriter
from builder.quantised_graph import quantise
from builder.quantised_search import LayerShare, keep_the_count, most_runs
from builder.served_gate_run import frame_size_for, reference_baseline
from edge.contracts.bundle import MANIFEST, MODEL, Bundle, load_bundle, require_new
from edge.contracts.detections import Cells
from edge.contracts.engine_files import ParityReport
from edge.contracts.errors import BundleError, ConfigError, EngineError, LeukoError
from edge.engine.openvino import OpenVinoEngine
from edge.engine.quantised_gate import keep_report

CALIBRATION_FRAMES = 100
"""So many set the scales, at most a third of what is given; the others judge."""

SEARCH_FRAMES = 50
"""So many of those show which convolutions have to go back to floating point: each of them is rounded alone for it."""


@dataclass(frozen=True, slots=True)
class QuantisedOutcome:
    """An int8 bundle and its verdict on this CPU. `problem` is None when it has passed.

    `shares` says which convolutions went back to floating point for it; empty where none had to, and where none was looked for.
    """

    bundle: Bundle
    folder: Path
    report: ParityReport
    problem: EngineError | None
    shares: tuple[LayerShare, ...] = ()
    yardsticks: Yardsticks | None = None

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        about = self.bundle.manifest.quantisation
        return {
            "bundle": str(self.bundle.path),
            "bundle_id": self.bundle.bundle_id,
            "quantisation": about.model_dump(mode="json") if about else None,
            "layers": [asdict(each) for each in self.shares],
            "beside": self.yardsticks.as_json() if self.yardsticks is not None else None,
            **verdict_as_json(self.folder, self.report, self.problem),
        }


def quantise_bundle(
    parent: Bundle,
    images: Path,
    out: Path,
    *,
    limit: int,
    um_per_px: float | None = None,
    profile: Path | None = None,
    keep_float: tuple[str, ...] = (),
    engine_dir: Path | None = None,
    progress: GateProgress = no_progress,
) -> QuantisedOutcome:
    """Write the int8 child of `parent` into `out`, new, and judge it on those images that did not set its scales.

    Raises `BundleError` for a bundle that is int8 already or an `out` that holds something, `SourceError` for images that
    cannot be used, `ConfigError` for too few, and `EngineError` when the graph cannot be quantised or run.
    """
    if parent.manifest.quantisation is not None:
        raise BundleError(f"bundle {parent.path} is an int8 one already; give its parent, whose graph is in FP32.")
    require_new(out)
    found = _images(parent, images, limit, um_per_px, profile)
    sets_scales = _calibrating(found)
    model = read_graph(parent.model_path)
    if problems := check_graph(model, parent.manifest.top_k):
        raise BundleError(
            f"the graph of bundle {parent.path} breaks the contract: {'; '.join(problems)}; export it again with "
            "`leuko-train export`."
        )
    chosen = found.frames[sets_scales]
    made = quantise(model, chosen, keep_float, progress("ranges", len(chosen)))
    writer, shown = ChildWriter(parent, chosen, found.origin), _some(_part(found, sets_scales))
    with TemporaryDirectory(prefix="leuko-int8-") as place:
        numbers = itertools.count()
        search = keep_the_count(
            made,
            reference_baseline(parent, shown, progress).cells,
            lambda graph: _run(writer.write(Path(place) / str(next(numbers)), graph), shown)[1],
            progress("layers", most_runs(made)),
        )
    child = writer.write(out, search.graph, n_back=len(search.taken_back))
    rest = replace(_part(found, ~sets_scales), origin=f"{found.origin} Without the {len(chosen)} frames that set the scales.")
    return replace(_judged(child, parent, rest, engine_dir, progress), shares=search.shares)


def verify_quantised(
    child: Bundle,
    parent: Bundle,
    images: Path | None,
    *,
    limit: int,
    um_per_px: float | None = None,
    profile: Path | None = None,
    engine_dir: Path | None = None,
    progress: GateProgress = no_progress,
) -> QuantisedOutcome:
    """Judge an int8 bundle on this CPU. Raises as `read_images`, and `EngineError` when one of both cannot be run."""
    return _judged(child, parent, _images(child, images, limit, um_per_px, profile), engine_dir, progress)


def find_parent(child: Bundle, given: Path | None) -> Bundle:
    """The bundle with the graph that an int8 one came from: `given`, one beside it, or a shipped one. Raises `BundleError`."""
    about = child.manifest.quantisation
    if about is None:
        raise BundleError(f"bundle {child.path} is no int8 one, so that it has no parent to be held against.")
    shipped = Path(edge.__file__).parent / "bundles"
    places = [given] if given is not None else [p for f in (child.path.resolve().parent, shipped) for p in sorted(f.iterdir())]
    for place in places:
        if not (place / MANIFEST).is_file():
            continue
        try:
            found = load_bundle(place)
        except LeukoError:
            continue
        if found.manifest.files[MODEL] == about.parent_onnx_sha256:
            return found
    wanted = f"bundle {about.parent_bundle_id[:12]}, from which {child.path} was quantised"
    if given is not None:
        raise BundleError(f"{given} is not {wanted}; give that one with --parent.")
    raise BundleError(f"{wanted}, does not lie beside it; give its directory with --parent.")


def _images(bundle: Bundle, images: Path | None, limit: int, um_per_px: float | None, profile: Path | None) -> FieldImages:
    seen = seen_by(profile, bundle) if profile is not None else None
    size = frame_size_for(images, bundle, um_per_px or (seen.um_per_px if seen is not None else None))
    return read_images(images, bundle, *size, limit, um_per_px, seen)


def _calibrating(found: FieldImages) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which frames set the scales: those of whole images, evenly spread, so that no tile of a judging image is among them."""
    tiles = len(found.frames) // found.images
    step = max(3, -(-found.images * tiles // CALIBRATION_FRAMES))
    if found.images < step:
        raise ConfigError(f"{found.images} images are too few to set scales by some and judge by others; give at least 3.")
    which = np.zeros(len(found.frames), np.bool_)
    for image in range(0, found.images, step):
        which[image * tiles : (image + 1) * tiles] = True
    return which


def _part(found: FieldImages, which: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> FieldImages:
    """Some of the frames, which are those of whole images."""
    names = tuple(name for name, taken in zip(found.names, which, strict=True) if taken)
    images = max(1, found.images * len(names) // len(which))
    return replace(found, frames=found.frames[which], names=names, images=images)


def _some(found: FieldImages) -> FieldImages:
    """`SEARCH_FRAMES` of the frames at most, evenly spread."""
    which = np.zeros(len(found.frames), np.bool_)
    which[:: -(-len(which) // SEARCH_FRAMES)] = True
    return _part(found, which)


def _run(bundle: Bundle, images: FieldImages, advance: Callable[[int], object] = lambda _: None) -> tuple[str, list[Cells]]:
    """The executor's name, and the cells it finds."""
    height_px, width_px = images.frames.shape[1:3]
    engine = OpenVinoEngine(bundle, width_px, height_px, slots=1)
    try:
        executor = EngineExecutor(engine)
        return executor.name, find_cells(executor, images.frames, images.names, thresholds_for(bundle, images), advance)
    finally:
        engine.close()


def _judged(
    child: Bundle, parent: Bundle, images: FieldImages, engine_dir: Path | None, progress: GateProgress
) -> QuantisedOutcome:
    baseline = replace(reference_baseline(parent, images, progress), bundle=child)
    name, cells = _run(child, images, progress("int8", len(images.frames)))
    result = compare(baseline.cells, cells, name, is_emulation=False)
    report = baseline.report(child.manifest.files[MODEL], result)
    folder = keep_report(child, engine_dir, report)
    yardsticks = measure_yardsticks(child, parent, images, baseline.cells, progress)
    what_then = "keep layers in floating point with --float, or run its parent in bf16 or f32"
    problem = problem_of(f"int8 bundle {child.path}", baseline, report, what_then)
    return QuantisedOutcome(child, folder, report, problem, yardsticks=yardsticks)
