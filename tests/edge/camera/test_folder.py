"""Every image file is exactly one frame, whatever is wrong with it."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.folder import FolderSource
from edge.camera.frame import Frame, SourceEnded
from edge.contracts.errors import SourceError

pytestmark = pytest.mark.timeout(20)
UM = 0.13


def picture(seed: int = 0, width_px: int = 80, height_px: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (8, 10, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


def encoded(suffix: str, image: np.ndarray | None = None) -> bytes:
    return bytes(cv2.imencode(suffix, picture() if image is None else image)[1])


def frames_of(source: FolderSource) -> list[Frame]:
    frames = []
    while True:
        try:
            frames.append(source.read(1.0))
        except SourceEnded:
            return frames


def test_natural_order_and_frame_contract(tmp_path: Path) -> None:
    for index in (10, 9, 1):
        (tmp_path / f"field_{index}.PNG").write_bytes(encoded(".png", picture(index)))
    source = FolderSource(str(tmp_path), UM)
    frames = frames_of(source)
    assert [frame.source_name for frame in frames] == ["field_1.PNG", "field_9.PNG", "field_10.PNG"]
    assert (source.info.width_px, source.info.height_px, source.info.n_fields) == (80, 64, 3)
    assert len({frame.trigger_id for frame in frames}) == 3
    for index, frame in enumerate(frames):
        assert (frame.field_index, frame.status, frame.um_per_px) == (index, "ok", UM)
        assert frame.image is not None and frame.image.flags.c_contiguous
        np.testing.assert_array_equal(frame.image, picture((1, 9, 10)[index]))
        assert frame.t_host_ns >= frame.t_trigger_ns
    assert source.notes() == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("bad.jpg", b"", "empty (0 bytes)", id="zero bytes"),
        pytest.param("bad.jpg", encoded(".jpg")[:-40], "truncated JPEG", id="JPEG cut short"),
        pytest.param(
            "bad.jpg",
            encoded(".jpg")[:300] + bytes(2000),
            "truncated JPEG",
            id="JPEG with a tail of zeros, as a full disk leaves",
        ),
        pytest.param("bad.png", encoded(".png")[:-30], "cannot be decoded", id="PNG cut short"),
        pytest.param("bad.bmp", encoded(".bmp")[:-500], "cannot be decoded", id="BMP cut short"),
        pytest.param("bad.tif", encoded(".tif")[:-500], "cannot be decoded", id="TIFF cut short"),
        pytest.param("bad.png", b"these are not the pixels", "cannot be decoded", id="text with an image's name"),
        pytest.param("bad.png", encoded(".png", picture().astype(np.uint16) * 256), "uint16", id="16 bits per channel"),
        pytest.param("bad.tif", encoded(".tif", picture().astype(np.float32)), "float32", id="floating point"),
    ],
)
def test_one_bad_image_among_good_ones_fails_alone(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    (tmp_path / name).write_bytes(content)
    (tmp_path / "c.png").write_bytes(encoded(".png"))
    frames = frames_of(FolderSource(str(tmp_path), UM))
    assert [frame.status for frame in frames] == ["ok", "failed", "ok"]
    assert frames[1].image is None and frames[1].source_name == name
    assert words in frames[1].detail and name in frames[1].detail and frames[1].detail.endswith(".")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_no_cut_passes_as_a_whole_image(tmp_path: Path, suffix: str) -> None:
    content = encoded(suffix)
    cuts = sorted({0, 1, 2, 10, *range(20, len(content), max(1, len(content) // 60)), len(content) - 2, len(content) - 1})
    (tmp_path / "000.png").write_bytes(encoded(".png"))
    for cut in cuts:
        (tmp_path / f"1{cut:06d}{suffix}").write_bytes(content[:cut])
    frames = frames_of(FolderSource(str(tmp_path), UM))
    assert [frame.source_name for frame in frames[1:] if frame.status == "ok"] == []
    assert len(frames) == len(cuts) + 1


def test_a_thumbnail_s_end_marker_is_not_the_image_s(tmp_path: Path) -> None:
    whole = encoded(".jpg")
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + len(whole)) + whole
    with_thumbnail = whole[:2] + thumbnail + whole[2:]
    (tmp_path / "a.jpg").write_bytes(with_thumbnail)
    (tmp_path / "b.jpg").write_bytes(with_thumbnail[:-100] + bytes(100))
    assert [frame.status for frame in frames_of(FolderSource(str(tmp_path), UM))] == ["ok", "failed"]


def test_pixels_are_taken_as_stored_not_as_exif_turns_them(tmp_path: Path) -> None:
    quarter_turn = b"MM\x00\x2a" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\x00\x00" + quarter_turn
    whole = encoded(".jpg")
    tagged = whole[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + whole[2:]
    assert cv2.imdecode(np.frombuffer(tagged, np.uint8), cv2.IMREAD_COLOR).shape == (80, 64, 3), "the tag turns the image"
    (tmp_path / "a.jpg").write_bytes(tagged)
    (frame,) = frames_of(FolderSource(str(tmp_path), UM))
    assert frame.image is not None and frame.image.shape == (64, 80, 3)


def test_conversions_and_ignored_files_are_said_once(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"grey{index}.png").write_bytes(encoded(".png", picture()[..., 0]))
        (tmp_path / f"rgba{index}.png").write_bytes(encoded(".png", cv2.cvtColor(picture(), cv2.COLOR_BGR2BGRA)))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "sub").mkdir()
    source = FolderSource(str(tmp_path), UM)
    before = source.notes()
    frames = frames_of(source)
    assert [frame.status for frame in frames] == ["ok"] * 6
    assert all(frame.image is not None and frame.image.shape == (64, 80, 3) for frame in frames)
    notes = before + source.notes()
    assert [note.code for note in notes] == ["files_ignored", "grey_converted", "alpha_dropped"]
    assert "2 entries" in notes[0].message
    assert source.notes() == []


def test_bad_images_ahead_of_the_first_good_one_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(encoded(".png"))
    source = FolderSource(str(tmp_path), UM)
    assert [frame.status for frame in frames_of(source)] == ["failed", "ok"]


def test_each_image_comes_at_its_own_size(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    (tmp_path / "b.png").write_bytes(encoded(".png", picture(1, 64, 80)))
    source = FolderSource(str(tmp_path), UM)
    assert (source.info.width_px, source.info.height_px, source.info.one_size) == (80, 64, False)
    assert [frame.image.shape for frame in frames_of(source) if frame.image is not None] == [(64, 80, 3), (80, 64, 3)]


def test_a_file_gone_in_mid_run_is_a_failed_frame(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(encoded(".png"))
    source = FolderSource(str(tmp_path), UM)
    (tmp_path / "b.png").unlink()
    frames = frames_of(source)
    assert [frame.status for frame in frames] == ["ok", "failed", "ok"]
    assert "No such file" in frames[1].detail


def test_globs_and_single_files(tmp_path: Path) -> None:
    for name in ("run1/a2.png", "run1/a10.png", "run2/a1.png", "run2/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(Path(name).suffix))
    matched = frames_of(FolderSource(f"{tmp_path}/run*/a*.png", UM))
    assert [frame.source_name for frame in matched] == ["run1/a2.png", "run1/a10.png", "run2/a1.png"]
    assert [frame.source_name for frame in frames_of(FolderSource(str(tmp_path / "run2/b.jpg"), UM))] == ["b.jpg"]


@pytest.mark.parametrize(
    ("files", "path", "words"),
    [
        pytest.param({}, "nowhere", "does not exist", id="no such folder"),
        pytest.param({}, "*.png", "does not exist", id="a glob without a match"),
        pytest.param({}, ".", "holds no image file", id="empty folder"),
        pytest.param({"a.txt": b"hello"}, ".", "holds no image file", id="no image in it"),
        pytest.param({"a.txt": b"hello"}, "a.txt", "holds no image file", id="a file that is no image"),
        pytest.param({"a.png": b"", "b.png": b"x"}, ".", "not one of the 2 image file(s)", id="every image is damaged"),
    ],
)
def test_what_cannot_be_opened_says_why(tmp_path: Path, files: dict[str, bytes], path: str, words: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        FolderSource(str(tmp_path / path), UM)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_what_was_there_before_the_run_is_not_in_it(tmp_path: Path) -> None:
    """The edge is opened with the last slide's files there, and waits; the next slide's replace them before its run begins."""
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(encoded(".png", picture(1)))
    source = FolderSource(str(tmp_path), UM)
    for name in ("1.png", "2.png", "3.png"):
        (tmp_path / name).write_bytes(encoded(".png", picture(2)))
    source.look_again()
    assert source.info.n_fields == 3, "run_start says it before the first field comes"
    source.start()
    frames = frames_of(source)
    assert len(frames) == 3
    for frame in frames:
        assert frame.image is not None
        np.testing.assert_array_equal(frame.image, picture(2))


def test_a_second_start_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(encoded(".png"))
    source = FolderSource(str(tmp_path), UM)
    source.start()
    assert len(frames_of(source)) == 1
    (tmp_path / "2.png").write_bytes(encoded(".png"))
    source.start()
    assert [frame.field_index for frame in frames_of(source)] == [0, 1]


def test_a_folder_gone_before_the_run_is_said_when_it_begins(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "1.png").write_bytes(encoded(".png"))
    source = FolderSource(str(tmp_path / "scan"), UM)
    (tmp_path / "scan" / "1.png").unlink()
    with pytest.raises(SourceError, match="holds no image file"):
        source.start()


def test_each_page_is_a_field_and_a_damaged_file_one_that_failed(tmp_path: Path) -> None:
    pages = [encoded(".jpg", picture(seed)) for seed in range(3)]
    (tmp_path / "a.jpg").write_bytes(b"".join(pages))
    (tmp_path / "b.jpg").write_bytes(pages[0][:-60])
    (tmp_path / "c.jpg").write_bytes(pages[0])
    frames = frames_of(FolderSource(str(tmp_path), UM))
    assert [frame.source_name for frame in frames] == ["a.jpg#0", "a.jpg#1", "a.jpg#2", "b.jpg", "c.jpg"]
    assert [frame.status for frame in frames] == ["ok", "ok", "ok", "failed", "ok"]
    assert [frame.field_index for frame in frames] == [0, 1, 2, 3, 4]


def test_what_only_has_an_image_s_name_fails_or_is_noted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "0 pipe.png")
    (tmp_path / "1.png").write_bytes(encoded(".png"))
    (tmp_path / "2 broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "3.gif").write_bytes(b"GIF89a")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "._1.png").write_bytes(b"\x00\x05\x16\x07")
    source = FolderSource(str(tmp_path), UM)
    notes = source.notes()
    frames = frames_of(source)
    assert [frame.status for frame in frames] == ["failed", "ok", "failed", "failed"]
    assert [note.severity for note in notes] == ["info", "warning"]
    assert "._1.png" in notes[0].message and "1 entry" in notes[1].message


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        pytest.param("x" * 300, "cannot be looked into", id="a name that is too long"),
        pytest.param("nul\x00byte", "does not exist", id="a name that cannot be"),
    ],
)
def test_a_path_that_cannot_be_looked_at_is_one_sentence(pattern: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        FolderSource(pattern, UM)


def test_folders_that_may_not_be_looked_into_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the system says of them, because whoever runs these tests may be allowed everything."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encoded(".png"))
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "b")
    source = FolderSource(str(tmp_path / "*" / "*.png"), UM)
    assert [note.code for note in source.notes()] == ["folders_closed"]
