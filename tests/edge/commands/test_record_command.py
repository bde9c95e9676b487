"""`leuko-edge record`: every way it may end, what it says meanwhile, and where the recording is in each of them."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from support.full_disk import files_limited_to
from support.stand_ins import ListSource, frame_of

from edge.camera.frame import Frame, SourceNote
from edge.cli import main
from edge.contracts.errors import SourceError
from edge.watch import frame_capture

pytestmark = pytest.mark.timeout(60)
GONE = SourceNote("camera_lost", "the scripted camera was lost.", "warning")
BACK = SourceNote("camera_back", "the scripted camera is back.")
LARGE = frame_of(2, image=np.zeros((700, 700, 3), np.uint8))


def record(
    source: ListSource, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *options: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(frame_capture, "open_source", lambda *_: source)
    monkeypatch.setattr("sys.argv", ["leuko-edge", "record", "--source", "list:", "--out", str(out), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("script", "options", "room", "code", "frames", "says"),
    [
        pytest.param([frame_of(0), frame_of(1)], [], None, 0, 2, "", id="the source ends"),
        pytest.param([frame_of(0), frame_of(1)], ["--fields", "1"], None, 0, 1, "", id="as many as asked for"),
        pytest.param([frame_of(0), LARGE], ["--max-mb", "1"], None, 0, 1, "has reached its size after 1 images", id="its size"),
        pytest.param([frame_of(0), SourceError("it broke.")], [], None, 4, 1, "error (source): it broke.", id="it breaks"),
        pytest.param([SourceError("it broke.")], [], None, 4, 0, "error (source): it broke.", id="it breaks at once"),
        pytest.param([frame_of(0), LARGE], [], 3000, 4, 1, "cannot be written any more", id="an image that finds no room"),
        pytest.param(
            [frame_of(at, status="lost") for at in range(30)],
            [],
            3000,
            4,
            None,
            "cannot be written any more (File too large)",
            id="an index that finds none",
        ),
    ],
)
def test_every_end_says_where_the_recording_is(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    script: list[Frame | Exception],
    options: list[str],
    room: int | None,
    code: int,
    frames: int | None,
    says: str,
) -> None:
    source, out = ListSource(script), tmp_path / "r"
    with nullcontext() if room is None else files_limited_to(room):
        ended, said, problem = record(source, out, capsys, monkeypatch, *options)
    n_frames = len((out / "index.jsonl").read_text().splitlines()) - 1 if out.exists() else 0
    assert n_frames == frames or (frames is None and 0 < n_frames < len(script))
    assert (ended, said) == (code, f"recording:{out}  {n_frames} frames\n")
    assert problem.count(says) == 1 if says else not problem.strip(), "one sentence, or nothing"
    assert "Traceback" not in problem
    assert source.closed


def test_what_the_source_says_is_logged_when_it_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = list[str]()
    source = ListSource([])

    def say(note: SourceNote) -> Callable[[], None]:
        return lambda: source._notes.append(note)

    def listen() -> None:
        heard.append(capsys.readouterr().err)

    script = [say(GONE), frame_of(0), listen, say(BACK), frame_of(1), listen, say(GONE), SourceError("scripted: it broke.")]
    source._script = list(script)
    code, out, err = record(source, tmp_path / "r", capsys, monkeypatch)
    assert GONE.message in heard[0]
    assert BACK.message in heard[1]
    assert GONE.message in err, "also what was said when it ended"
    assert (code, out) == (4, f"recording:{tmp_path / 'r'}  2 frames\n")


def test_a_source_is_closed_when_there_is_nowhere_to_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ListSource([frame_of(0)]), tmp_path / "r", capsys, monkeypatch)
    source = ListSource([frame_of(0)])
    code, out, err = record(source, tmp_path / "r", capsys, monkeypatch)
    assert (code, out) == (4, "")
    assert "holds a recording already; give another folder." in err
    assert source.closed
