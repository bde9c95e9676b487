"""The checks of `make gpu-test`, small and on the EMULATED device with the shipped model: they pass, and they can fail.

Nothing here says anything of a GPU.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from support.engine_checks import Rig, addresses, first_after_idle_ms, memory_growth, parity_per_batch, random_batches
from support.host_device import Answer, HostDevice, HostNetwork

from builder.executors import CpuExecutor
from builder.images import FieldImages, read_images
from builder.inspection import read_graph
from builder.parity import find_cells
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.detections import Cells, Image, RawDetections
from edge.engine.base import EngineInfo
from edge.engine.pipelined import PipelinedEngine
from edge.settings import SHIPPED_BUNDLE

WIDTH_PX, HEIGHT_PX = 732, 574
N_FRAMES = 6


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def executor(bundle: Bundle) -> CpuExecutor:
    return CpuExecutor(read_graph(bundle.model_path), is_emulation=False)


@pytest.fixture(scope="module")
def images(bundle: Bundle) -> FieldImages:
    return read_images(None, bundle, WIDTH_PX, HEIGHT_PX, N_FRAMES)


@pytest.fixture(scope="module")
def known(executor: CpuExecutor, images: FieldImages) -> dict[bytes, RawDetections]:
    """Each frame is computed once: the checks run them again and again."""
    return {frame.tobytes(): executor.run(frame[None]) for frame in images.frames}


@pytest.fixture(scope="module")
def reference(bundle: Bundle, executor: CpuExecutor, images: FieldImages) -> list[Cells]:
    return find_cells(executor, images.frames, images.names, bundle.manifest.thresholds)


@pytest.fixture
def device() -> Iterator[HostDevice]:
    device = HostDevice()
    yield device
    device.lose()
    for stream in device.streams:
        stream.end()


def rig_of(device: HostDevice, answer: Answer, bundle: Bundle, images: FieldImages, reference: list[Cells]) -> Rig:
    network = HostNetwork(device, (HEIGHT_PX, WIDTH_PX), answer)
    info = EngineInfo("emulation", "0", device.name, "f32", WIDTH_PX, HEIGHT_PX, 3, 2, bundle.manifest.top_k)
    return Rig(PipelinedEngine(device, network, info), device.free_bytes, bundle, images, reference)


def looked_up(known: dict[bytes, RawDetections], top_k: int) -> Answer:
    nothing = RawDetections(
        np.zeros((1, top_k, 4), np.float32), np.zeros((1, top_k), np.float32), np.zeros((1, top_k), np.int32)
    )

    def answer(frames: Image) -> RawDetections:
        found = [known.get(frame.tobytes(), nothing) for frame in frames]
        parts = zip(*((raw.boxes, raw.scores, raw.labels) for raw in found), strict=True)
        return RawDetections(*(np.concatenate(part) for part in parts))

    return answer


@pytest.fixture
def rig(
    device: HostDevice, bundle: Bundle, images: FieldImages, reference: list[Cells], known: dict[bytes, RawDetections]
) -> Rig:
    return rig_of(device, looked_up(known, bundle.manifest.top_k), bundle, images, reference)


def test_an_engine_that_keeps_everything_passes(rig: Rig) -> None:
    before = addresses(rig)
    for n, result in parity_per_batch(rig).items():
        assert (result.missed, result.added, result.label_flips) == (0, 0, 0), n
        assert result.cells == len(np.concatenate([cells.presence for cells in rig.reference])) > 5
    tally = random_batches(rig, 40)
    assert (tally.batches, tally.lost, tally.phantom) == (40, 0, 0)
    assert tally.cells > 40
    assert addresses(rig) == before
    assert memory_growth(rig, 20) == 0
    assert first_after_idle_ms(rig, 0.0, keep_warm=True) > 0
    assert rig.engine.inference_only_ms(2, 3) > 0


def test_results_of_another_frame_are_found(
    device: HostDevice, bundle: Bundle, images: FieldImages, reference: list[Cells], known: dict[bytes, RawDetections]
) -> None:
    right = looked_up(known, bundle.manifest.top_k)

    def swapped(frames: Image) -> RawDetections:
        """In a batch of several the rows come back in another order."""
        raw = right(frames)
        return RawDetections(raw.boxes[::-1], raw.scores[::-1], raw.labels[::-1])

    rig = rig_of(device, swapped, bundle, images, reference)
    results = parity_per_batch(rig)
    assert results[1].missed == 0 < results[2].missed
    tally = random_batches(rig, 40)
    assert tally.lost > 0 and tally.phantom > 0


def test_memory_that_is_not_given_back_is_found(rig: Rig, device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = rig.engine.submit

    def leaking(index: int, n: int) -> None:
        device.allocate(1000)
        submit(index, n)

    monkeypatch.setattr(rig.engine, "submit", leaking)
    assert memory_growth(rig, 20) == 20 * 1000


def test_time_of_batches_in_flight_is_not_counted(rig: Rig) -> None:
    rig.engine.submit(0, 1)
    with pytest.raises(ValueError, match=r"slots \[0\] are in flight"):
        rig.engine.inference_only_ms(1, 1)
    rig.engine.collect(0)
