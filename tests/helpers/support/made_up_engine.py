"""Engine directories and machines that are made up: their plans run nowhere, but what is decided about them is real."""

import hashlib
from pathlib import Path
from typing import Any

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import (
    ENGINE_MANIFEST,
    PARITY,
    PLAN,
    BuildRequest,
    EngineFiles,
    EngineManifest,
    GpuIdentity,
    ParityReport,
    ParityResult,
    RangeReport,
    load_engine_files,
)
from edge.engine.gpu.nvidia_driver import Gpu
from edge.engine.machine import Found, Machine

A4000 = GpuIdentity(name="RTX A4000", compute_capability="8.6", sm_count=48)
ORIN = GpuIdentity(name="Orin", compute_capability="8.7", sm_count=16)
VERSION = "10.13.3.9"
RTX_VERSION = "1.7.1.116"


def machine(gpu: GpuIdentity | None = A4000, **changed: Found) -> Machine:
    """A machine with everything on it; `pycuda`, `tensorrt` and `tensorrt_rtx` may be given otherwise."""
    known = {"pycuda": Found("2026.1"), "tensorrt": Found(VERSION), "tensorrt_rtx": Found(RTX_VERSION)} | changed
    return Machine(
        gpu=Gpu(gpu, "13.0", "580.10", 16 * 2**30) if gpu else None,
        missing_gpu="" if gpu else "this machine has no NVIDIA driver.",
        pycuda=known["pycuda"],
        runtimes={"tensorrt": known["tensorrt"], "tensorrt_rtx": known["tensorrt_rtx"]},
    )


def request(bundle: Bundle, **changed: Any) -> BuildRequest:  # noqa: ANN401 - whatever a request has
    """For frames of the bundle's size in batches up to 8, by TensorRT on `A4000`."""
    known = {
        "bundle_id": bundle.bundle_id,
        "onnx_sha256": bundle.manifest.files["model.onnx"],
        "half_graph_sha256": "b" * 64,
        "runtime": "tensorrt",
        "runtime_version": VERSION,
        "gpu": A4000,
        "frame_width_px": bundle.manifest.field_width_px,
        "frame_height_px": bundle.manifest.field_height_px,
        "max_batch": 8,
        "workspace_mib": 2048,
    }
    return BuildRequest.model_validate(known | changed)


def write_engine(bundle: Bundle, engines: Path, gate: str = "passed", plan: bytes = b"made up", **changed: Any) -> EngineFiles:  # noqa: ANN401
    """`gate` is passed, failed, none, emulated (only the emulation ran), other (passed by another plan), elsewhere (on another
    GPU than `A4000`) or drawn (on drawn fields)."""
    wanted = request(bundle, **changed)
    folder = engines / wanted.key()
    folder.mkdir(parents=True)
    manifest = EngineManifest(
        key=wanted.key(),
        request=wanted,
        bundle_name=bundle.manifest.name,
        top_k=bundle.manifest.top_k,
        batch_profile=(1, max(1, wanted.max_batch // 2), wanted.max_batch),
        layer_precisions={"conv": "HALF", "decode": "FLOAT"},
        convolutions=1,
        convolutions_half=1,
        ranges=RangeReport(images=1, images_are_synthetic=True, executor="none", largest_activation=1.0, at_layer="conv"),
        reproduced=False,
        build_s=1.0,
        built_at="2030-01-02T03:04:05+00:00",
        built_on="nowhere",
        leukostream_version="0",
        plan_bytes=len(plan),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
    )
    (folder / PLAN).write_bytes(plan)
    (folder / ENGINE_MANIFEST).write_text(manifest.model_dump_json())
    if gate != "none":
        sha256 = "c" * 64 if gate == "other" else manifest.plan_sha256
        (folder / PARITY).write_text(report(bundle, sha256, gate).model_dump_json())
    return load_engine_files(folder)


def report(bundle: Bundle, plan_sha256: str, gate: str) -> ParityReport:
    """A parity report that passed, failed, or was made without the engine."""
    fine = ParityResult(
        executor="made up",
        is_emulation=True,
        cells=200,
        matched=200,
        missed=0,
        added=0,
        label_flips=0,
        overflows=0,
        overflow_flips=0,
        max_score_difference=0.0,
        p99_score_difference=0.0,
        min_iou=1.0,
        median_iou=1.0,
        mean_iou=1.0,
        counts={},
        failures=(),
    )
    fine = fine.model_copy(update={"undecided": "only 5 cells" if gate == "undecided" else ""})
    ran = fine.model_copy(update={"is_emulation": False, "failures": ("boxes differ",) if gate == "failed" else ()})
    return ParityReport(
        bundle_id=bundle.bundle_id,
        plan_sha256=plan_sha256,
        images=200,
        frames=200,
        images_are_synthetic=gate == "drawn",
        gpu=ORIN if gate == "elsewhere" else A4000,
        reference_overflows=0,
        images_sha256="d" * 64,
        images_from="nowhere",
        reference_executor="made up",
        reference_cells=200,
        reference_counts={},
        limits={},
        emulation=fine,
        engine=None if gate == "emulated" else ran,
        engine_not_run="no GPU" if gate == "emulated" else "",
        made_at="2030-01-02T03:04:05+00:00",
        leukostream_version="0",
    )
