"""The calls that go to the NVIDIA driver itself, against an EMULATED libcuda: which GPU there is, and graphs."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.contracts.errors import EngineError
from edge.engine.gpu.base import CaptureRefused
from edge.engine.gpu.nvidia_driver import CudaGraphs, find_gpu

SOURCE = Path(__file__).parents[3] / "helpers" / "support" / "fake_driver.c"


@dataclass(frozen=True)
class FakeStream:
    handle: int = 7


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) is installed to make the emulated driver with")
    path = tmp_path_factory.mktemp("driver") / "libcuda-emulated.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, SOURCE], check=True, timeout=30)
    return str(path)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "calls"
    path.touch()
    monkeypatch.setenv("FAKE_JOURNAL", str(path))
    return path


def test_a_gpu_is_described_by_what_an_engine_depends_on(library: str) -> None:
    gpu = find_gpu(library)
    assert gpu.identity.model_dump() == {"name": "EMULATED GPU", "compute_capability": "8.6", "sm_count": 46}
    assert (gpu.identity.target, gpu.cuda_version, gpu.memory_bytes) == ("SM86", "13.0", 8 * 2**30)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        pytest.param(
            "FAKE_INIT", "100", r"refuses cuInit \(CUresult 100\)", id="the kernel's driver is older than the library"
        ),
        pytest.param("FAKE_GPUS", "0", "sees no GPU; check `nvidia-smi`", id="a container without its GPU"),
    ],
)
def test_what_is_wrong_with_the_gpu_is_one_sentence(
    library: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(EngineError, match=says):
        find_gpu(library)


def test_a_machine_without_driver_says_so() -> None:
    with pytest.raises(EngineError, match="has no NVIDIA driver"):
        find_gpu("libcuda-that-is-nowhere.so.1")
    with pytest.raises(EngineError, match="no CUDA graphs"):
        CudaGraphs("libcuda-that-is-nowhere.so.1")


def test_a_driver_older_than_graphs_says_so() -> None:
    with pytest.raises(EngineError, match="no CUDA graphs"):
        CudaGraphs("libc.so.6")


def test_work_is_captured_once_and_launched(library: str, journal: Path) -> None:
    worked = []
    graph = CudaGraphs(library).capture(FakeStream(), lambda: worked.append(journal.read_text().split()))
    graph.launch(FakeStream())
    graph.launch(FakeStream())
    graph.close()
    graph.close()
    begin, end = ["cuStreamBeginCapture_v2"], ["cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphDestroy"]
    assert worked == [begin], "the work must run inside the capture, once"
    assert journal.read_text().split() == [*begin, *end, "cuGraphLaunch", "cuGraphLaunch", "cuGraphExecDestroy"]


@pytest.mark.parametrize(
    "call", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"], ids=lambda call: f"{call} refuses"
)
def test_a_refused_capture_is_no_failure_of_the_gpu(
    library: str, journal: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setenv("FAKE_FAILS", call)
    with pytest.raises(CaptureRefused, match=f"{call} gave CUresult 900"):
        CudaGraphs(library).capture(FakeStream(), lambda: None)


def test_work_that_fails_does_not_leave_the_stream_in_capture(library: str, journal: Path) -> None:
    def work() -> None:
        raise EngineError("TensorRT did not start a batch; restart the edge.")

    with pytest.raises(CaptureRefused, match="did not start a batch"):
        CudaGraphs(library).capture(FakeStream(), work)
    assert journal.read_text().split() == ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphDestroy"]


def test_a_launch_that_fails_is_an_error(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = CudaGraphs(library).capture(FakeStream(), lambda: None)
    monkeypatch.setenv("FAKE_FAILS", "cuGraphLaunch")
    with pytest.raises(EngineError, match=r"failed in cuGraphLaunch \(CUresult 900\)"):
        graph.launch(FakeStream())
