"""A camera's own frame counter, unwrapped, and whether it and the camera's clock go on as they should."""

import time
from collections.abc import Callable
from typing import Literal

from edge.camera.industrial.camera_device import CameraFault

REPEATS = 3
"""One frame that comes twice is dropped; a camera that gives nothing new so many times in a row cannot be trusted."""
SILENT_TRIGGERS = 3
"""Triggers in a row without any frame."""
_LATE = 16
"""An id so little below the last one is a frame that was overtaken; below that the counter has gone back."""
_JUMP = 10_000
"""More exposures than that are not lost between two frames: the counter is damaged."""

_LARGEST_16 = 65535


class Watchdog:
    """Judges each frame by its unwrapped id and the camera's time. Raises `CameraFault` for a camera that cannot be trusted."""

    def __init__(self, silent_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._silent_s = silent_s
        self._clock = clock
        self._last_id: int | None = None
        self._last_ns = 0
        self._repeats = 0
        self._silent_triggers = 0
        self._heard_s = clock()

    @property
    def last_id(self) -> int | None:
        return self._last_id

    def begin(self) -> None:
        """The acquisition begins: the next frame is a first one."""
        self._last_id, self._last_ns, self._repeats = None, 0, 0
        self._heard_s = self._clock()

    def hear(self) -> None:
        """Something has come from it."""
        self._heard_s, self._silent_triggers = self._clock(), 0

    def judge(self, frame_id: int, t_camera_ns: int | None) -> Literal["new", "again"]:
        """`again`: a frame that was there before, to be dropped."""
        self.hear()
        last = self._last_id
        if last is not None and frame_id <= last:
            return self._again(last, frame_id)
        if last is not None and frame_id - last > _JUMP:
            raise CameraFault(f"its frame counter jumped from {last} to {frame_id}")
        if t_camera_ns and t_camera_ns <= self._last_ns:
            how = "stands still" if t_camera_ns == self._last_ns else "went back"
            raise CameraFault(f"its frame counter goes on and its clock {how} (frame {frame_id})")
        self._last_id, self._last_ns, self._repeats = frame_id, t_camera_ns or 0, 0
        return "new"

    def count_on(self) -> int | None:
        """A frame has come that does not say which one it is: the next one, as far as can be known."""
        self.hear()
        if self._last_id is not None:
            self._last_id += 1
        return self._last_id

    def gave_up(self) -> None:
        """A trigger has had no frame."""
        self._silent_triggers += 1
        if self._silent_triggers >= SILENT_TRIGGERS:
            self._silent_triggers = 0
            raise CameraFault(f"{SILENT_TRIGGERS} triggers in a row had no frame")

    def silent_for_s(self) -> float:
        """Since the last frame, or the begin."""
        return self._clock() - self._heard_s

    def check_pace(self) -> None:
        """Of a camera that paces itself a frame is always due."""
        if self.silent_for_s() > self._silent_s:
            raise CameraFault(f"it gave no frame for {self._silent_s:g} s")

    def _again(self, last: int, frame_id: int) -> Literal["again"]:
        if last - frame_id > _LATE:
            raise CameraFault(f"its frame counter went back from {last} to {frame_id}")
        self._repeats += 1
        if self._repeats >= REPEATS:
            raise CameraFault(f"it gave nothing new {self._repeats} times in a row (frame {frame_id} after {last})")
        return "again"


class FrameIds:
    """Unwraps ids that count up by one per exposure: what it skips never came.

    GigE Vision's 16-bit block ids count 1 ... 65535 and then 1 again, 0 being never used; extended ids have 64 bits and do not
    wrap. Which of the two a camera has shows in the first id above 65535.
    """

    def __init__(self) -> None:
        self._last_raw: int | None = None
        self._laps = 0

    def unwrap(self, raw: int) -> int:
        """The id as a number that only rises, as long as less than half a lap of frames is missing in between."""
        if raw and self._last_raw is not None and self._last_raw <= _LARGEST_16 and self._last_raw - raw > _LARGEST_16 // 2:
            self._laps += 1
        elif self._last_raw is not None and self._laps and raw - self._last_raw > _LARGEST_16 // 2:
            return raw + (self._laps - 1) * _LARGEST_16  # a frame from before the wrap, out of order
        self._last_raw = raw
        return raw + self._laps * _LARGEST_16

    def reset(self) -> None:
        """The acquisition begins anew: the next id is a first one."""
        self._last_raw, self._laps = None, 0
