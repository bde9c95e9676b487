"""Every None and False that TensorRT may return becomes an error with TensorRT's own words. TensorRT is EMULATED here, but for
the last test, where the real TensorRT for RTX refuses a real plan because there is no GPU."""

import gc
import importlib.util
import logging
import weakref
from pathlib import Path

import pytest
from support.fake_tensorrt import FakeTensorRt
from support.made_up_engine import write_engine
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.engine_files import PLAN, EngineFiles
from edge.contracts.errors import EngineError
from edge.engine.machine import look_at_machine
from edge.engine.trt import network
from edge.engine.trt.network import TrtNetwork
from edge.engine.trt.runtime import load_runtime

ADDRESSES = {"frames": 0x100, "boxes": 0x200, "scores": 0x300, "labels": 0x400}


@pytest.fixture
def files(tmp_path: Path) -> EngineFiles:
    return write_engine(write_tiny_bundle(tmp_path / "bundle"), tmp_path / "engines", plan=b"a plan")


def loaded(files: EngineFiles, fake: FakeTensorRt, monkeypatch: pytest.MonkeyPatch) -> TrtNetwork:
    monkeypatch.setattr(network, "load_runtime", lambda runtime: fake)
    return TrtNetwork(files)


def test_a_context_is_bound_to_one_batch_size_and_its_addresses(files: EngineFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeTensorRt()
    enqueue = loaded(files, fake, monkeypatch).bind(4, ADDRESSES, scratch=0x900)
    enqueue(77)
    (context,) = fake.contexts
    assert fake.loaded == [b"a plan"]
    assert context.given.pop("scratch") == (0x900, 4096)
    assert context.given.pop("stream") == 77
    assert context.given == {"frames": (4, 128, 160, 3), **{f"{name} at": address for name, address in ADDRESSES.items()}}


def test_a_context_lives_until_the_network_is_closed(files: EngineFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A captured graph runs in what its context owns, and holds no reference to it."""
    fake = FakeTensorRt()
    net = loaded(files, fake, monkeypatch)
    net.bind(4, ADDRESSES, scratch=0x900)
    context = weakref.ref(fake.contexts.pop())
    gc.collect()
    assert context() is not None
    net.close()
    gc.collect()
    assert context() is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param("Runtime", "does not start", id="no runtime"),
        pytest.param("deserialize_cuda_engine", "cannot be loaded by TensorRT 10.13.3.9", id="a plan it does not take"),
        pytest.param("create_execution_context", "gives no execution context", id="no memory for a context"),
        pytest.param("set_input_shape", "refuses a batch of 4", id="outside the profile"),
        pytest.param("set_tensor_address", "refuses an address for frames", id="an address"),
        pytest.param("infer_shapes", r"wants more inputs than the frames: \['um_per_px'\]", id="another input"),
        pytest.param("execute_async_v3", "did not start a batch of 4", id="enqueue"),
    ],
)
def test_every_refusal_is_an_error_with_tensorrts_last_words(
    files: EngineFiles, monkeypatch: pytest.MonkeyPatch, call: str, says: str
) -> None:
    with pytest.raises(EngineError, match=says) as caught:
        loaded(files, FakeTensorRt(refuses=call), monkeypatch).bind(4, ADDRESSES, scratch=0x900)(1)
    assert f"{call}: Error Code 3: scripted refusal" in str(caught.value)
    assert "nothing to see" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param({"frames": ((-1, 128, 160, 3), "f")}, "one input 'frames' of uint8", id="floats in"),
        pytest.param({"um": ((1,), "f"), "frames": None}, "one input", id="no frames"),
        pytest.param({"frames": ((-1, 574, 732, 3), "u")}, "not what its manifest says", id="another frame size"),
        pytest.param({"scores": ((-1, 128), "f")}, "output 'scores' of bundle tiny-test", id="fewer rows"),
        pytest.param({"boxes": ((-1, 256, 4), "h")}, "output 'boxes' of bundle tiny-test", id="half boxes"),
        pytest.param({"labels": None}, "no output 'labels'", id="no labels"),
    ],
)
def test_a_plan_that_is_not_what_its_manifest_says_is_refused(
    files: EngineFiles, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], says: str
) -> None:
    with pytest.raises(EngineError, match=says):
        loaded(files, FakeTensorRt(**changed), monkeypatch)


def test_a_plan_for_other_batches_than_its_manifest_says_is_refused(
    files: EngineFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeTensorRt()
    fake.max_batch = 4
    with pytest.raises(EngineError, match="not what its manifest says"):
        loaded(files, fake, monkeypatch)


def test_a_damaged_plan_never_reaches_tensorrt(files: EngineFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    (files.path / PLAN).write_bytes(b"a flan")
    fake = FakeTensorRt()
    with pytest.raises(EngineError, match="is damaged"):
        loaded(files, fake, monkeypatch)
    assert fake.loaded == []


def test_what_tensorrt_says_reaches_the_log(
    files: EngineFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(EngineError):
        loaded(files, FakeTensorRt(refuses="deserialize_cuda_engine"), monkeypatch)
    assert "scripted refusal" in caplog.text and "nothing to see here" in caplog.text


def test_a_module_of_the_same_name_that_is_not_tensorrt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("tensorrt") is None:
        with pytest.raises(EngineError, match="TensorRT cannot be loaded"):
            load_runtime("tensorrt")
        (tmp_path / "tensorrt").mkdir()  # what a package of type stubs leaves behind
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(EngineError, match="is not TensorRT"):
            load_runtime("tensorrt")


def test_the_real_runtime_refuses_a_plan_in_its_own_words(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt_rtx is not installed: there is none for this processor")
    if look_at_machine().gpu is not None:
        pytest.skip("this machine has a GPU; what is tested here is the refusal where there is none")
    bundle = write_tiny_bundle(tmp_path / "bundle")
    files = write_engine(bundle, tmp_path / "engines", runtime="tensorrt_rtx", plan=b"no plan at all")
    with pytest.raises(EngineError) as caught:
        TrtNetwork(files)
    assert "TensorRT for RTX" in str(caught.value)
    assert "it gave no reason" not in str(caught.value)
