"""Frames of a video file, in order."""

import time
from pathlib import Path

import cv2
import numpy as np

from edge.camera.frame import Frame, SourceBase, SourceEnded, SourceInfo, SourceNote
from edge.camera.pixels import quiet_opencv
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError

COUNT_TOLERANCE = 0.01
"""Some containers store a duration, not a count, so the announced number of frames may be off by about this share."""

quiet_opencv()


class VideoSource(SourceBase):
    """Reads a video file to its announced end. Rotation metadata is not applied, as with images.

    Raises `SourceError` when the file cannot be opened, and from `read` when the frames stop clearly before the announced end:
    OpenCV reports a decoding error exactly as it reports the end.
    """

    def __init__(self, path: str, um_per_px: float) -> None:
        super().__init__()
        file = Path(path)
        if not file.is_file():
            raise SourceError(f"video {path} does not exist; give the path of a video file.")
        self._path = path
        self._capture = cv2.VideoCapture(str(file))
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        self._ahead = self._grab() if self._capture.isOpened() else None
        if self._ahead is None:
            self._capture.release()
            raise SourceError(f"video {path} cannot be read: it is damaged or of an unknown format; convert it to MP4 or AVI.")
        self._announced = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._delivered = 0
        if not self._announced:
            what = f"video {path} does not say how many frames it has, so a damaged end cannot be told from its end."
            self._notes.append(SourceNote("frame_count_unknown", what, "warning"))
        height_px, width_px = self._ahead.shape[:2]
        self._info = SourceInfo(
            uri=f"video:{path}",
            width_px=width_px,
            height_px=height_px,
            um_per_px=um_per_px,
            n_fields=self._announced or None,
            self_paced=True,
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Returns when it is decoded; a file needs no waiting, so `timeout_s` never expires."""
        t_trigger_ns = time.monotonic_ns()
        image, self._ahead = (self._ahead, None) if self._ahead is not None else (self._grab(), None)
        if image is None:
            self._end()
        index = self._delivered
        self._delivered += 1
        size_fault = image is not None and image.shape[:2] != (self._info.height_px, self._info.width_px)
        frame = Frame(
            trigger_id=f"frame-{index}",
            field_index=index,
            status="failed" if size_fault else "ok",
            image=None if size_fault else image,
            um_per_px=self._info.um_per_px,
            t_trigger_ns=t_trigger_ns,
            t_host_ns=time.monotonic_ns(),
            frame_id=index,
            source_name=f"{Path(self._path).name}#{index}",
            detail=f"frame {index} of {self._path} has another size than the first; record one size per video."
            if size_fault
            else "",
        )
        return self._count(frame)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _grab(self) -> Image | None:
        there, image = self._capture.read()
        return np.asarray(image, np.uint8) if there else None

    def _end(self) -> None:
        missing = self._announced - self._delivered
        if missing > max(1, COUNT_TOLERANCE * self._announced):
            raise SourceError(
                f"video {self._path} stopped after {self._delivered} of {self._announced} announced frames: it is truncated or "
                "damaged; copy it again or convert it."
            )
        if missing > 0:
            what = f"video {self._path} announced {self._announced} frames and gave {self._delivered}."
            self._notes.append(SourceNote("frame_count_differs", what, "warning"))
        raise SourceEnded
