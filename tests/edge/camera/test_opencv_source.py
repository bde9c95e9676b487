"""A free-running camera over a real socket: newest frame, never the same one twice."""

import time

import pytest
from support.mjpeg import HEIGHT_PX, WIDTH_PX, mjpeg_camera, number_of

from leukostream.edge.camera import opencv
from leukostream.edge.camera.frame import SourceTimeout
from leukostream.edge.camera.opencv import open_opencv
from leukostream.edge.contracts.errors import SourceError

pytestmark = pytest.mark.timeout(30)


def test_a_slow_reader_gets_new_frames_not_buffered_ones() -> None:
    with mjpeg_camera(n_frames=200, fps=100) as url:
        source = open_opencv(url, 0.13)
        assert (source.info.width_px, source.info.height_px, source.info.n_fields) == (WIDTH_PX, HEIGHT_PX, None)
        seen = []
        for index in range(6):
            frame = source.read(5.0)
            assert frame.status == "ok" and frame.image is not None and frame.field_index == index
            assert frame.t_trigger_ns <= frame.t_host_ns
            assert number_of(frame.image) == frame.frame_id, "the image is the one its counter says"
            seen.append(frame.frame_id)
            time.sleep(0.1)
        source.close()
    assert seen == sorted(set(seen)), "a frame was served twice or out of order"
    assert seen[-1] > len(seen), "frames that nobody asked for in time must be passed over"


def test_a_stalled_camera_times_out_and_a_closed_one_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv, "GIVE_UP_AFTER_S", 0.2)
    with mjpeg_camera(n_frames=5, fps=50) as url:
        source = open_opencv(url, 0.13)
        with pytest.raises(SourceError, match=f"{url} stopped delivering frames"):
            for _ in range(10):
                source.read(5.0)
        source.close()
    with mjpeg_camera(n_frames=30, fps=200, then="stall") as url:
        source = open_opencv(url, 0.13)
        with pytest.raises(SourceTimeout, match=r"gave no new frame within 0\.5 s"):
            for _ in range(31):
                source.read(0.5)
    source.close()


@pytest.mark.parametrize(
    "device",
    [
        pytest.param("97", id="no camera of this index"),
        pytest.param("http://127.0.0.1:9/stream", id="nobody listens there"),
    ],
)
def test_a_camera_that_is_not_there_says_so(device: str) -> None:
    with pytest.raises(SourceError, match=f"camera {device} is not there"):
        open_opencv(device, 0.13)
