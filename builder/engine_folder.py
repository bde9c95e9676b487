"""An engine's directory: written whole or not at all, and found again when an equal request comes."""

import logging
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from edge.contracts.engine_files import (
    ENGINE_MANIFEST,
    PLAN,
    BuildRequest,
    EngineFiles,
    EngineManifest,
    load_engine_files,
)
from edge.contracts.errors import EngineError

TIMING_CACHE = ".timing-{runtime}-{version}-{gpu}.cache"
_UNFINISHED = ".building-"
_log = logging.getLogger(__name__)


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


def write_engine(engines: Path, key: str, make: Callable[[], tuple[bytes, EngineManifest]]) -> EngineFiles:
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
