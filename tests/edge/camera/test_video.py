"""A video's end is its end only when the announced frames have come."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.frame import SourceEnded
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
