"""An engine built for this machine's GPU by each runtime that is installed: `make gpu-test`, never `make test`."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from support.engine_checks import Rig
from support.gpu_engines import build_here, usable_runtimes

from leukostream.builder.cpu_executor import CpuExecutor
from leukostream.builder.images import FieldImages, read_images
from leukostream.builder.inspection import read_graph
from leukostream.builder.parity import find_cells
from leukostream.edge.contracts.bundle import Bundle, load_bundle
from leukostream.edge.contracts.engine import GpuRuntime
from leukostream.edge.engine.choice import SLOTS, info_of
from leukostream.edge.engine.gpu.cuda import CudaDevice
from leukostream.edge.engine.pipelined import PipelinedEngine
from leukostream.edge.engine.trt.network import TrtNetwork
from leukostream.edge.settings import SHIPPED_BUNDLE

WIDTH_PX, HEIGHT_PX, MAX_BATCH = 732, 574, 8
_BCCD_UM_PER_PX = 0.073


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


@pytest.fixture(scope="session")
def images(bundle: Bundle) -> FieldImages:
    """Real fields where LEUKO_DATA names them, drawn ones elsewhere."""
    named = os.environ.get("LEUKO_DATA")
    folder = Path(named) / "bccd/JPEGImages" if named else None
    return read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, 220, _BCCD_UM_PER_PX if named else None)


@pytest.fixture(scope="session", params=get_args(GpuRuntime))
def rig(
    request: pytest.FixtureRequest, bundle: Bundle, images: FieldImages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    runtime: GpuRuntime = request.param
    usable = usable_runtimes()
    if isinstance(usable, str):
        pytest.fail(usable)
    if runtime not in usable:
        pytest.skip(f"{runtime} is not installed on this machine; it has {', '.join(usable)}")
    files = build_here(bundle, tmp_path_factory.mktemp("engines"), runtime, WIDTH_PX, HEIGHT_PX, MAX_BATCH)
    device = CudaDevice()
    network = TrtNetwork(files)
    engine = PipelinedEngine(device, network, replace(info_of(files, network.version, device.name), slots=SLOTS))
    reference = CpuExecutor(read_graph(bundle.model_path), is_emulation=False)
    cells = find_cells(reference, images.frames, images.names, bundle.manifest.thresholds)
    yield Rig(engine, device, bundle, images, cells)
    engine.close()
