"""A simulated scanner against a real edge process: whatever happens to either, every trigger ends once and the sums match."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.edge_here import leuko_edge
from support.ports import free_endpoint
from support.tiny_bundle import write_tiny_bundle

from edge.camera.frame_store import StoredFrames
from edge.contracts.errors import StreamError
from edge.scanner.notebook import Notebook

pytestmark = pytest.mark.timeout(60)
EDGE = [sys.executable, "-m", "edge.cli"]
QUICK_TO_DESPAIR = [
    sys.executable,
    "-c",
    "from edge.cli import main; from edge.scanner.scan_plan import ScanPlan; "
    "ScanPlan.model_fields['dead_after_s'].default = 1.0; ScanPlan.model_rebuild(force=True); main()",
]
"""The same with a scanner that looks for its edge anew after one silent second instead of five."""
SLIDE = "trigger=software,fields=60,width=128,height=96,variants=1,rbc=2,wbc=0.5"
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("simulated") / "bundle").path


@pytest.fixture
def start(bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts an edge process with the journal of this test; none is left behind."""
    started: list[Process] = []

    def start_(source: str, endpoint: str, *more: str) -> Process:
        command = [*EDGE, "run", "--source", f"virtual:{source}", "--bundle", str(bundle), "--bind", endpoint]
        command += ["--journal", str(tmp_path / "journal.sqlite"), "--threads", "1", *more]
        started.append(subprocess.Popen(command, text=True))  # its log is shown with a test that fails
        return started[-1]

    yield start_
    for process in started:
        process.kill()
        process.wait()


def verified(tmp_path: Path) -> list[dict[str, Any]]:
    """What `runs verify` says of the journal."""
    done = leuko_edge("runs", "verify", "--json", "--journal", str(tmp_path / "journal.sqlite"))
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def test_a_scanner_that_vanishes_and_comes_back_over_a_camera_with_faults(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    endpoint = free_endpoint()
    faults, kept_in = "lose_every=7,damage_every=11,extra_every=5,fail_every=13", tmp_path / "kept"
    edge = start(f"{SLIDE},{faults}", endpoint, "--trigger-window", "8", "--keep-frames", str(kept_in))
    mishaps = ["--disconnect-every", "12", "--restart-every", "25", "--stall-every", "40", "--stall-s", "0.1"]
    command = [*EDGE, "simulate", endpoint, "--json", "--fields", "60", *mishaps, "--notebook", str(tmp_path / "notebook")]
    done = subprocess.run([*command, "--seed", "3"], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["problems"], found["outcomes"], found["triggers"]) == ([], {"stopped": 1}, 60)
    assert {status: found["fields"][status] for status in ("lost", "incomplete", "failed")} == {
        "lost": 8,
        "incomplete": 5,
        "failed": 4,
    }, "every 7th, 11th and 13th exposure"
    assert found["mishaps"]["disconnect"] and found["mishaps"]["restart"]
    assert edge.wait(20) == 0
    assert [run["problem"] for run in verified(tmp_path)] == [""]
    kept = StoredFrames(str(kept_in), None)
    frames = [kept.read(1) for _ in range(kept.info.n_fields or 0)]
    assert [frame.trigger_id for frame in frames] == [f"t-{index}" for index in range(60)], "what nobody announced is none"
    assert Counter(frame.status for frame in frames) == {"ok": 43, "lost": 8, "incomplete": 5, "failed": 4}


def test_an_edge_that_is_killed_is_continued_in_another_run(start: Callable[..., Process], tmp_path: Path) -> None:
    endpoint, notebook = free_endpoint(), tmp_path / "notebook"
    edge = start(f"{SLIDE},rate=40", endpoint)
    scanner = subprocess.Popen(
        [*QUICK_TO_DESPAIR, "simulate", endpoint, "--fields", "50", "--notebook", str(notebook), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    while not notebook.exists() or notebook.read_bytes().count(b'"type": "field"') < 10:
        assert scanner.poll() is None
        time.sleep(0.02)
    edge.send_signal(signal.SIGKILL)
    edge.wait()
    edge = start(f"{SLIDE},rate=40", endpoint)
    found = json.loads(scanner.communicate(timeout=40)[0])
    assert scanner.returncode == 0
    assert (found["problems"], found["outcomes"]) == ([], {"interrupted": 1, "stopped": 1})
    assert found["fields"].pop("lost", 0) <= 16, "no more than were open"
    assert sum(found["fields"].values()) == 50, "each field was recorded in one of the two runs"
    assert edge.wait(20) == 0
    assert [run["problem"] for run in verified(tmp_path)] == ["", ""]


def test_a_source_that_paces_itself_cannot_be_triggered(start: Callable[..., Process]) -> None:
    endpoint = free_endpoint()
    start("fields=500,width=128,height=96,variants=1,rbc=0,rate=20", endpoint)
    done = leuko_edge("simulate", endpoint, "--fields", "5")
    assert done.code == 2
    assert "cannot be triggered: this source paces itself" in done.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--restart-every", "3"], "give --notebook FILE", id="nothing to remember in"),
        pytest.param(["--fields", "0"], "`fields`", id="no field"),
        pytest.param(["--patience-s", "0.2"], "no edge answered", id="no edge"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_sentence(options: list[str], says: str) -> None:
    done = leuko_edge("simulate", free_endpoint(), *options)
    assert done.code in {2, 6}
    assert says in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("content", [b"one line of somebody's", b"a text\n", b"\x89PNG\r\n", b'{"um_per_px": 0.13}'])
def test_no_other_file_is_taken_for_a_notebook_and_cut_off(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(StreamError, match="is no notebook"):
        Notebook(file)
    assert file.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b'{"ru', b'{"run": "r", "cmd": "c", "continues": nu'])
def test_a_notebook_whose_first_line_was_cut_off_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert Notebook(file).runs == []
    assert file.read_bytes() == b""
