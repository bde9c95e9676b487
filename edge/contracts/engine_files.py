"""An engine: a directory with `engine.json`, the plan that a runtime executes, and the report of its parity gate.

It is compiled from one bundle for one GPU (or for named GPU generations), one frame size and batches up to a limit. It lies in
`engines/<key>/` beside the bundle, which never changes for it, or where `edge/engine/engine_places.py` says. The plan is
machine code: its manifest is compared with bundle, GPU and runtime before any runtime touches it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from edge.contracts.base import Count, Sha256, Strict, parse_json
from edge.contracts.bundle import Pixels
from edge.contracts.errors import EngineError

ENGINE_MANIFEST = "engine.json"
PLAN = "engine.plan"
PARITY = "parity.json"
ENGINES = "engines"

GpuRuntime = Literal["tensorrt", "tensorrt_rtx"]
Gate = Literal["passed", "failed", "undecided", "drawn", "elsewhere", "none"]
"""What the parity gate said of an engine: it agrees; it differs; there were too few cells to say; it agrees, but on drawn
fields only; it agreed on another GPU; nothing, or of another plan. Only the first lets a run start."""

RUNTIME_NAMES: dict[str, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT for RTX"}


class GpuIdentity(Strict):
    """What a plan depends on: another of these needs another engine."""

    name: str
    compute_capability: str = Field(pattern=r"^\d+\.\d+$")
    sm_count: int = Field(ge=1, description="streaming multiprocessors")

    @property
    def target(self) -> str:
        """The generation as TensorRT for RTX names it: 8.6 is SM86."""
        return f"SM{self.compute_capability.replace('.', '')}"


class BuildRequest(Strict):
    """Everything that decides what comes out of a build, known before it. Two equal requests need one engine."""

    bundle_id: Sha256
    onnx_sha256: Sha256 = Field(description="of the bundle's model.onnx")
    half_graph_sha256: Sha256 = Field(description="of the FP16 graph that was made of it")
    runtime: GpuRuntime
    runtime_version: str = Field(pattern=r"^\d+(\.\d+)+")
    gpu: GpuIdentity | None = Field(description="the GPU it was built on; null when built ahead of time for `targets`")
    targets: tuple[str, ...] = Field((), description="GPU generations (TensorRT for RTX), as SM86")
    frame_width_px: Pixels
    frame_height_px: Pixels
    max_batch: int = Field(ge=1, le=256)
    workspace_mib: int = Field(ge=1)

    def key(self) -> str:
        """Name of the engine's directory: readable, and unique by the first 8 digits of the request's SHA-256."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        where = "+".join(self.targets) or (self.gpu.target if self.gpu else "any")
        size = f"{self.frame_width_px}x{self.frame_height_px}-b{self.max_batch}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.runtime}-{self.runtime_version}-{where.lower()}-{size}-{digest}"


class RangeReport(Strict):
    """How far the values of the FP16 layers were from FP16's largest (65504), measured on the FP32 graph."""

    images: int = Field(ge=1)
    images_are_synthetic: bool
    executor: str
    largest_activation: float = Field(ge=0, description="over all tensors that the graph keeps in FP16")
    at_layer: str


class EngineManifest(Strict):
    """The content of `engine.json`."""

    schema_version: Literal[1] = 1
    key: str
    request: BuildRequest
    bundle_name: str
    top_k: int = Field(ge=1)
    batch_profile: tuple[int, int, int] = Field(description="smallest, optimised for, largest")
    cuda_version: str | None = Field(None, description="newest CUDA the driver serves; null where there was no driver")
    driver_version: str | None = None
    layer_precisions: dict[str, str] = Field(description="layer name to the type of its first output, as in the parsed network")
    convolutions_half: Count
    convolutions: Count
    ranges: RangeReport
    reproduced: bool = Field(description="whether two builds of this request gave the same bytes; TensorRT's need not")
    build_s: float = Field(ge=0)
    built_at: str = Field(description="ISO 8601 UTC; a label")
    built_on: str = Field(description="host name")
    leukostream_version: str
    plan_bytes: Count
    plan_sha256: Sha256


class ParityResult(Strict):
    """One executor against the reference on the same images."""

    executor: str
    is_emulation: bool = Field(description="true when no GPU computed this: how FP16 rounds, not how an engine computes")
    cells: Count
    matched: Count = Field(description="reference cells with a counterpart at or above the IoU of the limits")
    missed: Count
    added: Count
    label_flips: Count = Field(description="matched cells that are counted under another label, `unidentified` included")
    overflows: Count = Field(description="frames with more candidates than the graph has rows")
    overflow_flips: Count = Field(description="frames of which only one of the two says so")
    max_score_difference: float
    p99_score_difference: float
    min_iou: float = Field(description="worst box agreement among the matched ones; 1 when there is none")
    median_iou: float
    mean_iou: float
    counts: dict[str, Count]
    failures: tuple[str, ...] = Field(description="one sentence part per limit that was not kept; empty when none was")
    undecided: str = Field("", description="why so few cells decide nothing, a sentence part; empty when there were enough")

    @property
    def passed(self) -> bool:
        return not self.failures and not self.undecided

    @property
    def verdict(self) -> Literal["passed", "failed", "not decided"]:
        """What differs beyond doubt has failed, however few cells there are."""
        return "failed" if self.failures else "not decided" if self.undecided else "passed"


@dataclass(frozen=True, slots=True)
class GateSight:
    """How fields were corrected on which an engine was compared, as a run's provenance says it of its own."""

    colour_transform: str | None = None
    illumination_sha256: str | None = None


class ParityReport(Strict):
    """The content of `parity.json`: whether an engine agrees with the reference graph."""

    schema_version: Literal[1] = 1
    bundle_id: Sha256
    plan_sha256: Sha256 | None = Field(None, description="the engine that was run; null when only the emulation was")
    gpu: GpuIdentity | None = Field(None, description="the GPU that ran it; null when only the emulation was")
    images: Count
    frames: Count = Field(description="what was run: more than images where those were cut into tiles")
    images_sha256: Sha256 = Field(description="over the images' decoded pixels, in order")
    images_from: str
    images_are_synthetic: bool
    profile_sha256: Sha256 | None = Field(None, description="of the profile by which they were corrected; null: as they came")
    colour_transform: str | None = Field(None, description="how colours were moved, as a run's provenance says it")
    illumination_sha256: Sha256 | None = Field(None, description="of the profile's light that was corrected")
    reference_executor: str
    reference_cells: Count
    reference_counts: dict[str, Count]
    reference_overflows: Count
    limits: dict[str, float]
    emulation: ParityResult
    engine: ParityResult | None = None
    engine_not_run: str = Field("", description="why, when there is no engine result")
    made_at: str
    leukostream_version: str

    @property
    def saw(self) -> GateSight:
        """How its images were corrected."""
        return GateSight(self.colour_transform, self.illumination_sha256)

    @property
    def agrees(self) -> bool:
        """An engine ran, never its emulation alone, and kept every limit."""
        return self.emulation.passed and self.engine is not None and self.engine.passed

    @property
    def passed(self) -> bool:
        """It agrees on photographed fields: drawn ones show nothing about those."""
        return self.agrees and not self.images_are_synthetic

    @property
    def undecided(self) -> bool:
        """An engine ran and nothing speaks against it, on too few cells to speak for it."""
        ran = self.engine is not None and not self.engine.failures and not self.emulation.failures
        return ran and not self.agrees


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """An engine's directory whose manifest was read; the plan's hash is checked when it is loaded.

    The hashes are those of the very bytes that were read, for whoever asks who signed them.
    """

    path: Path
    manifest: EngineManifest
    parity: ParityReport | None
    manifest_sha256: str
    parity_sha256: str | None = None

    @property
    def gate(self) -> Gate:
        """What the parity gate said of this very plan, on whatever GPU it ran."""
        return gate_of(self.parity, self.manifest.plan_sha256, self.manifest.request.bundle_id)

    def gate_on(self, gpu: GpuIdentity) -> Gate:
        """The same on one GPU: what a plan for several generations does on another says nothing about this one."""
        gate = self.gate
        return "elsewhere" if gate == "passed" and self.parity is not None and self.parity.gpu != gpu else gate

    def read_plan(self) -> bytes:
        """Raises `EngineError` when the plan is not the one that the manifest names."""
        plan = self.path / PLAN
        # Read once: what is hashed is what is loaded.
        content = plan.read_bytes() if plan.is_file() else None
        if content is None or hashlib.sha256(content).hexdigest() != self.manifest.plan_sha256:
            raise EngineError(
                f"engine {self.path} is damaged: {PLAN} is missing or does not have the SHA-256 that {ENGINE_MANIFEST} names; "
                "delete this directory and build it again with `leuko-build engine`."
            )
        return content


def gate_of(report: ParityReport | None, plan_sha256: str, bundle_id: str) -> Gate:
    """What a report says of one engine, by the hash of what computes and the bundle that it was made from."""
    if report is None or (report.plan_sha256, report.bundle_id) != (plan_sha256, bundle_id):
        return "none"
    if report.undecided:
        return "undecided"
    if not report.agrees:
        return "failed"
    return "passed" if report.passed else "drawn"


def engine_folders(engines: Path) -> list[Path]:
    """Every engine's directory in `engines`, in order of name. One whose name begins with a dot is still being built."""
    return sorted(manifest.parent for manifest in engines.glob(f"[!.]*/{ENGINE_MANIFEST}"))


def load_engine_files(folder: Path) -> EngineFiles:
    """Read an engine's manifest and report. Raises `EngineError` when they are missing or malformed."""
    file = folder / ENGINE_MANIFEST
    if not file.is_file():
        raise EngineError(f"{folder} is no engine: it has no {ENGINE_MANIFEST}; delete it and build again.")
    content = file.read_bytes()
    manifest = parse_json(EngineManifest, content, file, EngineError)
    report, parity, parity_sha256 = folder / PARITY, None, None
    if report.is_file():
        said = report.read_bytes()
        parity, parity_sha256 = parse_json(ParityReport, said, report, EngineError), hashlib.sha256(said).hexdigest()
    return EngineFiles(folder, manifest, parity, hashlib.sha256(content).hexdigest(), parity_sha256)
