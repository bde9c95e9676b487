"""`make gpu-test` where there is no GPU: each step says what it lacks, and what was found is on disk before the next one."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support.host_device import HostDevice, HostNetwork

from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError

ROOT = Path(__file__).parents[2]


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "gpu" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


first_gpu = _loaded("first_gpu")


@pytest.mark.timeout(300)
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU: run `make gpu-test`")
def test_without_a_gpu_every_step_ends_with_a_sentence(tmp_path: Path) -> None:
    findings = tmp_path / "findings.json"
    command = [
        sys.executable,
        "tests/gpu/first_gpu.py",
        "--findings",
        findings,
        "--into",
        tmp_path / "env",
        "--wheels",
        tmp_path,
    ]
    ended = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    found = json.loads(findings.read_text())
    assert list(found) == list(first_gpu.STEPS), ended.stderr
    assert ended.returncode == 1 and f"0 of {len(first_gpu.ON_GPU)} steps computed on a GPU, 0 failed" in ended.stdout
    assert {name: each["ended"] for name, each in found.items()}["packages"] == "passed", found["packages"]
    for name in ("driver", "pycuda", *first_gpu.ON_GPU):
        assert found[name]["ended"] == "skipped" and found[name]["why"].endswith("."), found[name]
    assert "no NVIDIA driver" in found["driver"]["why"]
    assert "its source (pycuda-*.tar.gz) in WHEELHOUSE" in found["pycuda"]["why"]


def _here(folder: Path, left_s: float = 100.0) -> Any:  # noqa: ANN401
    return first_gpu.Here([], folder / "env", folder / "findings.json", time.monotonic() + left_s)


def test_an_interruption_loses_nothing_of_the_steps_before(tmp_path: Path) -> None:
    def ends(here: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    here = _here(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        first_gpu.perform(here, {"first": lambda _: {"value": 7}, "second": ends})
    assert json.loads((tmp_path / "findings.json").read_text())["first"]["found"] == {"value": 7}


def test_a_step_that_fails_does_not_stop_the_next_one_and_is_told(tmp_path: Path) -> None:
    def breaks(here: object) -> dict[str, Any]:
        raise ValueError("odd")

    name = first_gpu.ON_GPU[0]
    assert first_gpu.perform(_here(tmp_path), {"driver": breaks, name: lambda _: {}}) == 1, "one failed"
    found = json.loads((tmp_path / "findings.json").read_text())
    assert (found["driver"]["why"], found[name]["ended"]) == ("ValueError: odd", "passed")


def test_when_the_time_is_used_up_the_rest_is_skipped(tmp_path: Path) -> None:
    first_gpu.perform(_here(tmp_path, left_s=1.0), {"driver": lambda _: {}})
    assert "the time of this call is used up" in json.loads((tmp_path / "findings.json").read_text())["driver"]["why"]


def test_the_stand_in_answers_with_each_frames_own_checksum() -> None:
    """The arithmetic of the stand-in, on the processor: EMULATION, no CUDA call is made."""
    torch = pytest.importorskip("torch")
    checks = _loaded("stand_in_checks")
    frames = np.random.default_rng(3).integers(0, 256, (3, 8, 9, 3), np.uint8)
    boxes, scores = torch.full((3, 4, 4), 9.0), torch.full((3, 4), 9.0)
    labels, sums = torch.full((3, 4), 9, dtype=torch.int32), torch.zeros(3, dtype=torch.int64)
    checks.answer_into(torch, torch.from_numpy(frames), boxes, scores, labels, sums)
    expected = frames.reshape(3, -1).sum(1, dtype=np.int64) % checks.MODULUS
    assert np.rint(scores[:, 0].numpy() * checks.MODULUS).astype(np.int64).tolist() == expected.tolist()
    assert (boxes[:, 0, 3].numpy() == expected).all() and (labels[:, 0].numpy() == expected % 2).all()
    assert not scores[:, 1:].any() and not boxes[:, 1:].any()


def _answer(checks: ModuleType, shift: int) -> Callable[[Image], RawDetections]:
    def answer(frames: Image) -> RawDetections:
        n, k = len(frames), checks.TOP_K
        found = RawDetections(np.zeros((n, k, 4), np.float32), np.zeros((n, k), np.float32), np.zeros((n, k), np.int32))
        sums = frames.reshape(n, -1).sum(1, dtype=np.int64) + shift
        found.scores[:, 0] = (sums % checks.MODULUS) / checks.MODULUS
        return found

    return answer


@pytest.mark.parametrize("shift", [0, 1], ids=["each frame its own answer", "another frame's answer"])
def test_the_checks_around_the_stand_in_pass_and_can_fail(shift: int) -> None:
    """On the EMULATED device: no figure of it says anything of a GPU."""
    checks = _loaded("stand_in_checks")
    device = HostDevice()
    network = HostNetwork(device, (checks.HEIGHT_PX, checks.WIDTH_PX), _answer(checks, shift))
    if shift:
        with pytest.raises(AssertionError, match="wrong answers"):
            checks.run(device, network, "an emulation", batches=6)
        return
    found = checks.run(device, network, "an emulation", batches=12)
    assert (found["wrong answers"], found["slots that moved"]) == (0, 0) and found["frames"] >= 12


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU: run `make gpu-test`")
def test_up_to_the_first_cuda_call_the_stand_in_runs_here() -> None:
    pytest.importorskip("torch")
    with pytest.raises(EngineError, match=r"PyCUDA|driver"):
        _loaded("stand_in_checks").on_cuda()


def _wheel(folder: Path, name: str, needs: str = "") -> None:
    """A package of one empty module."""
    folder.mkdir(exist_ok=True)
    module, about = name.replace("-", "_"), f"{name.replace('-', '_')}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}.py", "")
        more = f"Requires-Dist: {needs}\n" if needs else ""
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


@pytest.mark.timeout(180)
def test_what_is_missing_comes_from_partial_folders_together(tmp_path: Path) -> None:
    """A package lies in one folder and what it needs in another one; a package that lies in none is none."""
    _wheel(tmp_path / "one", "leuko-probe", needs="leuko-probe-base")
    _wheel(tmp_path / "two", "leuko-probe-base")
    here = _here(tmp_path)
    here.ends_at_s += 100
    here.wheels += [tmp_path / "one", tmp_path / "two"]
    first_gpu.perform(here, {"environment": first_gpu.environment})
    assert first_gpu._installed(here, "leuko-probe", "leuko_probe") == f"from {tmp_path / 'one'}"
    assert first_gpu._installed(here, "leuko-probe-base", "leuko_probe_base") == "was installed"
    assert first_gpu._installed(here, "leuko-nowhere", "leuko_nowhere") == ""
