"""A build in a process of its own that dies, is killed, interrupted or refused: a sentence says so, and nothing is left."""

import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import psutil
import pytest
from onnx import helper
from support.rtx_builds import COMMAND, NEEDS_RTX, Watch, built, engine_arguments
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import MODEL, Bundle, write_bundle
from edge.contracts.errors import EngineError

pytestmark = NEEDS_RTX


def _crash_child() -> None:
    """Read from /proc at once: a build takes half a second."""
    pids = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    (child,) = (int(pid) for pid in pids if b"builder.build_process" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(child, signal.SIGSEGV)


def test_a_build_process_that_dies_is_told_and_leaves_nothing(shipped: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"build process of TensorRT for RTX 1\..* ended by SIGSEGV"):
        built(shipped, tmp_path / "engines", Watch(at_start=_crash_child))
    assert list((tmp_path / "engines").iterdir()) == []


def _building(bundle: Bundle, engines: Path, *more: str) -> "subprocess.Popen[str]":
    """A build by the real command, caught when its build process is there."""
    command = [*COMMAND, *engine_arguments(bundle, engines, "--target", "SM120", *more)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 40
    while not psutil.Process(process.pid).children():
        assert time.monotonic() < deadline_s and process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.usefixtures("built_once")
def test_a_build_that_is_killed_leaves_no_engine_and_the_next_one_clears_up(small: Bundle, tmp_path: Path) -> None:
    process = _building(small, tmp_path)
    child = psutil.Process(process.pid).children()[0]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    child.wait(10)  # nobody wants its plan any more
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == [".building"]
    files = built(small, tmp_path)
    assert list(tmp_path.iterdir()) == [files.path]


def test_a_build_that_is_interrupted_ends_cleanly(shipped: Bundle, one_field: Path, tmp_path: Path) -> None:
    for attempt in range(5):
        process = _building(shipped, tmp_path / str(attempt), "--images", str(one_field), "--um-per-px", "0.13")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        if process.returncode:
            break  # else it was done before the signal came
        shutil.rmtree(tmp_path / str(attempt))
    assert process.returncode != 0
    assert "Traceback" not in said
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("built_once")
def test_a_build_beside_this_one_is_left_alone(small: Bundle, tmp_path: Path) -> None:
    alive, elsewhere = f".building-{platform.node()}-{os.getppid()}-key", ".building-another-machine-1-key"
    (tmp_path / alive).mkdir()
    (tmp_path / elsewhere).mkdir()
    built(small, tmp_path)
    assert {path.name for path in tmp_path.glob(".building-*")} == {alive, elsewhere}


def test_too_little_scratch_memory_is_told_in_tensorrts_words(shipped: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"did not build the engine .*--workspace-mib") as caught:
        built(shipped, tmp_path, workspace_mib=1)
    assert "it gave no reason" not in str(caught.value)


def _changed_bundle(tmp_path: Path, change: Callable[[onnx.ModelProto], None]) -> Bundle:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    model = onnx.load(bundle.model_path)
    change(model)
    manifest = bundle.manifest.model_dump(exclude={"files"})
    return write_bundle(tmp_path / "changed", manifest, {MODEL: model.SerializeToString()})


def _sine(model: onnx.ModelProto) -> None:
    """Bring in an operator that no TensorRT reads."""
    node = next(node for node in model.graph.node if node.op_type == "ReduceMean" or "presence" in node.output)
    made = node.output[0]
    node.output[0] = f"{made}_plain"
    model.graph.node.insert(
        list(model.graph.node).index(node) + 1, helper.make_node("Det", [f"{made}_plain"], [made], name="determinant")
    )


def test_a_graph_that_tensorrt_cannot_read_names_the_operator(tmp_path: Path) -> None:
    bundle = _changed_bundle(tmp_path, _sine)
    with pytest.raises(EngineError, match=r"cannot read the graph \(Det determinant"):
        built(bundle, tmp_path / "engines", frame_width_px=160, frame_height_px=128)
