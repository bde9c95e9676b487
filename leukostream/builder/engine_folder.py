"""An engine's directory: written whole or not at all, and found again when an equal request comes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from leukostream.edge.contracts.engine import ENGINE_MANIFEST, PLAN, EngineFiles, EngineManifest, load_engine_files
from leukostream.edge.contracts.errors import EngineError

TIMING_CACHE = ".timing-{runtime}-{version}.cache"
_UNFINISHED = ".building-"


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
    unfinished = engines / f"{_UNFINISHED}{os.getpid()}-{key}"
    try:
        # Before the build, which may take minutes: is there a place for what it gives?
        engines.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(engines)
        unfinished.mkdir()
        try:
            plan, manifest = make()
            _write(unfinished / PLAN, plan)
            _write(unfinished / ENGINE_MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
            if (engines / key).exists():
                shutil.rmtree(engines / key)
            unfinished.rename(engines / key)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as problem:
        raise EngineError(
            f"the engine cannot be written to {engines} ({problem.strerror or problem}); give another place with --engine-dir."
        ) from problem
    return load_engine_files(engines / key)


def read_timing_cache(engines: Path, runtime: str, version: str) -> bytes:
    """Times of earlier builds by this runtime, empty when there are none."""
    path = engines / TIMING_CACHE.format(runtime=runtime, version=version)
    return path.read_bytes() if path.is_file() else b""


def keep_timing_cache(engines: Path, runtime: str, version: str, content: bytes) -> None:
    """Keep times for the next build; an old file is replaced in one step."""
    if content:
        path = engines / TIMING_CACHE.format(runtime=runtime, version=version)
        new = path.with_suffix(f".{os.getpid()}")
        _write(new, content)
        new.replace(path)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _remove_leftovers(engines: Path) -> None:
    """Directories of builds that were killed; one whose process still lives is left alone."""
    for folder in engines.glob(f"{_UNFINISHED}*"):
        pid = folder.name.removeprefix(_UNFINISHED).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
