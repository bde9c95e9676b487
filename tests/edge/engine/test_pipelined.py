"""The engine of an accelerator on an EMULATED device: order, overlap, failures. It says nothing of a real GPU."""

import logging
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host_device import HostDevice, HostNetwork

from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError
from edge.engine.base import EngineInfo
from edge.engine.pipelined import KEEP_WARM_S, PipelinedEngine, batch_ladder

pytestmark = pytest.mark.timeout(30)
WIDTH_PX, HEIGHT_PX, TOP_K = 6, 4, 3


def answer(frames: Image) -> RawDetections:
    """Scores follow from each frame's first pixel, boxes from its second, labels from its third."""
    n = len(frames)
    first = frames[:, 0, :3, 0].astype(np.float32)
    scores = np.repeat(first[:, :1] / 255, TOP_K, axis=1)
    boxes = np.repeat(first[:, 1:2], TOP_K * 4, axis=1).reshape(n, TOP_K, 4)
    labels = np.repeat(first[:, 2:3] % 15, TOP_K, axis=1).astype(np.int32)
    return RawDetections(boxes, scores, labels)


def info(max_batch: int, slots: int) -> EngineInfo:
    return EngineInfo("emulation", "0", "EMULATED device on the CPU", "f32", WIDTH_PX, HEIGHT_PX, max_batch, slots, TOP_K)


def opened(device: HostDevice, max_batch: int = 4, slots: int = 3, **more: object) -> tuple[PipelinedEngine, HostNetwork]:
    network = HostNetwork(device, (HEIGHT_PX, WIDTH_PX), answer)
    return PipelinedEngine(device, network, info(max_batch, slots), **more), network  # type: ignore[arg-type]


@pytest.fixture
def device() -> Iterator[HostDevice]:
    device = HostDevice()
    yield device
    device.lose()  # whatever a test left in the emulated streams ends with it
    for stream in device.streams:
        stream.end()


def fill(engine: PipelinedEngine, slot: int, *values: int) -> None:
    for row, value in enumerate(values):
        engine.slot(slot)[row] = value


def values_of(raw: RawDetections) -> list[int]:
    assert raw.boxes[:, 0, 0].tolist() == [round(float(score) * 255) for score in raw.scores[:, 0]]
    return [int(value) for value in raw.boxes[:, 0, 0]]


@pytest.mark.parametrize(
    ("max_batch", "ladder"),
    [
        pytest.param(1, [1], id="one field at a time"),
        pytest.param(8, [1, 2, 4, 8], id="powers of two"),
        pytest.param(6, [1, 2, 4, 6], id="tiles of one field need an exact largest batch"),
        pytest.param(256, [1, 2, 4, 8, 16, 32, 64, 128, 256], id="the largest allowed"),
    ],
)
def test_batch_sizes_are_prepared_up_to_the_largest(max_batch: int, ladder: list[int]) -> None:
    assert batch_ladder(max_batch) == ladder


@pytest.mark.parametrize("refuse", [pytest.param(False, id="as graphs"), pytest.param(True, id="where capture is refused")])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_every_batch_size_returns_its_own_frames(
    device: HostDevice, caplog: pytest.LogCaptureFixture, n: int, refuse: bool
) -> None:
    device.refuse_capture = refuse
    with caplog.at_level(logging.WARNING):
        engine, network = opened(device)
    assert caplog.text.count("without a CUDA graph") == refuse
    assert engine.graphs == (0 if refuse else 3 * len(batch_ladder(4)))
    fill(engine, 1, 9, 9, 9, 9)
    engine.submit(1, 4)
    engine.collect(1)
    fill(engine, 1, *range(20, 20 + n))
    engine.submit(1, n)
    raw = engine.collect(1)
    assert raw.scores.shape == (n, TOP_K)
    assert values_of(raw) == list(range(20, 20 + n))
    assert len(network.scratches) == 1
    engine.close()
    assert device.closed and network.closed and all(graph.closed for graph in device.graphs)


def test_slots_stay_where_they_are(device: HostDevice) -> None:
    engine, _ = opened(device)
    addresses = [engine.slot(index).ctypes.data for index in range(3)]
    for round_ in range(20):
        slot = round_ % 3
        fill(engine, slot, round_)
        engine.submit(slot, 1)
        engine.collect(slot)
    assert [engine.slot(index).ctypes.data for index in range(3)] == addresses
    assert all(engine.slot(index).flags.c_contiguous for index in range(3))
    engine.close()


def test_an_output_is_not_read_before_its_event(device: HostDevice) -> None:
    engine, _ = opened(device, slots=2)
    fill(engine, 0, 7)
    engine.submit(0, 1)
    assert values_of(engine.collect(0)) == [7]
    let_go = device.hold("copy_out")
    fill(engine, 0, 8)
    engine.submit(0, 1)
    timer = threading.Timer(0.15, let_go)
    timer.start()
    assert values_of(engine.collect(0)) == [8], "the old result was read before the copy was done"
    timer.join()
    engine.close()


def test_what_was_collected_does_not_change_with_the_next_batch(device: HostDevice) -> None:
    engine, _ = opened(device)
    fill(engine, 0, 5)
    engine.submit(0, 1)
    first = engine.collect(0)
    fill(engine, 0, 6)
    engine.submit(0, 1)
    engine.collect(0)
    assert values_of(first) == [5]
    engine.close()


def _until(true: object, of: HostDevice, kind: str, n: int) -> None:
    deadline_s = time.monotonic() + 10
    while of.done.count(kind) < n:
        assert time.monotonic() < deadline_s, f"{n} x {kind} were expected; {of.done[-8:]} ({true})"
        time.sleep(0.001)


def test_the_next_frames_go_in_while_a_batch_is_computed(device: HostDevice) -> None:
    engine, _ = opened(device)
    device.done.clear()
    let_go = device.hold("graph")
    for slot in range(3):
        fill(engine, slot, slot + 1)
        engine.submit(slot, 1)
    _until("slots 1 and 2 are copied in while 0 is computed", device, "copy_in", 3)
    assert "graph" not in device.done and "copy_out" not in device.done
    let_go()
    assert [values_of(engine.collect(slot)) for slot in range(3)] == [[1], [2], [3]]
    engine.close()


def test_the_next_batch_is_computed_while_results_go_out(device: HostDevice) -> None:
    engine, _ = opened(device)
    device.done.clear()
    let_go = device.hold("copy_out")
    for slot in range(3):
        fill(engine, slot, slot + 1)
        engine.submit(slot, 1)
    _until("all three are computed before one result is out", device, "graph", 3)
    assert "copy_out" not in device.done
    let_go()
    assert [values_of(engine.collect(slot)) for slot in (2, 0, 1)] == [[3], [1], [2]]
    engine.close()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 200)), min_size=1, max_size=30), st.integers(1, 3))
def test_no_box_is_lost_or_made_up_over_random_batches(batches: list[tuple[int, int]], slots: int) -> None:
    device = HostDevice()
    engine, _ = opened(device, slots=slots)
    flying: list[tuple[int, list[int]]] = []
    for number, (n, value) in enumerate(batches):
        if len(flying) == slots:
            slot, expected = flying.pop(0)
            assert values_of(engine.collect(slot)) == expected
        values = [value + row for row in range(n)]
        fill(engine, number % slots, *values)
        engine.submit(number % slots, n)
        flying.append((number % slots, values))
    for slot, expected in flying:
        assert values_of(engine.collect(slot)) == expected
    engine.close()
    assert device.closed


def test_after_a_pause_a_frame_is_run_for_nothing(device: HostDevice) -> None:
    now = [0.0]
    engine, _ = opened(device, clock=lambda: now[0])
    device.done.clear()
    engine.keep_warm()
    assert device.done.count("graph") == 0, "there was work a moment ago"
    now[0] += KEEP_WARM_S + 0.1
    fill(engine, 0, 42)
    engine.submit(0, 1)
    now[0] += KEEP_WARM_S + 0.1
    engine.keep_warm()
    assert values_of(engine.collect(0)) == [42]
    assert device.done.count("graph") == 1, "a batch in flight keeps the device warm itself"
    now[0] += KEEP_WARM_S + 0.1
    engine.keep_warm()
    assert device.done.count("graph") == 2
    assert engine.slot(0)[0, 0, 0, 0] == 42, "a slot that is being filled must not be touched"
    engine.close()


@pytest.mark.parametrize(
    "call",
    [pytest.param(name, id=f"{name} fails") for name in ("copy_in", "record", "wait", "copy_out")],
)
def test_a_call_that_fails_breaks_the_engine_for_good(device: HostDevice, call: str) -> None:
    engine, _ = opened(device)
    device.fail = {call: 0}
    fill(engine, 0, 1)
    with pytest.raises(EngineError, match=f"failed at {call}"):
        engine.submit(0, 1)
    device.fail = {}
    for attempt in (lambda: engine.collect(0), lambda: engine.submit(1, 1)):
        with pytest.raises(EngineError, match=f"failed at {call}"):
            attempt()
    engine.keep_warm()
    engine.close()
    assert device.abandoned and not device.closed


def test_an_enqueue_that_fails_is_an_error_and_no_empty_result(device: HostDevice) -> None:
    device.refuse_capture = True
    engine, network = opened(device)
    network.fail_enqueue_after = 0
    with pytest.raises(EngineError, match="did not start a batch"):
        engine.submit(0, 1)
    with pytest.raises(EngineError, match="did not start a batch"):
        engine.collect(0)


def test_an_event_that_never_comes_ends_at_the_deadline(device: HostDevice) -> None:
    engine, _ = opened(device, deadline_s=0.1)
    device.hold("graph")
    engine.submit(0, 1)
    with pytest.raises(EngineError, match=r"did not finish a batch within 0\.1 s"):
        engine.collect(0)
    begun_s = time.monotonic()
    engine.close()
    assert time.monotonic() - begun_s < 5, "a hung device must not hang the end of the process"
    assert device.abandoned


def test_a_device_that_is_lost_in_mid_batch_is_an_error(device: HostDevice) -> None:
    engine, _ = opened(device)
    device.hold("graph")
    engine.submit(0, 1)
    engine.submit(1, 2)
    device.lose()
    for slot in (0, 1):
        with pytest.raises(EngineError, match="was lost"):
            engine.collect(slot)
    engine.close()
    assert device.abandoned


@pytest.mark.parametrize(
    ("call", "calls"),
    [
        pytest.param("stream", 1, id="no second stream"),
        pytest.param("allocate", 0, id="no scratch memory"),
        pytest.param("allocate", 4, id="no memory for the second slot"),
        pytest.param("pinned", 2, id="no page-locked memory"),
    ],
)
def test_what_cannot_be_opened_gives_everything_back(device: HostDevice, call: str, calls: int) -> None:
    device.fail = {call: calls}
    with pytest.raises(EngineError, match=f"failed at {call}"):
        opened(device)
    assert device.closed


def test_closing_waits_for_what_is_in_flight(device: HostDevice) -> None:
    engine, _ = opened(device)
    device.done.clear()
    let_go = device.hold("graph")
    engine.submit(0, 2)
    timer = threading.Timer(0.1, let_go)
    timer.start()
    engine.close()
    timer.join()
    assert device.closed and device.done.count("graph") == 1


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        pytest.param(lambda engine: engine.submit(0, 5), "do not fit", id="more frames than a slot holds"),
        pytest.param(lambda engine: engine.submit(0, 0), "do not fit", id="no frame"),
        pytest.param(lambda engine: engine.collect(2), "was not submitted", id="nothing to collect"),
        pytest.param(lambda engine: (engine.submit(1, 1), engine.submit(1, 1)), "submitted again", id="a slot in flight"),
    ],
)
def test_mixing_batches_is_refused(device: HostDevice, attempt: object, says: str) -> None:
    engine, _ = opened(device)
    with pytest.raises(ValueError, match=says):
        attempt(engine)  # type: ignore[operator]


def test_a_score_that_is_no_number_is_an_error_and_the_engine_goes_on(device: HostDevice) -> None:
    def broken(frames: Image) -> RawDetections:
        raw = answer(frames)
        raw.scores[frames[:, 0, 0, 0] == 13] = np.nan
        return raw

    engine = PipelinedEngine(device, HostNetwork(device, (HEIGHT_PX, WIDTH_PX), broken), info(2, 2))
    fill(engine, 0, 13)
    engine.submit(0, 1)
    with pytest.raises(EngineError, match="not finite"):
        engine.collect(0)
    fill(engine, 0, 14)
    engine.submit(0, 1)
    assert values_of(engine.collect(0)) == [14]
    engine.close()
