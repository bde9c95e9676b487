"""From a bundle to an engine on disk: request, ranges, plan, manifest.

An engine's directory is written whole or not at all, and found again when an equal request comes.
"""

import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import onnx

from builder.build_process import build_apart
from builder.graph_contract import check_graph
from builder.half_graph import HalfGraph, to_half
from builder.images import FieldImages
from builder.inspection import read_graph
from builder.ranges import measure_ranges
from builder.trt_build import BuildWatch, known_targets, load_builder, optimal_batch
from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.engine_files import (
    ENGINE_MANIFEST,
    PLAN,
    BuildRequest,
    EngineFiles,
    EngineManifest,
    GpuRuntime,
    load_engine_files,
)
from edge.contracts.errors import BundleError, ConfigError, EngineError
from edge.contracts.version import VERSION
from edge.engine.gpu.nvidia_driver import Gpu, find_gpu
from edge.engine.trt.runtime import is_installed

TIMING_CACHE = ".timing-{runtime}-{version}-{gpu}.cache"
_UNFINISHED = ".building-"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a build may be told."""

    runtime: GpuRuntime
    frame_width_px: int
    frame_height_px: int
    max_batch: int = 8
    workspace_mib: int = 2048
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A build that can begin: its graphs, its request, and the GPU of this machine where it is built for that."""

    bundle: Bundle
    model: onnx.ModelProto
    half: HalfGraph
    request: BuildRequest
    gpu: Gpu | None


def installed_runtime() -> GpuRuntime:
    """TensorRT where it is installed; TensorRT for RTX otherwise, whose loading then says what is missing."""
    return "tensorrt" if is_installed("tensorrt") else "tensorrt_rtx"


def prepare(bundle: Bundle, options: BuildOptions) -> Prepared:
    """Derive the FP16 graph and settle what is to be built, in seconds and without a GPU.

    Raises `BundleError` when the bundle's graph breaks the contract, `ConfigError` for targets the runtime does not know, and
    `EngineError` when runtime or GPU are missing, or a weight does not fit FP16.
    """
    if bundle.manifest.quantisation is not None:
        raise EngineError(
            f"bundle {bundle.path} is an int8 one for CPUs; a GPU's engine is built from its parent, bundle "
            f"{bundle.manifest.quantisation.parent_bundle_id[:12]}: give that one."
        )
    model = read_graph(bundle.model_path)
    if problems := check_graph(model, bundle.manifest.top_k):
        raise BundleError(
            f"the graph of bundle {bundle.path} breaks the contract: {'; '.join(problems)}; export it again with "
            "`leuko-train export`."
        )
    version = load_builder(options.runtime).__version__
    targets = _checked_targets(options)
    gpu = None if targets else _gpu_to_build_for(options.runtime)
    half = to_half(model)
    request = BuildRequest(
        bundle_id=bundle.bundle_id,
        onnx_sha256=bundle.manifest.files[MODEL],
        half_graph_sha256=half.sha256,
        runtime=options.runtime,
        runtime_version=version,
        gpu=gpu.identity if gpu else None,
        targets=targets,
        frame_width_px=options.frame_width_px,
        frame_height_px=options.frame_height_px,
        max_batch=options.max_batch,
        workspace_mib=options.workspace_mib,
    )
    return Prepared(bundle, model, half, request, gpu)


def build_engine(prepared: Prepared, engines: Path, images: Callable[[], FieldImages], watch: BuildWatch) -> EngineFiles:
    """Build into `engines/<key>`; an engine of this key that is whole is given back as it is.

    `images` are read only when something is built: on them the FP16 layers' ranges are measured. Raises `EngineError`.
    """
    request = prepared.request
    if (built := find_built(engines, request.key())) is not None:
        return built
    return _write_engine(engines, request.key(), lambda: _make(prepared, engines, images(), watch))


def find_built(engines: Path, key: str) -> EngineFiles | None:
    """The engine of this key whose plan has the hash that its manifest names; None when there is none, or a damaged one."""
    folder = engines / key
    if not (folder / ENGINE_MANIFEST).is_file():
        return None
    try:
        files = load_engine_files(folder)
        files.read_plan()
    except EngineError:
        return None
    return files


def _make(prepared: Prepared, engines: Path, images: FieldImages, watch: BuildWatch) -> tuple[bytes, EngineManifest]:
    request, bundle, gpu = prepared.request, prepared.bundle, prepared.gpu
    watch.started("Measuring the ranges of the FP16 layers", None, 1)
    ranges = measure_ranges(
        prepared.model, prepared.half, images.frames, images_are_synthetic=images.are_synthetic, names=images.names
    )
    watch.finished("Measuring the ranges of the FP16 layers")
    begun_s = time.monotonic()
    cache = read_timing_cache(engines, request)
    built = build_apart(prepared.half.content, request, watch, cache)
    build_s = time.monotonic() - begun_s
    keep_timing_cache(engines, request, built.timing_cache)
    return built.plan, EngineManifest(
        key=request.key(),
        request=request,
        bundle_name=bundle.manifest.name,
        top_k=bundle.manifest.top_k,
        batch_profile=(1, optimal_batch(request.max_batch), request.max_batch),
        cuda_version=gpu.cuda_version if gpu else None,
        driver_version=gpu.driver_version if gpu else None,
        layer_precisions=built.layer_precisions,
        convolutions=built.convolutions,
        convolutions_half=built.convolutions_half,
        ranges=ranges,
        reproduced=built.reproduced,
        build_s=build_s,
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        built_on=platform.node(),
        leukostream_version=VERSION,
        plan_bytes=len(built.plan),
        plan_sha256=sha256(built.plan).hexdigest(),
    )


def _checked_targets(options: BuildOptions) -> tuple[str, ...]:
    """Each once, in ascending order, so that equal requests are equal."""
    if not options.targets:
        return ()
    known = known_targets(options.runtime)
    asked = {target.upper() for target in options.targets}
    if not known:
        raise ConfigError(
            f"{options.runtime} builds for the GPU of this machine only; leave --target out, or use --runtime tensorrt_rtx."
        )
    if unknown := sorted(asked - set(known)):
        raise ConfigError(f"--target {unknown[0]} is not one that this version builds for; it knows {', '.join(known)}.")
    return tuple(sorted(asked, key=lambda target: int(target.removeprefix("SM"))))


def _gpu_to_build_for(runtime: GpuRuntime) -> Gpu:
    try:
        return find_gpu()
    except EngineError as problem:
        if runtime == "tensorrt":
            raise EngineError(f"TensorRT builds an engine on the GPU that will run it: {problem}") from problem
        raise EngineError(
            f"there is no GPU here to build for; name those of the scanners, for example --target SM86 (here: {problem})"
        ) from problem


def _write_engine(engines: Path, key: str, make: Callable[[], tuple[bytes, EngineManifest]]) -> EngineFiles:
    """Make plan and manifest and put them into `engines/<key>`; whatever ends this earlier leaves nothing under that name.

    What stood there before, damaged, is replaced. Raises `EngineError` when the directory cannot be written.
    """
    try:
        # Before the build, which may take minutes: is there a place for what it gives?
        engines.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(engines)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{platform.node()}-{os.getpid()}-", dir=engines))
        try:
            unfinished.chmod(0o755)  # the edge may run as another user than the builder
            plan, manifest = make()
            _write(unfinished / PLAN, plan)
            _write(unfinished / ENGINE_MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
            if find_built(engines, key) is None:  # else another build of it has ended meanwhile, and may be in use already
                _put_in_place(unfinished, engines / key)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as problem:
        raise EngineError(
            f"the engine cannot be written to {engines} ({problem.strerror or problem}); give another place with --engine-dir."
        ) from problem
    return load_engine_files(engines / key)


def _put_in_place(unfinished: Path, target: Path) -> None:
    if target.exists():
        damaged = unfinished.with_name(f"{unfinished.name}-old")
        target.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    unfinished.rename(target)


def read_timing_cache(engines: Path, request: BuildRequest) -> bytes:
    """Times of earlier builds by this runtime on this GPU, empty when there are none."""
    path = engines / _cache_name(request)
    return path.read_bytes() if path.is_file() else b""


def keep_timing_cache(engines: Path, request: BuildRequest, content: bytes) -> None:
    """Keep times for the next build. An old file is replaced in one step; where that fails the engine is worth more."""
    if not content:
        return
    path = engines / _cache_name(request)
    new = path.with_suffix(f".{os.getpid()}")
    try:
        _write(new, content)
        new.replace(path)
    except OSError as problem:
        _log.warning("the times of this build cannot be kept in %s (%s); the next build measures them again", path, problem)
        new.unlink(missing_ok=True)


def _cache_name(request: BuildRequest) -> str:
    gpu = f"{request.gpu.target}-{request.gpu.sm_count}" if request.gpu else "any"
    return TIMING_CACHE.format(runtime=request.runtime, version=request.runtime_version, gpu=gpu.lower())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _remove_leftovers(engines: Path) -> None:
    """Directories of this machine's builds that were killed; one whose process still lives is left alone."""
    for folder in engines.glob(f"{_UNFINISHED}{platform.node()}-*"):
        pid = folder.name.removeprefix(f"{_UNFINISHED}{platform.node()}-").split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
