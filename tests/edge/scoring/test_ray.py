"""`leuko-edge score --ray`: what stands on a Ray cluster is what one process makes of it, also when a worker is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.scoring_archive import SLIDES, Score, Tables, results, write_slide

from edge.contracts.errors import ConfigError
from edge.scoring.ray_score import workers_of

EXTRA = 14
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def with_ray() -> Iterator[None]:
    pytest.importorskip("ray", reason="ray is not installed; pip install 'leukostream[cluster]' to run this test")
    yield


def of_workers(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for each in process.children(recursive=True):
        try:
            if each.cmdline() and each.cmdline()[0].startswith("ray::MapWorker"):
                found.append(each)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.soak
@pytest.mark.parametrize("kills", [0, 1], ids=["nobody", "a worker is killed"])
def test_a_cluster_scores_what_one_process_does(
    archive: Path, score: Score, tables: Tables, tmp_path: Path, with_ray: None, kills: int
) -> None:
    for extra in range(EXTRA):
        write_slide(archive / f"t{extra}", [["lymphocyte"], ["eosinophil"]] * 10)
    (archive / "empty").mkdir()
    out = tmp_path / "out"
    words = [str(archive), "--bundle", str(tmp_path / "bundle"), "--out", str(out), "--um-per-px", "0.13", "--json"]
    command = [sys.executable, "-m", "edge.cli", "score", *words, "--ray", "local", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(kills):
            while process.poll() is None and len(list(out.glob("slides/*.parquet"))) < 3:
                time.sleep(0.01)
            at_work = of_workers(psutil.Process(process.pid))
            assert at_work, "no worker to kill"
            os.kill(at_work[0].pid, signal.SIGKILL)
        said, error = process.communicate(timeout=300)
    assert process.returncode == 4, error
    summary = json.loads(said)
    assert summary["scored"] == len(SLIDES) + EXTRA and [row["slide_id"] for row in summary["failed"]] == ["empty"]
    score(archive, out="whole")
    assert results(tables()) == results(tables("whole"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        pytest.param("127.0.0.1:9", "there is no Ray cluster at '127.0.0.1:9' (Connection refused)", id="nobody there"),
        pytest.param("ray://127.0.0.1:9", "there is no Ray cluster at", id="nobody there either"),
        pytest.param("everywhere", "'everywhere' is no cluster", id="no address"),
    ],
)
def test_a_cluster_that_is_not_there_is_said(archive: Path, score: Score, with_ray: None, address: str, says: str) -> None:
    code, _, error = score(archive, "--ray", address)
    assert code == 2 and says in error


def test_what_is_done_needs_no_cluster(archive: Path, score: Score) -> None:
    score(archive)
    code, said, _ = score(archive, "--ray", "local")
    assert (code, said["kept"]) == (0, 3)


@pytest.mark.parametrize(("text", "workers"), [(None, (1, None)), ("4", (4, 4)), ("1-16", (1, 16)), (" 2 - 3 ", (2, 3))])
def test_workers_are_a_number_or_a_range(text: str | None, workers: tuple[int, int | None]) -> None:
    assert workers_of(text) == workers


@pytest.mark.parametrize("text", ["0", "", "3-2", "-1", "a", "1-2-3"])
def test_what_is_no_number_of_workers_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no number of workers"):
        workers_of(text)


def test_options_of_ray_need_ray(archive: Path, score: Score, tmp_path: Path) -> None:
    code, _, error = score(archive, "--workers", "2")
    assert code == 2 and "are of Ray" in error and not (tmp_path / "out").exists()
