"""What was recorded comes back bit by bit, the frames that never came included; what cannot come back says so."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.full_disk import files_limited_to
from support.stand_ins import ListSource, Status, frame_of

from edge.camera.frame import Frame, FrameSource, SourceEnded, SourceTimeout
from edge.camera.frame_store import INDEX, FrameStore, StoredFrames, StoringSource
from edge.camera.tiff_store import TiffStore
from edge.camera.uri import open_source
from edge.contracts.errors import ConfigError, SourceError
from edge.watch.frame_capture import capture_frames

pytestmark = pytest.mark.timeout(60)
STATUSES: list[Status] = ["ok", "ok", "lost", "incomplete", "failed"]

LARGE = frame_of(1, image=np.zeros((64, 64, 3), np.uint8))


def noise(index: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.random.default_rng(index).integers(0, 256, (4, 8, 3)).astype(np.uint8)


def frames_of(statuses: list[Status]) -> list[Frame]:
    return [
        frame_of(index, status=status, image=noise(index) if status == "ok" else None) for index, status in enumerate(statuses)
    ]


def record(folder: Path, frames: list[Frame], max_mb: float = 100.0) -> list[str]:
    """Record frames as a run would; returns the codes of its notes."""
    source = ListSource(frames)
    kept, notes = StoringSource(source, FrameStore(folder, source.info, max_mb)), []
    for frame in frames:
        assert kept.read(0.1) is frame, "what is recorded is passed on as it is"
        notes += [note.code for note in kept.notes()]
    kept.close()
    return notes


def played(source: FrameSource) -> list[Frame]:
    seen = []
    while True:
        try:
            seen.append(source.read(0.1))
        except SourceTimeout:
            continue
        except SourceEnded:
            return seen


@settings(max_examples=20)
@given(statuses=st.lists(st.sampled_from(STATUSES), min_size=1, max_size=6))
def test_every_frame_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, statuses: list[Status]) -> None:
    folder, frames = tmp_path_factory.mktemp("recording") / "new", frames_of(statuses)
    assert record(folder, frames) == []
    back = played(open_source(f"recording:{folder}", None))
    for frame, again in zip(frames, back, strict=True):
        assert (again.trigger_id, again.field_index, again.status) == (frame.trigger_id, frame.field_index, frame.status)
        assert (again.detail, again.source_name) == (frame.detail, frame.source_name)
        assert (frame.image is None) is (again.image is None)
        if frame.image is not None:
            np.testing.assert_array_equal(again.image, frame.image)


def test_a_recording_is_read_anew_when_a_run_begins(tmp_path: Path) -> None:
    record(tmp_path / "r", frames_of(["ok"]))
    source = open_source(f"recording:{tmp_path / 'r'}", None)
    (tmp_path / "r").rename(tmp_path / "before")
    record(tmp_path / "r", frames_of(["ok", "lost", "ok"]))
    source.look_again()
    assert source.info.n_fields == 3
    source.start()
    assert [frame.status for frame in played(source)] == ["ok", "lost", "ok"]


def test_any_tiff_reader_sees_the_colours_and_the_scale(tmp_path: Path) -> None:
    record(tmp_path / "r", frames_of(["ok"]))
    with tifffile.TiffFile(tmp_path / "r" / "0000000.tif") as file:
        np.testing.assert_array_equal(file.asarray()[:, :, ::-1], noise(0))
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert 1e4 / (numerator / denominator) == pytest.approx(0.13, rel=1e-4), "as near as a TIFF fraction comes"


def test_a_recording_that_is_full_says_so_once_and_keeps_what_it_has(tmp_path: Path) -> None:
    assert record(tmp_path / "r", frames_of(["ok"] * 5), max_mb=3 * 96 / 1e6) == ["recording_full"]
    assert [frame.field_index for frame in played(StoredFrames(str(tmp_path / "r"), None))] == [0, 1, 2]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda file: file.unlink(), "cannot be read", id="gone"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:40]), "cannot be read", id="cut off"),
        pytest.param(lambda file: tifffile.imwrite(file, noise(9)), "is not what was recorded", id="another image"),
    ],
)
def test_a_file_that_is_not_what_was_recorded_is_a_failed_frame(tmp_path: Path, spoil: object, says: str) -> None:
    record(tmp_path / "r", frames_of(["ok", "ok"]))
    spoil(tmp_path / "r" / "0000001.tif")  # type: ignore[operator]
    good, bad = played(StoredFrames(str(tmp_path / "r"), None))
    assert good.status == "ok"
    assert (bad.status, bad.image) == ("failed", None)
    assert says in bad.detail


def test_an_index_that_ends_in_mid_line_loses_that_frame_alone(tmp_path: Path) -> None:
    record(tmp_path / "r", frames_of(["ok"] * 3))
    index = tmp_path / "r" / INDEX
    index.write_bytes(index.read_bytes()[:-20])
    source = StoredFrames(str(tmp_path / "r"), None)
    assert [note.code for note in source.notes()] == ["recording_cut"]
    assert len(played(source)) == 2


def test_the_original_pace_is_kept_and_a_waiting_read_can_be_ended(tmp_path: Path) -> None:
    frames = frames_of(["ok", "ok"])
    record(tmp_path / "r", frames)
    index = tmp_path / "r" / INDEX
    about, first, second = (json.loads(line) for line in index.read_text().splitlines())
    second["t_host_ns"] = first["t_host_ns"] + 150_000_000
    index.write_text("".join(json.dumps(line) + "\n" for line in (about, first, second)))
    source = StoredFrames(f"{tmp_path / 'r'},pace=original", None)
    began_s = time.monotonic()
    assert len(played(source)) == 2
    assert time.monotonic() - began_s >= 0.15, "never sooner than it was"
    second["t_host_ns"] += 60_000_000_000
    index.write_text("".join(json.dumps(line) + "\n" for line in (about, first, second)))
    source = StoredFrames(f"{tmp_path / 'r'},pace=original", None)
    source.read(1)
    threading.Timer(0.05, source.close).start()
    with pytest.raises(SourceEnded):
        source.read(30)


@pytest.mark.parametrize(
    ("rest", "um_per_px", "error", "says"),
    [
        pytest.param("nowhere", None, SourceError, "is no recording", id="no such folder"),
        pytest.param("r,pace=fast", None, ConfigError, "there is pace=original", id="unknown option"),
        pytest.param("r", 0.2, ConfigError, r"was made at 0\.13 um/px", id="another scale"),
        pytest.param("empty", None, SourceError, "0 frames", id="no frame in it"),
        pytest.param("other", None, SourceError, "cannot be used", id="another index"),
    ],
)
def test_what_is_no_recording_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: str, um_per_px: float | None, error: type[Exception], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    record(tmp_path / "r", frames_of(["ok"]))
    record(tmp_path / "empty", frames_of(["ok"]))
    (tmp_path / "empty" / INDEX).write_text((tmp_path / "empty" / INDEX).read_text().splitlines(keepends=True)[0])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / INDEX).write_text("[1]\n[2]\n")
    with pytest.raises(error, match=says):
        StoredFrames(rest, um_per_px)


def test_a_folder_that_holds_a_recording_is_not_written_over(tmp_path: Path) -> None:
    record(tmp_path / "r", frames_of(["ok"]))
    with pytest.raises(SourceError, match="holds a recording already"):
        record(tmp_path / "r", frames_of(["ok"]))


def test_a_disk_that_takes_no_more_is_an_error_and_what_was_recorded_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = tifffile.imwrite, []

    def full(path: Path, *what: object, **how: object) -> None:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, *what, **how)

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(SourceError, match=r"cannot be written any more \(No space left on device\); 2 images are in it"):
        capture_frames("virtual:fields=5,width=64,height=48,variants=1,rbc=1", None, tmp_path / "r", None, 10_000.0)
    assert len(played(StoredFrames(str(tmp_path / "r"), None))) == 2


@pytest.mark.parametrize(
    ("frames", "expected", "why"),
    [
        pytest.param(frames_of(["lost"] * 30), range(1, 29), "File too large", id="the index is what finds no room"),
        pytest.param([*frames_of(["ok"]), LARGE], [1], "12288 requested and", id="an image finds none"),
        pytest.param([LARGE], [0], "12288 requested and", id="not even the first one does"),
    ],
)
def test_a_full_disk_ends_a_recording_that_is_whole(
    tmp_path: Path, frames: list[Frame], expected: Collection[int], why: str
) -> None:
    folder = tmp_path / "r"
    with files_limited_to(3000):
        store = FrameStore(folder, ListSource(frames).info, 100.0)
        for frame in frames:
            store.add(frame)
        store.close()
        store.close()
    kept = store.n_frames
    assert kept in expected
    assert store.failed
    assert f"cannot be written any more ({why}" in store.full
    assert store.full.endswith(f"); {kept} images are in it.")
    assert folder.exists() is bool(kept)
    if kept:
        source = StoredFrames(str(folder), None)
        assert source.notes() == [], "no line of the index is cut off"
        back = played(source)
        assert [frame.status for frame in back] == [frame.status for frame in frames[:kept]]
        assert len(list(folder.glob("*.tif"))) == sum(frame.status == "ok" for frame in back), "no part of an image stays"


class RefusingFile:
    """A file on a disk that says only at the end what it has not taken, as one in a network may."""

    closed = False

    def close(self) -> None:
        self.closed = True
        raise OSError(5, "Input/output error")


def test_a_disk_that_refuses_at_the_end_is_told_and_raises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TiffStore(tmp_path / "r", INDEX, {}, 1.0)
    store.keep({}, noise(0), 0.13)
    store._index.close()
    monkeypatch.setattr(store, "_index", RefusingFile())
    store.close()
    store.close()
    store.keep({}, noise(1), 0.13)
    assert (store.failed, store.n_kept) == (True, 1)
    assert "cannot be written any more (Input/output error); 1 images are in it." in store.full


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(None, None, id="a new folder goes with it"),
        pytest.param([], [], id="a folder that was there stays"),
        pytest.param(["notes.txt"], ["notes.txt"], id="and so does what lies in it"),
    ],
)
def test_a_recording_without_a_frame_leaves_nothing_in_the_way(
    tmp_path: Path, before: list[str] | None, after: list[str] | None
) -> None:
    folder = tmp_path / "r"
    if before is not None:
        folder.mkdir()
        for name in before:
            (folder / name).touch()
    store = FrameStore(folder, ListSource([]).info, 100.0)
    assert (folder / INDEX).exists()
    store.close()
    assert (sorted(path.name for path in folder.iterdir()) if folder.exists() else None) == after
    record(folder, frames_of(["ok"]))
    store.close()
    assert len(played(StoredFrames(str(folder), None))) == 1, "the next one is not taken for a recording without frames"


def test_a_disk_without_room_for_the_first_line_leaves_nothing_either(tmp_path: Path) -> None:
    with files_limited_to(10), pytest.raises(SourceError, match=r"cannot be written \(File too large\); give another folder"):
        FrameStore(tmp_path / "r", ListSource([]).info, 100.0)
    assert not (tmp_path / "r").exists()


def test_the_command_records_a_source_and_plays_it_back(tmp_path: Path) -> None:
    slide = "virtual:fields=3,width=64,height=48,variants=1,rbc=1,lose_every=2"
    command = [sys.executable, "-m", "edge.cli", "record", "--source", slide, "--out", str(tmp_path / "r")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=True)
    assert done.stdout == f"recording:{tmp_path / 'r'}  3 frames\n"
    source = open_source(f"recording:{tmp_path / 'r'}", None)
    assert (source.info.is_synthetic, source.info.um_per_px) == (True, 0.13)
    original = played(open_source(slide, None))
    for frame, again in zip(original, played(source), strict=True):
        assert (again.status, again.stage_nm) == (frame.status, frame.stage_nm)
        if frame.image is not None:
            np.testing.assert_array_equal(again.image, frame.image)
