"""Peers: scripts that take turns with the pipeline, are left out with a reason, and fail with their own words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.tiny_bundle import write_tiny_bundle

from edge.bench.peers import IN_CHECKOUT, OURS, SCRIPTS, bench_peers, peers_text
from edge.contracts.bundle import MODEL
from edge.contracts.errors import ConfigError, EngineError
from edge.settings import SHIPPED_BUNDLE, Setup
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(90)

ANSWERS = """
import json, sys
print("a library says hello")
print(json.dumps({"name": "stand-in"}), flush=True)
for line in sys.stdin:
    print(json.dumps({"ms": [2.0] * int(line)}), flush=True)
"""
LEFT_OUT = """print('{"skipped": "it is not installed"}')"""
FAILS = """
import sys
print('{"name": "a"}', flush=True)
sys.stdin.readline()
print('{"failed": "no luck"}')
"""
TELLS_ITS_SCRIPT = """#!/bin/sh
echo "{\\"name\\": \\"$(basename $1), ${LEUKO_ULTRALYTICS_PYTHON:-none}\\"}"
"""
ENDS = "import sys; sys.exit('it has no such module')"
CUTS = "import pathlib, sys; pathlib.Path(sys.argv[2]).write_text('plain')"


def folder(path: Path, **scripts: str) -> Path:
    path.mkdir()
    (path / "loop.py").write_text("")
    (path / "plain_onnx.py").write_text(scripts.pop("plain_onnx", CUTS))
    for name in SCRIPTS:
        (path / f"{name}.py").write_text(scripts.get(name, LEFT_OUT))
    return path


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    bundle = write_tiny_bundle(tmp_path_factory.mktemp("peers") / "bundle")
    return resolve({"source": "virtual:seed=1,width=160,height=128", "bundle": bundle.path})


def test_peers_take_turns_with_the_pipeline(setup: Setup, tmp_path: Path) -> None:
    found = bench_peers(setup, folder(tmp_path / "p", opencv_dnn=ANSWERS), 4, 3)
    assert set(found["contestants"]) == {OURS, "engine_with_copies", "opencv_dnn"}
    peer, ours = found["contestants"]["opencv_dnn"], found["contestants"][OURS]
    assert peer["rounds_ms_per_field"] == [2.0] * 3 and len(ours["rounds_ms_per_field"]) == 3
    assert found["ratios"]["opencv_dnn"]["interval"] is not None and OURS not in found["ratios"]
    assert len(found["skipped"]) == 4 and "it is not installed" in found["skipped"][0]
    said = peers_text(found)
    assert "stand-in" in said and "goal >= 3.5" in said and "left out: onnx_runtime: it is not installed" in said


@pytest.mark.parametrize(
    ("scripts", "says"),
    [
        pytest.param({"onnx_runtime": FAILS}, "onnx_runtime failed: no luck", id="one that gives up"),
        pytest.param({"onnx_runtime": ENDS}, "ended with code 1: it has no such module", id="one that ends"),
    ],
)
def test_a_peer_that_fails_says_why(setup: Setup, tmp_path: Path, scripts: dict[str, str], says: str) -> None:
    with pytest.raises(EngineError, match=says):
        bench_peers(setup, folder(tmp_path / "p", **scripts), 2, 1)


def test_without_a_plain_graph_those_that_need_it_are_left_out(setup: Setup, tmp_path: Path) -> None:
    found = bench_peers(setup, folder(tmp_path / "p", plain_onnx=ENDS, openvino_benchmark=ANSWERS), 2, 1)
    assert set(found["contestants"]) == {OURS, "engine_with_copies", "openvino_benchmark"}
    assert "pip install onnx" in found["skipped"][0]


def test_outside_a_checkout_the_scripts_have_to_be_named(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--peers-dir"):
        bench_peers(setup, tmp_path, 1, 1)


def test_every_peer_is_in_the_repository() -> None:
    assert {f"{name}.py" for name in (*SCRIPTS, "loop", "plain_onnx")} == {file.name for file in IN_CHECKOUT.glob("*.py")}


@pytest.mark.parametrize(
    ("program", "says"),
    [
        pytest.param("", "which LEUKO_ULTRALYTICS_PYTHON names, is no program", id="nothing is there"),
        pytest.param(TELLS_ITS_SCRIPT, "ultralytics_loop.py, none", id="it runs, and is not sent there again"),
    ],
)
def test_ultralytics_runs_in_the_environment_that_is_named(tmp_path: Path, program: str, says: str) -> None:
    """Environments of one Python are links to the same file: the one that is named must run the script all the same, once."""
    own, script = tmp_path / "python", IN_CHECKOUT / "ultralytics_loop.py"
    if program:
        own.write_text(program)
        own.chmod(0o755)
    done = subprocess.run(
        [sys.executable, script, "--video", "none.avi"],
        env={**os.environ, "LEUKO_ULTRALYTICS_PYTHON": str(own)},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and says in answer.get("skipped", answer.get("name", ""))


def test_the_loop_that_many_would_write_finds_cells_in_the_shipped_model_s_fields(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from edge.bench.peers import _video
    from edge.camera.memory_source import images_of
    from edge.camera.uri import open_source

    plain = tmp_path / "plain.onnx"
    cut = [sys.executable, str(IN_CHECKOUT / "plain_onnx.py"), str(SHIPPED_BUNDLE / MODEL), str(plain)]
    subprocess.run(cut, check=True, timeout=60)
    video = _video(tmp_path / "v.avi", images_of(open_source("virtual:seed=42,wbc=3", None), 1), 1)
    command = [sys.executable, str(IN_CHECKOUT / "opencv_dnn.py"), "--model", str(plain), "--video", str(video)]
    done = subprocess.run(command, input="2\n1\n", capture_output=True, text=True, check=True, timeout=60)
    who, first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert "cv2.dnn" in who["name"] and len(first["ms"]) == 2 and len(second["ms"]) == 1
