"""A video's end is its end only when the announced frames have come."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.damage import DAMAGES, Damage

from edge.camera.frame import Frame, SourceEnded
from edge.camera.video import VideoSource
from edge.contracts.errors import SourceError

pytestmark = pytest.mark.timeout(20)
N = 40


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "run.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (96, 64))
    for index in range(N):
        writer.write(np.full((64, 96, 3), 5 * index, np.uint8))
    writer.release()
    return path


def test_every_frame_once_in_order(video: Path) -> None:
    source = VideoSource(str(video), 0.13)
    assert (source.info.width_px, source.info.height_px, source.info.n_fields) == (96, 64, N)
    levels = []
    for index in range(N):
        frame = source.read(1.0)
        assert frame.status == "ok" and frame.image is not None
        assert (frame.field_index, frame.frame_id, frame.source_name) == (index, index, f"run.avi#{index}")
        levels.append(int(np.median(frame.image)))
    with pytest.raises(SourceEnded):
        source.read(1.0)
    assert source.notes() == []
    np.testing.assert_allclose(levels, 5 * np.arange(N), atol=2)
    source.close()


def test_what_was_there_before_the_run_is_not_in_it(video: Path) -> None:
    source = VideoSource(str(video), 0.13)
    other = video.parent / "other.avi"
    writer = cv2.VideoWriter(str(other), cv2.VideoWriter_fourcc(*"MJPG"), 25, (96, 64))
    for _ in range(3):
        writer.write(np.full((64, 96, 3), 250, np.uint8))
    writer.release()
    other.replace(video)
    source.look_again()
    assert source.info.n_fields == 3
    source.start()
    frames = frames_of(source)
    assert len(frames) == 3
    assert all(frame.image is not None and np.median(frame.image) > 200 for frame in frames)


def test_a_colon_in_a_name_is_no_address(video: Path) -> None:
    other = video.rename(video.parent / "scan 12:30:01.avi")
    assert len(frames_of(VideoSource(str(other), 0.13))) == N


def hole(content: bytes, at: int, n_bytes: int = 400) -> bytes:
    return content[:at] + bytes(n_bytes) + content[at + n_bytes :]


def grain(seed: int, level: int = 100) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(-60, 60, (16, 24, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (192, 128), interpolation=cv2.INTER_CUBIC) + level, 0, 255).astype(np.uint8)


def written(path: Path, fourcc: str, images: list[np.ndarray]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), 25, (192, 128))
    for image in images:
        writer.write(image)
    writer.release()
    return path


def with_pyav(path: Path, codec: str, images: list[np.ndarray], options: dict[str, str] | None = None) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        stream.codec_context.gop_size = 6
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


SEEN = [grain(seed) for seed in range(12)]
"""Every frame shows something else: one that shows its neighbour is told by its pixels."""
CHECKED = {"level": "3", "slicecrc": "1", "slices": "4"}
"""FFV1 as archives keep it."""


@pytest.mark.parametrize(
    ("name", "write"),
    [
        pytest.param("a.avi", lambda path: written(path, "MJPG", SEEN), id="MJPEG in AVI"),
        pytest.param("a.mp4", lambda path: written(path, "mp4v", SEEN), id="MPEG-4 in MP4"),
        pytest.param("a.mp4", lambda path: with_pyav(path, "libx264", SEEN), id="H.264 in MP4"),
        pytest.param("a.mkv", lambda path: with_pyav(path, "libx264", SEEN), id="H.264 in Matroska"),
        pytest.param("a.mkv", lambda path: with_pyav(path, "ffv1", SEEN, CHECKED), id="FFV1 with checksums in Matroska"),
        pytest.param("a.avi", lambda path: with_pyav(path, "ffv1", SEEN, CHECKED), id="FFV1 with checksums in AVI"),
        pytest.param("a.mjpeg", lambda path: path.write_bytes(b"".join(jpegs(SEEN))), id="JPEGs in a row"),
    ],
)
def test_a_damaged_frame_is_incomplete_and_never_the_one_before(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    path = tmp_path / name
    write(path)
    whole = frames_of(VideoSource(str(path), 0.13))
    assert [frame.status for frame in whole] == ["ok"] * len(SEEN)
    content = path.read_bytes()
    for at in range(len(content) // 4, len(content) * 3 // 4, len(content) // 9):
        path.write_bytes(hole(content, at))
        frames = frames_of(VideoSource(str(path), 0.13))
        assert "incomplete" in {frame.status for frame in frames} <= {"ok", "incomplete", "lost"}
        assert all(frame.detail.endswith(".") for frame in frames if frame.image is None)
        if name != "a.mjpeg":  # a bare row of pictures says nowhere how many there were
            assert len(frames) == len(SEEN), "every frame is accounted for"
        seen = []
        for frame in frames:
            if frame.image is not None:
                apart = [np.abs(frame.image.astype(int) - known.image).mean() for known in whole if known.image is not None]
                assert min(apart) < 1.0, "whole is whole"
                seen.append(int(np.argmin(apart)))
        assert seen == sorted(set(seen)), "no frame is seen twice"


@pytest.mark.parametrize("damage", [pytest.param(damage, id=name) for name, damage in DAMAGES.items()])
@pytest.mark.parametrize("level", ["3", "4"])
def test_checksums_of_ffv1_tell_every_damage(tmp_path: Path, damage: Damage, level: str) -> None:
    """FFmpeg would fill a slice whose checksum does not hold from the picture before, and say nothing."""
    path = with_pyav(tmp_path / "a.mkv", "ffv1", SEEN, {**CHECKED, "level": level, "strict": "experimental"})
    whole, content = frames_of(VideoSource(str(path), 0.13)), path.read_bytes()
    for seed in range(3):
        path.write_bytes(damage(content, np.random.default_rng(seed), len(content) // 5))
        frames = []
        with suppress(SourceError, SourceEnded):
            source = VideoSource(str(path), 0.13)
            while True:
                frames.append(source.read(1.0))
        for frame in frames:
            assert frame.image is None or any(np.array_equal(frame.image, known.image) for known in whole)


def jpegs(images: list[np.ndarray]) -> list[bytes]:
    return [bytes(cv2.imencode(".jpg", image)[1]) for image in images]


def test_a_frame_of_another_size_fails_by_the_size_it_has(tmp_path: Path) -> None:
    """OpenCV would scale it to the first one's size: cells of a region would be twice as large."""
    path = tmp_path / "a.mjpeg"
    path.write_bytes(b"".join(jpegs([SEEN[0], SEEN[1], SEEN[2][:64, :96], SEEN[3]])))
    frames = frames_of(VideoSource(str(path), 0.13))
    assert [frame.status for frame in frames] == ["ok", "ok", "failed", "ok"]
    assert "frame 2 of" in frames[2].detail and "96 x 64 px and not 192 x 128 px" in frames[2].detail


def test_motion_jpeg_without_its_tables_is_whole(tmp_path: Path) -> None:
    """Cameras leave the usual Huffman tables out."""

    def without_tables(jpeg: bytes) -> bytes:
        at = jpeg.index(b"\xff\xc4")
        while jpeg[at : at + 2] == b"\xff\xc4":
            jpeg = jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]
        return jpeg

    path = tmp_path / "a.mjpeg"
    path.write_bytes(b"".join(without_tables(jpeg) for jpeg in jpegs(SEEN)))
    assert [frame.status for frame in frames_of(VideoSource(str(path), 0.13))] == ["ok"] * len(SEEN)


def frames_of(source: VideoSource) -> list[Frame]:
    frames = []
    with suppress(SourceEnded):
        while True:
            frames.append(source.read(1.0))
    source.close()
    return frames


def test_frames_missing_at_the_end_are_an_error_not_the_end(video: Path) -> None:
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    source = VideoSource(str(video), 0.13)
    with pytest.raises(SourceError, match=rf"stopped after \d+ of {N} announced frames") as caught:
        for _ in range(N + 1):
            source.read(1.0)
    assert "\n" not in str(caught.value)
    source.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "does not exist", id="no such file"),
        pytest.param(b"", "cannot be read", id="empty file"),
        pytest.param(b"not a video at all" * 100, "cannot be read", id="no video"),
        pytest.param("head", "cannot be read", id="only the header was copied"),
    ],
)
def test_what_cannot_be_opened_says_why(video: Path, content: bytes | str | None, words: str) -> None:
    path = video.parent / "other.avi"
    if content is not None:
        path.write_bytes(video.read_bytes()[:400] if isinstance(content, str) else content)
    with pytest.raises(SourceError, match=words):
        VideoSource(str(path), 0.13)
