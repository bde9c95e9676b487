"""A free-running camera over a real socket: newest frame, never the same one twice."""

import itertools
import time
from contextlib import closing, suppress
from typing import Literal

import cv2
import numpy as np
import pytest
from support.mjpeg import HEIGHT_PX, WIDTH_PX, mjpeg_camera, number_of, numbered

from edge.camera import opencv
from edge.camera.frame import Frame, FrameSource, SourceNote, SourceTimeout
from edge.camera.industrial.camera_device import CameraLost
from edge.camera.opencv import open_opencv
from edge.contracts.errors import SourceError

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


def next_frame(source: FrameSource) -> Frame:
    """What was taken off the driver before the source began is passed over."""
    for _ in range(100):
        with suppress(SourceTimeout):
            return source.read(0.1)
    raise AssertionError("no frame came")


def read_until(source: FrameSource, code: str, reads: int = 400) -> list[SourceNote]:
    """Read on until the source has said `code`; everything it said."""
    notes: list[SourceNote] = []
    for _ in range(reads):
        with suppress(SourceTimeout):
            source.read(0.05)
        notes += source.notes()
        if code in {note.code for note in notes}:
            return notes
    raise AssertionError(f"{code} was never said, only {[note.code for note in notes]}")


@pytest.mark.parametrize(
    ("then", "why"),
    [
        pytest.param("hang up", "it stopped delivering frames", id="the stream ends"),
        pytest.param("stall", "it gave no frame for 0.3 s", id="the connection stays and nothing comes"),
    ],
)
def test_a_camera_that_gives_nothing_is_lost_and_found_again(
    then: Literal["hang up", "stall"], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencv, "GIVE_UP_AFTER_S", 0.2)
    monkeypatch.setattr(opencv, "OPEN_TIMEOUT_MS", 300)
    numbers = itertools.count()
    with mjpeg_camera(n_frames=5, fps=50, then=then, picture=lambda _: numbered(next(numbers))) as url:
        source = open_opencv(f"{url},silent_s=0.3", 0.13)
        notes = read_until(source, "camera_back")
        assert notes[0].code == "camera_lost"
        assert why in notes[0].message
        assert next_frame(source).status == "ok", "the server begins anew for each client"
        source.close()


def test_a_camera_that_stays_away_ends_the_run_by_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv, "GIVE_UP_AFTER_S", 0.2)
    with mjpeg_camera(n_frames=5, fps=50) as url:
        source = open_opencv(f"{url},lost_s=0", 0.13)
        with pytest.raises(CameraLost, match=rf"{url},lost_s=0 was lost .it stopped delivering frames .* within 0 s"):
            read_until(source, "never")
        source.close()


def statuses(source: FrameSource, n_frames: int) -> list[tuple[str, int | None]]:
    """Of the next frames, each with the number that its picture bears."""
    seen = []
    while len(seen) < n_frames:
        with suppress(SourceTimeout):
            frame = source.read(0.2)
            seen.append((frame.status, None if frame.image is None else number_of(frame.image)))
    return seen


def test_a_damaged_picture_of_a_network_camera_is_incomplete_and_not_the_one_before() -> None:
    def every_second_cut(index: int) -> bytes:
        return numbered(index)[:-250] if index % 2 else numbered(index)

    with mjpeg_camera(n_frames=200, fps=25, picture=every_second_cut) as url, closing(open_opencv(url, 0.13)) as source:
        source.start()
        seen = statuses(source, 12)
    numbers = [number for status, number in seen if status == "ok"]
    assert {status for status, _ in seen} == {"ok", "incomplete"}
    assert len(numbers) == len(set(numbers)) and all(number is not None and number % 2 == 0 for number in numbers)


def test_a_stream_that_is_frozen_is_said_at_once_and_ends_the_run() -> None:
    def stands_still(index: int) -> bytes:
        return numbered(min(index, 30))

    with mjpeg_camera(n_frames=300, fps=50, picture=stands_still) as url:
        with closing(open_opencv(f"{url},frozen_frames=4", 0.13)) as source:
            source.start()
            seen, notes = [], list[SourceNote]()
            with pytest.raises(CameraLost, match="the very same pixels 5 times in a row"):
                while True:
                    with suppress(SourceTimeout):
                        frame = source.read(0.2)
                        seen.append((frame.status, frame.image is not None and number_of(frame.image)))
                    notes += source.notes()
            assert [note.code for note in notes] == ["camera_frozen"]
            assert len({number for _, number in seen}) == len([1 for status, _ in seen if status == "ok"]) + 1
            assert [status for status, _ in seen[-3:]] == ["incomplete"] * 3
        with closing(open_opencv(f"{url},frozen_frames=0", 0.13)) as source:
            source.start()
            assert {status for status, _ in statuses(source, 40)} == {"ok"}, "where that is meant"


def test_a_blank_that_is_one_constant_is_no_frozen_stream() -> None:
    blank = bytes(cv2.imencode(".jpg", np.full((HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8))[1])
    with (
        mjpeg_camera(n_frames=100, fps=50, picture=lambda _: blank) as url,
        closing(open_opencv(f"{url},frozen_frames=2", 0.13)) as source,
    ):
        source.start()
        for _ in range(10):
            assert next_frame(source).status == "ok"


class StampedCapture:
    """An `cv2.VideoCapture` with the time stamps of a V4L2 driver: each frame is `old_ms` old; `stuck` ones have one stamp."""

    old_ms = 0.0
    stuck = False

    def __init__(self, *_: object) -> None:
        self._stamp_ms = 0.0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's
        return True

    def getBackendName(self) -> str:  # noqa: N802 - OpenCV's
        return "V4L2"

    def read(self) -> tuple[bool, np.ndarray]:  # type: ignore[type-arg]
        time.sleep(0.01)
        if not self.stuck or not self._stamp_ms:
            self._stamp_ms = time.monotonic_ns() / 1e6 - self.old_ms
        return True, np.zeros((4, 6, 3), np.uint8)

    def get(self, what: int) -> float:
        return 0.0 if what == cv2.CAP_PROP_FOURCC else self._stamp_ms

    def release(self) -> None:
        pass


def test_the_drivers_time_stamps_tell_how_old_a_frame_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv.cv2, "VideoCapture", StampedCapture)
    source = open_opencv("0,max_age_ms=5000", 0.13)
    assert source.info.capabilities.timestamps
    source.start()
    fresh = source.read(5.0)
    monkeypatch.setattr(StampedCapture, "old_ms", 7000.0)
    notes = read_until(source, "frames_old")
    source.close()
    assert fresh.t_camera_ns is not None
    assert fresh.age_ms is not None and fresh.age_ms < 5000
    assert [note.code for note in notes] == ["frames_old"]


def test_a_driver_that_serves_one_exposure_again_and_again_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv.cv2, "VideoCapture", StampedCapture)
    monkeypatch.setattr(StampedCapture, "stuck", True)
    source = open_opencv("0,lost_s=0", 0.13)
    with pytest.raises(CameraLost, match="its frame counter goes on and its clock stands still"):
        read_until(source, "never")
    source.close()


class CodedCapture(StampedCapture):
    """The same of a camera that gives MJPEG, every second frame of it cut; `obeys`: gives it as it came where asked to."""

    obeys = True

    def __init__(self, *_: object) -> None:
        super().__init__()
        self._count, self._as_it_came = 0, False

    def get(self, what: int) -> float:
        return cv2.VideoWriter.fourcc(*"MJPG") if what == cv2.CAP_PROP_FOURCC else super().get(what)

    def set(self, what: int, value: float) -> bool:
        self._as_it_came = self.obeys and what == cv2.CAP_PROP_CONVERT_RGB and not value
        return True

    def read(self) -> tuple[bool, np.ndarray]:  # type: ignore[type-arg]
        super().read()
        self._count += 1
        coded = numbered(self._count)
        if self._as_it_came:
            return True, np.frombuffer(coded[: -250 if self._count % 2 == 0 else None] + bytes(40), np.uint8)[None]
        return True, cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    ("obeys", "seen", "damage"),
    [
        pytest.param(True, {"ok", "incomplete"}, "looked for in every frame", id="as it came"),
        pytest.param(False, {"ok"}, "not looked for", id="a driver that decodes all the same"),
    ],
)
def test_motion_jpeg_of_a_driver_is_decoded_strictly(
    obeys: bool, seen: set[str], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencv.cv2, "VideoCapture", CodedCapture)
    monkeypatch.setattr(CodedCapture, "obeys", obeys)
    with closing(open_opencv("0", 0.13)) as source:
        assert str(source.info.camera["damage"]).startswith(damage)
        source.start()
        found = statuses(source, 20)
    assert {status for status, _ in found} == seen
    if obeys:
        assert {number % 2 for status, number in found if status == "ok" and number is not None} == {1}


def test_a_gstreamer_pipeline_says_that_this_opencv_cannot() -> None:
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(SourceError, match="this OpenCV has no GStreamer; use the system's OpenCV"):
        open_opencv("videotestsrc ! appsink", 0.13)


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
