"""`leuko-edge demo`: two real processes over a real socket, ending by themselves whatever happens."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.tiny_bundle import write_tiny_bundle

pytestmark = pytest.mark.timeout(60)
DEMO = [sys.executable, "-m", "edge.cli", "demo"]
QUICK_TO_DESPAIR = [
    sys.executable,
    "-c",
    "from edge.cli import main; from edge.watch import demonstration; "
    "demonstration._SETTINGS = demonstration.ClientSettings(dead_after_s=1.0, reconnect_s=0.5); main()",
]
"""The same with a controller that takes an edge for gone after one silent second, and looks for it half a second."""


def _demo(*arguments: str) -> tuple[int, list[str], str]:
    done = subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=50, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_it_shows_a_whole_run_says_that_the_fields_are_drawn_and_ends_with_code_0(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", width_px=732, height_px=574).path
    code, lines, err = _demo("--fields", "6", "--bundle", str(bundle))
    assert (code, err) == (0, "")
    assert "drawn (synthetic)" in lines[0]
    assert sum(line.startswith("field ") for line in lines) == 6
    assert any(line.startswith("run completed") for line in lines)


def test_an_edge_that_cannot_start_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    code, lines, err = _demo("--bundle", str(tmp_path / "nothing-here"), "--json")
    assert (code, lines) == (3, [])
    assert "the edge process ended with code 3" in err
    assert "is not a bundle" in err
    assert "Traceback" not in err


def test_an_edge_that_is_killed_in_mid_run_ends_the_demo(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", width_px=732, height_px=574).path
    options = ["--json", "--source", "virtual:seed=1,fields=10000,rate=20", "--fields", "10000", "--bundle", str(bundle)]
    command = [*QUICK_TO_DESPAIR, "demo", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "run_start"
        (edge,) = psutil.Process(process.pid).children()
        edge.kill()
        _, err = process.communicate(timeout=40)
    assert process.returncode not in {0, None}
    assert "session was lost" in err


def test_ctrl_c_stops_the_run_and_leaves_no_process_behind(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", width_px=732, height_px=574).path
    command = [*DEMO, "--json", "--source", "virtual:seed=1,fields=10000,rate=20", "--fields", "10000", "--bundle", str(bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "run_start"
        (edge,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out.splitlines()[-1])["outcome"] == "stopped"
    assert not edge.is_running()
