"""Processes that are killed, engines that fail: what is done stays done, what is not is done by the next call."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.emulated_server import emulated_server
from support.scoring_archive import SLIDES, Score, Tables, results, write_slide
from support.tiny_bundle import BLOBS

import edge.scoring.engine_shelf as shelf
from edge.camera.resample import FitPlan
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.detections import Image
from edge.contracts.errors import EngineError
from edge.engine.base import Engine
from edge.pipeline.parts import open_for
from edge.scoring.slide_score import IN_A_ROW
from edge.settings import EdgeSettings

pytestmark = pytest.mark.timeout(150)
EXTRA = 12
"""Slides that give a signal the time to come in the middle."""


@contextlib.contextmanager
def scoring(archive: Path, tmp_path: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    where = ["--bundle", str(tmp_path / "bundle"), "--out", str(tmp_path / "out"), "--um-per-px", "0.13", "--json"]
    command = [sys.executable, "-m", "edge.cli", "score", str(archive), *where, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def done(out: Path) -> int:
    return len(list(out.glob("slides/*.parquet")))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.soak)])
def test_a_process_that_is_ended_in_mid_slide_is_gone_on_with(
    archive: Path, score: Score, tables: Tables, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    for extra in range(EXTRA):
        write_slide(archive / f"t{extra}", [["lymphocyte"], ["eosinophil"]])
    for _ in range(4):  # until it was not faster than the signal
        with scoring(archive, tmp_path) as process:
            while process.poll() is None and done(tmp_path / "out") < 3:
                time.sleep(0.005)
            process.send_signal(number)
            process.communicate(timeout=60)
        before = done(tmp_path / "out")
        if process.returncode != 0:
            break
        shutil.rmtree(tmp_path / "out")
    assert process.returncode == code and 3 <= before <= len(SLIDES) + EXTRA
    ended, said, _ = score(archive)
    assert ended == 0 and said["slides"] == len(SLIDES) + EXTRA and said["kept"] == before
    score(archive, out="whole")
    assert results(tables()) == results(tables("whole"))


def test_two_processes_may_score_the_same_archive(archive: Path, score: Score, tables: Tables, tmp_path: Path) -> None:
    with scoring(archive, tmp_path) as one, scoring(archive, tmp_path) as other:
        ends = [process.communicate(timeout=100) and process.returncode for process in (one, other)]
    assert ends == [0, 0]
    score(archive, out="whole")
    assert results(tables()) == results(tables("whole"))


class Failing:
    """An engine that fails on command: where `fails` is true of the first frame of a slot."""

    def __init__(self, engine: Engine, fails: Callable[[Image], bool]) -> None:
        self._engine, self._fails = engine, fails

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def submit(self, index: int, n: int) -> None:
        if self._fails(self._engine.slot(index)[0]):
            raise EngineError("the GPU gave no answer; restart the edge.")
        self._engine.submit(index, n)


def test_an_engine_that_fails_once_costs_no_slide(archive: Path, score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Failing] = []

    def opening(plan: FitPlan, bundle: Bundle, settings: EdgeSettings) -> Failing:
        is_first = not opened
        opened.append(Failing(open_for(plan, bundle, settings), lambda _: is_first))
        return opened[-1]

    monkeypatch.setattr(shelf, "open_for", opening)
    code, said, warned = score(archive)
    assert (code, said["scored"], len(opened)) == (0, 3, 2)
    assert "it is scored once more by a fresh engine" in warned.lower()


def test_a_slide_on_which_every_engine_fails_is_a_row_that_the_next_call_tries_again(
    archive: Path, score: Score, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # s2 alone has a giant platelet
        platelet = BLOBS["platelet_giant"]
        patch.setattr(shelf, "open_for", lambda *what: Failing(open_for(*what), lambda frame: tuple(frame[50, 20]) == platelet))
        code, said, _ = score(archive)
    assert code == 5 and said["scored"] == 2
    (row,) = [row for row in tables()["slides"] if row["status"] == "failed"]
    assert (row["slide_id"], row["failure"], row["wbc"]) == ("s2", "engine", None) and "gave no answer" in row["detail"]
    code, said, _ = score(archive)
    assert (code, said["kept"], said["scored"]) == (0, 2, 3)


def test_a_machine_on_which_no_engine_opens_does_not_use_up_the_archive(
    archive: Path, score: Score, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    for extra in range(3):
        write_slide(archive / f"t{extra}", [["lymphocyte"]])

    def refuse(*_: object) -> None:
        raise EngineError("there is no GPU here; install one.")

    with monkeypatch.context() as patch:
        patch.setattr(shelf, "open_for", refuse)
        code, said, error = score(archive)
    assert code == 5 and said == {} and f"for {IN_A_ROW} slides in a row" in error and "no GPU here" in error
    assert len(tables()["slides"]) == IN_A_ROW
    code, said, _ = score(archive)
    assert (code, said["kept"], said["scored"]) == (0, 0, 6)


def test_a_defect_is_one_slides_row(archive: Path, score: Score, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("edge.scoring.slide_score.require_camera", None)
        patch.setattr("edge.scoring.slide_score.open_paths", lambda paths, _: 1 / 0 if "s10" in paths[0] else pytest.fail())
        code, said, _ = score(archive, "--shard", "2/3")
    assert code == 1 and "ZeroDivisionError" in said["failed"][0]["detail"]
    code, said, _ = score(archive)
    assert (code, said["kept"], len(tables()["slides"])) == (0, 0, 3)


def test_settings_that_no_engine_can_have_are_no_slides_matter(archive: Path, score: Score) -> None:
    code, _, error = score(archive, "--engine", "tensorrt", "--precision", "f32")
    assert code == 5 and "precision f32 is OpenVINO's" in error


def test_a_server_that_fails_in_mid_archive_is_in_the_rows(archive: Path, score: Score, tables: Tables, tmp_path: Path) -> None:
    with emulated_server(load_bundle(tmp_path / "bundle")) as server:
        server.does.fails_after = 4  # one at opening and the three fields of the first slide
        words = ("--server", server.address, "--server-fallback", "--server-deadline-ms", "20000", "--allow-ungated-engine")
        code, _, _ = score(archive, *words)
    slides = {row["slide_id"]: row for row in tables()["slides"]}
    assert code == 0 and [slides[name]["engine_parity"] for name in SLIDES] == ["waived", "waived", "not_needed"]
    said = {name: [note for note in slides[name]["notes"] if "From here on OpenVINO" in note] for name in SLIDES}
    assert [len(said[name]) for name in SLIDES] == [0, 1, 0]
