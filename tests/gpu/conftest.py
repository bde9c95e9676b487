"""An engine built for this machine's GPU by each runtime that is installed: `make gpu-test`, never `make test`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from support.engine_checks import Rig
from support.gpu_engines import build_here, usable_runtimes

from builder.executors import CpuExecutor
from builder.images import FieldImages, read_images
from builder.inspection import read_graph
from builder.parity import find_cells
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.detections import Cells
from edge.contracts.engine_files import GpuRuntime
from edge.engine.choice import open_gpu_engine
from edge.engine.gpu.cuda import load_pycuda
from edge.settings import SHIPPED_BUNDLE

WIDTH_PX, HEIGHT_PX, MAX_BATCH = 732, 574, 8
_BCCD_UM_PER_PX = 0.073


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


@pytest.fixture(scope="session")
def images(bundle: Bundle) -> FieldImages:
    """Real fields where LEUKO_DATA names them, drawn ones elsewhere: the findings say which."""
    named = os.environ.get("LEUKO_DATA")
    folder = Path(named) / "bccd/JPEGImages" if named else None
    return read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, 220, _BCCD_UM_PER_PX if named else None)


@pytest.fixture(scope="session")
def reference(bundle: Bundle, images: FieldImages) -> list[Cells]:
    executor = CpuExecutor(read_graph(bundle.model_path), is_emulation=False)
    return find_cells(executor, images.frames, images.names, bundle.manifest.thresholds)


@pytest.fixture(scope="session")
def findings() -> Iterator[dict[str, dict[str, Any]]]:
    """What the checks found, by engine; written to the file that LEUKO_GPU_FINDINGS names."""
    found: dict[str, dict[str, Any]] = {}
    yield found
    _keep(found)


def _keep(found: dict[str, dict[str, Any]]) -> None:
    if named := os.environ.get("LEUKO_GPU_FINDINGS"):
        Path(named).parent.mkdir(parents=True, exist_ok=True)
        Path(named).write_text(json.dumps(found, indent=1))


@pytest.fixture(scope="session", params=get_args(GpuRuntime))
def rig(
    request: pytest.FixtureRequest,
    bundle: Bundle,
    images: FieldImages,
    reference: list[Cells],
    tmp_path_factory: pytest.TempPathFactory,
    findings: dict[str, dict[str, Any]],
) -> Iterator[Rig]:
    runtime: GpuRuntime = request.param
    usable = usable_runtimes()
    if isinstance(usable, str):
        pytest.fail(usable, pytrace=False)
    if runtime not in usable:
        pytest.skip(f"{runtime} is not installed on this machine; it has {', '.join(usable)}")
    files = build_here(bundle, tmp_path_factory.mktemp("engines"), runtime, WIDTH_PX, HEIGHT_PX, MAX_BATCH)
    engine = open_gpu_engine(files)
    findings[str(engine.info)] = {"images": images.origin}
    try:
        yield Rig(engine, lambda: int(load_pycuda().mem_get_info()[0]), bundle, images, reference)
    finally:
        engine.close()


@pytest.fixture
def found(rig: Rig, findings: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The findings of this engine, on disk after each check: an interruption loses none."""
    yield findings[str(rig.engine.info)]
    _keep(findings)
