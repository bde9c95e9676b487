"""A camera of this machine (an index) or a GStreamer pipeline through OpenCV; a network stream (RTSP, HTTP) as it is coded."""

import threading
import time
from typing import Protocol

import cv2
import numpy as np

from edge.camera.coded_stream import CodedStream, Picture
from edge.camera.frame import Capabilities, FrameSource
from edge.camera.industrial.camera_device import CameraFault, Grabbed, is_credible_age
from edge.camera.industrial.camera_options import CameraOptions, parse_options
from edge.camera.industrial.source import CameraSource
from edge.camera.jpeg import decode_jpeg
from edge.camera.pixels import quiet_opencv
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError, SourceError

OPEN_TIMEOUT_MS = 5000
GIVE_UP_AFTER_S = 2.0
"""A camera that fails this long without one frame is gone; shorter gaps happen on USB."""
RETRY_S = 0.02
_MJPEG = cv2.VideoWriter.fourcc(*"MJPG")
_LOOKED_FOR, _LEFT_TO_DRIVER = "looked for in every frame", "not looked for: what the driver lets pass is counted"
_FIRST_PICTURES = 50
"""A stream that is joined in its middle may begin with pictures that follow from one that was not seen."""

quiet_opencv()


def open_opencv(rest: str, um_per_px: float) -> FrameSource:
    """The source `opencv:REST`. Raises `ConfigError` or `SourceError`."""
    device, options = parse_options("opencv", rest, CameraOptions, address_pattern=r"\S.*")
    return CameraSource(f"opencv:{rest}", um_per_px, options, lambda open_s: OpenCvDevice(device, open_s))


class OpenCvDevice:
    """Implements `CameraDevice`. Its own thread takes every frame off the driver at once and keeps the newest, so that a buffer
    in between never makes an old frame look new; no frame is served twice.

    Frame ids count the frames taken off the driver: one that is skipped was not asked for in time, and is no loss. Raises
    `SourceError` when the camera is not there.
    """

    counts_exposures = False

    def __init__(self, device: str, open_s: float) -> None:
        self._device = device
        self._capture = _open(device, open_s)
        first = self._first()
        backend = self._capture.backend
        self._size = first.shape[1], first.shape[0]
        self.settings: dict[str, str | float] = {"width": self._size[0], "height": self._size[1], "backend": backend}
        self.settings["damage"] = self._capture.damage
        # Only V4L2 passes the driver's own time stamp on, which is of this machine's monotonic clock.
        self._stamped = backend == "V4L2"
        self.capabilities = Capabilities(timestamps=self._stamped)
        self._fresh = threading.Condition()
        self._count = 0
        self._replaced = 0
        self._newest: Grabbed | None = None
        self._gone = ""
        self._closing = threading.Event()
        self._keep(Picture(first))
        self._thread = threading.Thread(target=self._grab_all, name="opencv-grab", daemon=True)
        self._thread.start()

    def fire(self) -> None:
        """Raises `CameraFault`: OpenCV has no triggers."""
        raise CameraFault("OpenCV cannot trigger a camera")

    def grab(self, timeout_s: float) -> Grabbed | None:
        """The newest frame that was not served yet; waits for one up to `timeout_s`."""
        with self._fresh:
            self._fresh.wait_for(lambda: self._newest is not None or self._gone, timeout_s)
            newest, self._newest = self._newest, None
            if newest is None:
                self.check()
                return None
        # Its time in the driver is in it already; here it has waited since.
        waited_ms = (time.monotonic_ns() - newest.t_host_ns) / 1e6
        return Grabbed(
            newest.frame_id,
            newest.pixels,
            newest.fault,
            newest.t_camera_ns,
            newest.t_host_ns,
            (newest.age_ms or 0.0) + waited_ms,
        )

    def check(self) -> None:
        if self._gone:
            raise CameraFault(self._gone)

    def restart(self) -> None:
        """Forget what was taken so far."""
        with self._fresh:
            self._newest = None

    def statistics(self) -> dict[str, int]:
        """Frames taken off the driver, and those that a newer one has replaced before they were read."""
        return {"taken": self._count, "replaced": self._replaced}

    def close(self) -> None:
        """Stop grabbing; the thread releases the camera, because releasing it under a running grab crashes OpenCV."""
        self._closing.set()
        self._thread.join(timeout=OPEN_TIMEOUT_MS / 1000 + 1.0)

    def _grab_all(self) -> None:
        failing_since_s = None
        while not self._closing.is_set():
            picture = self._capture.read()
            if picture is not None:
                failing_since_s = None
                self._keep(picture)
                continue
            failing_since_s = failing_since_s or time.monotonic()
            if time.monotonic() - failing_since_s > GIVE_UP_AFTER_S:
                break
            self._closing.wait(RETRY_S)
        self._capture.release()
        with self._fresh:
            self._gone = f"it stopped delivering frames {GIVE_UP_AFTER_S:g} s ago"
            self._fresh.notify()

    def _first(self) -> Image:
        """The first whole picture. Raises `SourceError` where there is none among the first few."""
        fault = "check that no other program uses it"
        for _ in range(_FIRST_PICTURES):
            picture = self._capture.read()
            if picture is None:
                break
            if picture.image is not None:
                return picture.image
            fault = f"the last one said: {picture.fault.rstrip('.')}"
        self._capture.release()
        raise SourceError(f"camera {self._device} opens but gives no frame; {fault}.")

    def _keep(self, picture: Picture) -> None:
        now_ns = time.monotonic_ns()
        stamp_ns = self._capture.stamp_ns() if self._stamped else 0
        age_ms = (now_ns - stamp_ns) / 1e6
        credible = self._stamped and is_credible_age(age_ms)
        fault, image = picture.fault, picture.image
        if image is not None and (size := (image.shape[1], image.shape[0])) != self._size:
            fault = f"its frame size changed from {self._size} to {size}; fix it and start again"
        with self._fresh:
            frame_id, self._count = self._count, self._count + 1
            self._replaced += self._newest is not None
            pixels = None if fault else image
            self._newest = Grabbed(
                frame_id, pixels, fault, stamp_ns if credible else None, now_ns, age_ms if credible else None
            )
            self._fresh.notify()


class Capture(Protocol):
    """What gives picture after picture; used by one thread at a time."""

    backend: str
    damage: str
    """Who looks for damage, as the run's record says it."""

    def read(self) -> Picture | None:
        """The next one; None when there is none now."""
        ...

    def stamp_ns(self) -> int:
        """When the driver had the last one, on this machine's monotonic clock, where the backend is V4L2."""
        ...

    def release(self) -> None: ...


class DriverCapture:
    """Implements `Capture` with OpenCV over a driver of this machine, or a pipeline.

    Where the driver gives MJPEG, OpenCV is asked for it as it came: its own decoder hides what is damaged.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str = "camera") -> None:
        self._capture, self._name = capture, name
        self.backend = str(capture.getBackendName())
        fourcc = int(capture.get(cv2.CAP_PROP_FOURCC)) if self.backend == "V4L2" else 0
        self._is_coded = fourcc == _MJPEG and bool(capture.set(cv2.CAP_PROP_CONVERT_RGB, 0))
        self.damage = _LOOKED_FOR if self._is_coded else _LEFT_TO_DRIVER

    def read(self) -> Picture | None:
        there, image = self._capture.read()
        if not there:
            return None
        pixels = np.asarray(image, np.uint8)
        if not self._is_coded or (pixels.ndim == 3 and pixels.shape[2] == 3):
            # A driver that was asked in vain has decoded it.
            self.damage = _LEFT_TO_DRIVER
            return Picture(pixels)
        try:
            return Picture(decode_jpeg(pixels.tobytes(), f"a frame of {self._name}")[0])
        except FrameError as problem:
            return Picture(None, str(problem))

    def stamp_ns(self) -> int:
        return round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)

    def release(self) -> None:
        self._capture.release()


class NetworkCapture:
    """Implements `Capture` with the stream itself, so that damage which FFmpeg would hide is seen. Raises `SourceError`."""

    def __init__(self, url: str, open_s: float) -> None:
        limit_s = min(OPEN_TIMEOUT_MS / 1000, max(1.0, open_s))
        try:
            self._stream = CodedStream(url, f"camera {url}", timeouts_s=(limit_s, OPEN_TIMEOUT_MS / 1000), is_live=True)
        except SourceError as problem:
            why = str(problem).partition("(")[2].rstrip(").") or str(problem)
            raise SourceError(f"camera {url} is not there; check the address and that the camera is on ({why}).") from problem
        self._pictures = self._stream.pictures()
        self.backend = f"FFmpeg {self._stream.kind}"
        self.damage = _LOOKED_FOR

    def read(self) -> Picture | None:
        return next(self._pictures, None)

    def stamp_ns(self) -> int:
        return 0

    def release(self) -> None:
        self._stream.close()


def _open(device: str, open_s: float) -> Capture:
    if "!" in device:
        return DriverCapture(_open_pipeline(device))
    if not device.isdecimal():
        return NetworkCapture(device, open_s)
    capture = cv2.VideoCapture(int(device))
    if not capture.isOpened():
        raise SourceError(f"camera {device} is not there; check that it is plugged in and that this user may open /dev/video*.")
    return DriverCapture(capture, f"camera {device}")


def _open_pipeline(pipeline: str) -> cv2.VideoCapture:
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            f"{pipeline!r} is a GStreamer pipeline and this OpenCV has no GStreamer; use the system's OpenCV "
            "(Debian, Ubuntu: python3-opencv), which `leuko-edge doctor` names."
        )
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise SourceError(f"GStreamer cannot start {pipeline!r}; try it with gst-launch-1.0, and end it in appsink.")
    return capture
