"""The embedded engine on a graph whose right answer follows from the pixels."""

import math
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.camera.resample import plan_fit
from edge.contracts.bundle import MODEL, Bundle, load_bundle, write_bundle
from edge.contracts.choices import HintTaken
from edge.contracts.detections import RawDetections
from edge.contracts.errors import BundleError, EngineError
from edge.engine import open_engine
from edge.engine.base import Engine
from edge.postprocess import OperatingPoint, field_counts, postprocess
from edge.settings import SHIPPED_BUNDLE

pytestmark = pytest.mark.timeout(30)
HINTS: tuple[HintTaken, HintTaken] = ("latency", "throughput")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("engine") / "bundle")


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Engine:
    return open_engine(bundle, 160, 128, max_batch=3, slots=2, precision="f32")


def run(engine: Engine, index: int, *fields: np.ndarray) -> RawDetections:
    for slot, field in zip(engine.slot(index), fields, strict=False):
        slot[...] = field
    engine.submit(index, len(fields))
    return engine.collect(index)


def test_what_runs_is_read_back(engine: Engine, bundle: Bundle) -> None:
    info = engine.info
    assert (info.runtime, info.precision, info.max_batch, info.slots) == ("OpenVINO", "f32", 3, 2)
    assert (info.frame_width_px, info.frame_height_px, info.top_k) == (160, 128, bundle.manifest.top_k)
    assert info.version in str(info) and "f32" in str(info)


@pytest.mark.parametrize(
    "blobs",
    [
        pytest.param([], id="empty field"),
        pytest.param([("lymphocyte", 20, 20)], id="one cell"),
        pytest.param(
            [("eosinophil", 3, 90), ("platelet_giant", 101, 17), ("neutrophil_segmented", 60, 50)], id="three classes"
        ),
    ],
)
def test_cells_are_where_the_ink_is(engine: Engine, bundle: Bundle, blobs: list[tuple[str, int, int]]) -> None:
    raw = run(engine, 0, blob_field(blobs))
    assert (np.diff(raw.scores) <= 0).all()
    cells = postprocess(raw, plan_fit(160, 128, 0.13, 0.13, 160, 128), OperatingPoint.of(bundle.manifest.thresholds))
    assert field_counts(cells) == {name: 1 for name, _, _ in blobs}
    for name, x, y in blobs:
        corners = cells.boxes_px[:, :2]
        assert np.abs(corners - (x, y)).max(axis=1).min() <= 2.0, name


def test_a_batch_is_its_frames_and_slots_do_not_mix(engine: Engine) -> None:
    fields = [blob_field([("lymphocyte", 16 * k, 8 * k)]) for k in range(5)]
    alone = [run(engine, 0, field) for field in fields]
    for slot, field in zip(engine.slot(0), fields[:3], strict=True):
        slot[...] = field
    for slot, field in zip(engine.slot(1), fields[3:], strict=False):
        slot[...] = field
    engine.submit(0, 3)
    engine.submit(1, 2)
    second, first = engine.collect(1), engine.collect(0)
    for got, expected in zip((*_rows(first), *_rows(second)), alone, strict=True):
        np.testing.assert_allclose(got[0], expected.boxes[0])
        np.testing.assert_allclose(got[1], expected.scores[0], atol=1e-6)


def _rows(raw: RawDetections) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(raw.boxes, raw.scores, strict=True))


def test_slots_keep_their_address_and_results_are_the_caller_s_own(engine: Engine) -> None:
    address = engine.slot(0).ctypes.data
    first = run(engine, 0, blob_field([("lymphocyte", 20, 20)]))
    kept = first.scores.copy()
    run(engine, 0, blob_field())
    np.testing.assert_array_equal(first.scores, kept)
    assert engine.slot(0).ctypes.data == address and first.scores.flags.owndata


@pytest.mark.parametrize(
    ("max_batch", "slots"),
    [
        pytest.param(1, None, id="a slot for each that computes, and one to write into"),
        pytest.param(3, None, id="a batch of several keeps several streams busy"),
        pytest.param(2, 2, id="as many slots as were asked for"),
    ],
)
def test_many_side_by_side_give_what_one_after_the_other_gives(bundle: Bundle, max_batch: int, slots: int | None) -> None:
    alone = open_engine(bundle, 160, 128, precision="f32", hint="latency")
    many = open_engine(bundle, 160, 128, precision="f32", hint="throughput", max_batch=max_batch, slots=slots)
    here, there = alone.info, many.info
    assert (here.hint, here.streams, here.slots) == ("latency", 1, 2)
    assert there.hint == "throughput" and there.slots == (slots or 1 + math.ceil(there.streams / max_batch))
    assert str(here) == str(there), "what a gate has said of one holds for the other"
    fields = [blob_field([("lymphocyte", 8 * k, 4 * k), ("eosinophil", 90, 60)]) for k in range(max_batch * there.slots)]
    for index in range(there.slots):
        for view, field in zip(many.slot(index), fields[index * max_batch :], strict=False):
            view[...] = field
        many.submit(index, max_batch)
    found = [many.collect(index) for index in reversed(range(there.slots))][::-1]
    for nth, field in enumerate(fields):
        expected, got = run(alone, 0, field), found[nth // max_batch]
        for name in ("boxes", "scores", "labels"):
            np.testing.assert_array_equal(getattr(got, name)[nth % max_batch], getattr(expected, name)[0])


def test_the_shipped_model_finds_the_same_with_either_hint() -> None:
    """In this machine's own precision, to the last bit, although two streams of one core divide a layer otherwise than one."""
    shipped, shade = load_bundle(SHIPPED_BUNDLE), np.random.default_rng(1).integers(0, 255, (130, 160, 3), np.uint8)
    field = cv2.resize(shade, (320, 260))
    one, many = (run(open_engine(shipped, 320, 260, engine="openvino", hint=each), 0, field) for each in HINTS)
    for name in ("boxes", "scores", "labels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@pytest.mark.parametrize("n", [0, 4])
def test_misuse_is_refused(engine: Engine, n: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        engine.submit(0, n)
    with pytest.raises(ValueError, match="was not submitted"):
        engine.collect(0)
    engine.submit(0, 1)
    with pytest.raises(ValueError, match="submitted again"):
        engine.submit(0, 1)
    engine.collect(0)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param("labels_int64", "'labels' of bundle tiny-test is i64", id="labels of another type"),
        pytest.param("boxes_flat", r"'boxes' of bundle tiny-test is float32 \[256, 3\]", id="boxes of another shape"),
        pytest.param("scores_named_score", "no output 'scores'", id="an output missing"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused_at_opening(tmp_path: Path, fault: str, words: str) -> None:
    broken = write_tiny_bundle(tmp_path / "bundle", fault=fault)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=words) as caught:
        open_engine(broken, 160, 128)
    assert "\n" not in str(caught.value)


def test_scores_that_are_no_numbers_are_an_error_and_the_engine_goes_on(tmp_path: Path) -> None:
    engine = open_engine(write_tiny_bundle(tmp_path / "bundle", fault="nan_if_black"), 160, 128)
    with pytest.raises(EngineError, match="not finite"):
        run(engine, 0, np.zeros((128, 160, 3), np.uint8))
    assert run(engine, 0, blob_field([("lymphocyte", 20, 20)])).scores[0, 0] > 0.9


def test_a_frame_too_small_for_the_graph_says_its_size(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="for frames of 16 x 16 px"):
        open_engine(bundle, 16, 16)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny").manifest.model_dump(exclude={"files"})
    bundle = write_bundle(tmp_path / "bundle", tiny, {MODEL: b"no graph at all"})
    with pytest.raises(EngineError, match="cannot use the graph of bundle tiny-test") as caught:
        open_engine(bundle, 160, 128)
    assert "\n" not in str(caught.value)


def test_a_graph_that_was_exchanged_after_its_hash_was_checked_is_not_loaded(tmp_path: Path) -> None:
    bundle, other = write_tiny_bundle(tmp_path / "bundle"), write_tiny_bundle(tmp_path / "other", top_k=64)
    bundle.model_path.write_bytes(other.model_path.read_bytes())
    with pytest.raises(BundleError, match="was changed while the bundle was in use"):
        open_engine(bundle, 160, 128)


def test_auto_takes_what_the_cpu_computes_natively_and_bf16_is_never_emulated(bundle: Bundle) -> None:
    import openvino

    native = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert open_engine(bundle, 160, 128).info.precision == ("bf16" if native else "f32")
    if native:
        assert open_engine(bundle, 160, 128, precision="bf16").info.precision == "bf16"
    else:
        with pytest.raises(EngineError, match="does not compute it natively"):
            open_engine(bundle, 160, 128, precision="bf16")


_TWO_THAT_OVERLAP = """
import gc, os, signal, sys, time
from edge.contracts.bundle import load_bundle
from edge.engine import open_engine
from edge.engine.openvino import signal_stack_size
from edge.settings import SHIPPED_BUNDLE

first = open_engine(load_bundle(SHIPPED_BUNDLE), 732, 574, engine="openvino")
second = open_engine(load_bundle(SHIPPED_BUNDLE), 640, 480, engine="openvino")
first.close()
del first
gc.collect()
second.close()
del second
gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("caught", flush=True))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.1)
print(signal_stack_size())
"""


@pytest.mark.timeout(60)
def test_a_signal_after_two_engines_is_caught() -> None:
    """OpenVINO left the handlers a stack that it had freed: SIGTERM was a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", _TWO_THAT_OVERLAP], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["caught", "0"]), done.stderr[-500:]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells where each thread may run")
@pytest.mark.parametrize("hint", HINTS)
def test_a_process_of_several_is_not_tied_to_the_cores_of_the_others(bundle: Bundle, hint: HintTaken) -> None:
    """With one thread OpenVINO tied it to the first core: two processes of an archive shared that, and left the other idle."""
    threads = Path("/proc/self/task")
    before = set(threads.iterdir())
    one = open_engine(bundle, 160, 128, precision="f32", threads=1, hint=hint)
    run(one, 0, blob_field())
    own = set(threads.iterdir()) - before
    assert own and all(os.sched_getaffinity(int(each.name)) == os.sched_getaffinity(0) for each in own)
    one.close()


def test_opencv_s_threads_do_not_compete_with_the_engine_s(engine: Engine) -> None:
    assert cv2.getNumThreads() == 1
