"""A camera through OpenCV: an index (USB, laptop) or a URL (RTSP, HTTP)."""

import threading
import time

import cv2
import numpy as np

from leukostream.edge.camera.frame import Frame, SourceInfo, SourceNote, SourceTimeout
from leukostream.edge.camera.quiet import quiet_opencv
from leukostream.edge.contracts.detections import Image
from leukostream.edge.contracts.errors import SourceError

OPEN_TIMEOUT_MS = 5000
GIVE_UP_AFTER_S = 2.0
"""A camera that fails this long without one frame is gone; shorter gaps happen on USB."""
RETRY_S = 0.02

quiet_opencv()


class OpenCvSource:
    """A free-running camera. Its own thread takes every frame off the driver at once and keeps the newest, so that a buffer in
    between never makes an old frame look new; no frame is served twice.

    `frame_id` counts the frames taken off the driver: a gap is what the run did not ask for in time. Raises `SourceError` when
    the camera is not there or stops delivering, `SourceTimeout` from `read` when no new frame came in time.
    """

    def __init__(self, device: str, um_per_px: float) -> None:
        self._device = device
        self._capture = _open(device)
        there, first = self._capture.read()
        if not there:
            self._capture.release()
            raise SourceError(f"camera {device} opens but gives no frame; check that no other program uses it.")
        self._info = SourceInfo(
            uri=f"opencv:{device}",
            width_px=first.shape[1],
            height_px=first.shape[0],
            um_per_px=um_per_px,
            n_fields=None,
            self_paced=True,
        )
        self._fresh = threading.Condition()
        self._newest: tuple[int, int, Image] | None = (0, time.monotonic_ns(), np.asarray(first, np.uint8))
        self._gone = False
        self._closing = threading.Event()
        self._served = 0
        self._thread = threading.Thread(target=self._grab_all, name="opencv-grab", daemon=True)
        self._thread.start()

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self, timeout_s: float) -> Frame:
        """The newest frame that was not served yet; waits for one up to `timeout_s`."""
        t_read_ns = time.monotonic_ns()
        with self._fresh:
            self._fresh.wait_for(lambda: self._newest is not None or self._gone, timeout_s)
            newest, self._newest = self._newest, None
            gone = self._gone
        if newest is None and gone:
            raise SourceError(
                f"camera {self._device} stopped delivering frames; check its cable or its stream and start again."
            )
        if newest is None:
            raise SourceTimeout(
                f"camera {self._device} gave no new frame within {timeout_s:g} s; check its exposure and its cable."
            )
        frame_id, t_host_ns, image = newest
        index = self._served
        self._served += 1
        size_fault = image.shape[:2] != (self._info.height_px, self._info.width_px)
        return Frame(
            trigger_id=f"grab-{frame_id}",
            field_index=index,
            status="failed" if size_fault else "ok",
            image=None if size_fault else image,
            um_per_px=self._info.um_per_px,
            t_trigger_ns=min(t_read_ns, t_host_ns),
            t_host_ns=t_host_ns,
            frame_id=frame_id,
            source_name=f"{self._device}#{frame_id}",
            detail=self._size_fault(image) if size_fault else "",
        )

    def notes(self) -> list[SourceNote]:
        return []

    def close(self) -> None:
        """Stop grabbing; the thread releases the camera, because releasing it under a running grab crashes OpenCV."""
        self._closing.set()
        self._thread.join(timeout=OPEN_TIMEOUT_MS / 1000 + 1.0)

    def _size_fault(self, image: Image) -> str:
        return (
            f"camera {self._device} changed its frame size from {self._info.width_px} x {self._info.height_px} to "
            f"{image.shape[1]} x {image.shape[0]} px; fix its resolution and start again."
        )

    def _grab_all(self) -> None:
        frame_id, failing_since_s = 0, None
        while not self._closing.is_set():
            there, image = self._capture.read()
            now_ns = time.monotonic_ns()
            if there:
                frame_id, failing_since_s = frame_id + 1, None
                with self._fresh:
                    self._newest = (frame_id, now_ns, np.asarray(image, np.uint8))
                    self._fresh.notify()
                continue
            failing_since_s = failing_since_s or time.monotonic()
            if time.monotonic() - failing_since_s > GIVE_UP_AFTER_S:
                break
            self._closing.wait(RETRY_S)
        self._capture.release()
        with self._fresh:
            self._gone = True
            self._fresh.notify()


def _open(device: str) -> cv2.VideoCapture:
    if device.isdecimal():
        capture = cv2.VideoCapture(int(device))
        advice = "check that it is plugged in and that this user may open /dev/video*"
    else:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
        capture = cv2.VideoCapture(device, cv2.CAP_FFMPEG, limits)
        advice = "check the address and that the camera is on"
    if not capture.isOpened():
        raise SourceError(f"camera {device} is not there; {advice}.")
    return capture
