"""Frames of a video file, in order."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edge.camera.coded_stream import CodedStream, Picture, open_file
from edge.camera.frame import Frame, FrameStatus, SourceBase, SourceEnded, SourceInfo, SourceNote
from edge.camera.image_listing import shortened
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError

COUNT_TOLERANCE = 0.01
"""Some containers store a duration, not a count, so the announced number of frames may be off by about this share."""


class VideoSource(SourceBase):
    """Reads a video file to its announced end, opened anew when a run begins. Rotation metadata is not applied, as with images.

    A damaged frame, or one that follows from a damaged one, is "incomplete"; one of another size than the first is "failed".
    Raises `SourceError` when the file cannot be opened or has become another one, and from `read` when the frames stop clearly
    before the announced end.
    """

    def __init__(self, path: str, um_per_px: float) -> None:
        super().__init__()
        self._path = path
        self._stream: CodedStream | None = None
        self._pictures: Iterator[Picture] = iter(())
        self._delivered = 0
        self._announced = self._open()
        first = next((picture.image for picture in self._pictures if picture.image is not None), None)
        self.close()
        if first is None:
            raise SourceError(f"video {path} cannot be read: not one of its frames is whole; copy it again or convert it.")
        height_px, width_px = first.shape[:2]
        self._is_fresh = False
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

    def look_again(self) -> None:
        self._notes.clear()
        self._announced = self._open()
        self._info = replace(self._info, n_fields=self._announced or None)
        self._is_fresh = True

    def start(self) -> None:
        super().start()
        if not self._is_fresh:
            self.look_again()
        self._is_fresh = False

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Returns when it is decoded; a file needs no waiting, so `timeout_s` never expires."""
        if self._stream is None:
            self._open()
        t_trigger_ns = time.monotonic_ns()
        picture = next(self._pictures, None)
        if picture is None:
            return self._count(self._end(t_trigger_ns))
        index = self._delivered
        if picture.image is None:
            return self._count(self._frame(t_trigger_ns, "incomplete", None, picture.fault))
        height_px, width_px = picture.image.shape[:2]
        if (width_px, height_px) == (self._info.width_px, self._info.height_px):
            return self._count(self._frame(t_trigger_ns, "ok", picture.image))
        fault = (
            f"frame {index} of {self._path} is {width_px} x {height_px} px and not {self._info.width_px} x "
            f"{self._info.height_px} px as the first; record one size per video."
        )
        return self._count(self._frame(t_trigger_ns, "failed", None, fault))

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self) -> int:
        """Begin at the first frame; returns how many there should be."""
        self.close()
        try:
            path = Path(self._path)
            if not path.is_file():
                what = "is no file" if path.exists() else "does not exist"
                raise SourceError(f"video {shortened(self._path)} {what}; give the path of a video file.")
        except (OSError, ValueError, RuntimeError) as problem:
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
            raise SourceError(f"video {shortened(self._path)} cannot be read ({why}); check path and permissions.") from problem
        self._stream = open_file(path, f"video {self._path}")
        self._pictures = self._stream.pictures()
        self._delivered = 0
        if self._stream.may_hide_damage:
            what = f"video {self._path} is {self._stream.kind}: damage may pass there; where that matters, record PNG images."
            self._notes.append(SourceNote("damage_may_pass", what))
        announced = self._stream.announced()
        if not announced:
            what = f"video {self._path} does not say how many frames it has, so a damaged end cannot be told from its end."
            self._notes.append(SourceNote("frame_count_unknown", what, "warning"))
        return announced

    def _frame(self, t_trigger_ns: int, status: FrameStatus, image: Image | None, detail: str = "") -> Frame:
        index = self._delivered
        self._delivered += 1
        return Frame(
            trigger_id=f"frame-{index}",
            field_index=index,
            status=status,
            image=image,
            um_per_px=self._info.um_per_px,
            t_trigger_ns=t_trigger_ns,
            t_host_ns=time.monotonic_ns(),
            frame_id=index,
            source_name=f"{Path(self._path).name}#{index}",
            detail=detail,
        )

    def _end(self, t_trigger_ns: int) -> Frame:
        """A frame that is in the file's list and not in the file. Raises `SourceEnded`, and `SourceError` when too many are."""
        missing = self._announced - self._delivered
        if missing > max(1, COUNT_TOLERANCE * self._announced):
            raise SourceError(
                f"video {self._path} stopped after {self._delivered} of {self._announced} announced frames: it is truncated or "
                "damaged; copy it again or convert it."
            )
        if missing <= 0:
            raise SourceEnded
        if self._stream is not None and self._stream.counted:
            fault = f"a frame of {self._path} is in its list and not in the file: it is damaged; copy it again."
            return self._frame(t_trigger_ns, "lost", None, fault)
        what = f"video {self._path} announced {self._announced} frames and gave {self._delivered}."
        self._notes.append(SourceNote("frame_count_differs", what, "warning"))
        raise SourceEnded
