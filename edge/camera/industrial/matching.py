"""Which frame is whose: triggers and exposures told apart by the camera's own counter, and what to do when they cannot be."""

import time
from collections import deque
from collections.abc import Callable

from edge.camera.frame import Frame, FrameStatus, PixelFormat, SourceNote, Trigger
from edge.camera.industrial.camera_device import Grabbed

_PATIENCE = 10
"""A line that was never quiet is given up after so many times the quiet it should have had, or `lost_s`."""
_TELL_EVERY_NS = 4_000_000_000
_SOFTWARE_QUIET_S = 0.3
OUT_OF_STEP = "triggers and frames of the camera were out of step"


class Matching:
    """Makes the frames of one camera and puts them into `ready`, in the order of the triggers; notes go to `tell`.

    `trigger` is `free`, `software` or a line. A free-running camera's frames make their triggers up. Otherwise frames belong to
    triggers in their order (by software one is under way at a time), as long as there are as many of the one as of the other.
    When that no longer holds, nobody can say which frame is whose: everything under way is lost, and until the camera has been
    quiet for `quiet_s` (by software, where it only does what it is told, for a shorter while) no frame is believed and every
    trigger is lost.
    """

    def __init__(
        self,
        name: str,
        um_per_px: float,
        trigger: str,
        pixel_format: PixelFormat,
        quiet_s: float,
        tell: Callable[[SourceNote], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._name = name
        self._um_per_px = um_per_px
        self._is_free, self._is_line = trigger == "free", trigger not in {"free", "software"}
        self._format = pixel_format
        self._quiet_ns = int((quiet_s if self._is_line else min(quiet_s, _SOFTWARE_QUIET_S)) * 1e9)
        self._tell = tell
        self._clock = clock
        self.ready: deque[Frame] = deque()
        self._under_way: deque[tuple[Trigger, int]] = deque()
        self._free_index = 0
        self._unconfirmed: tuple[int, int] | None = None
        """first and last field that were matched since frames and triggers were certainly as many"""
        self._active_ns = 0
        self._out_of_step_ns: int | None = None
        """since when triggers and frames are out of step"""
        self._told_ns = 0
        self._unbelieved = 0

    @property
    def in_step(self) -> bool:
        return self._out_of_step_ns is None

    @property
    def is_certain(self) -> bool:
        """With nothing under way and a quiet line there were as many frames as triggers; a frame too many would have come."""
        quiet = not self._under_way and self._clock() - self._active_ns > self._quiet_ns
        return self._unconfirmed is None or (quiet and self.in_step)

    def begin(self) -> None:
        """A run begins."""
        self.ready.clear()
        self._under_way.clear()
        self._free_index, self._unconfirmed, self._out_of_step_ns, self._unbelieved = 0, None, None, 0

    def expect(self, trigger: Trigger) -> None:
        """The next exposure that nobody waits for yet is this trigger's."""
        self._confirm()
        self._under_way.append((trigger, self._clock()))
        if not self.in_step:
            self.lose_all(OUT_OF_STEP)

    def waits_for(self, trigger_id: str) -> bool:
        """Whether this trigger has neither a frame nor a loss."""
        return any(trigger.trigger_id == trigger_id for trigger, _ in self._under_way)

    def give_up(self, trigger_id: str) -> None:
        """Its frame has not come in time, and must not be taken for another trigger's when it comes all the same."""
        self._under_way = deque(each for each in self._under_way if each[0].trigger_id != trigger_id)
        self.fall_out_of_step(f"trigger {trigger_id} had no frame")

    def fall_out_of_step(self, why: str) -> None:
        """From here on nothing is believed until the camera is quiet."""
        others, suspect = len(self._under_way), self._unconfirmed
        self.lose_all(OUT_OF_STEP)
        self._unconfirmed, self._active_ns = None, self._clock()
        if not self.in_step:
            return
        self._out_of_step_ns = self._told_ns = self._active_ns
        self._unbelieved = 0
        doubt = f"fields {suspect[0]} to {suspect[1]} may each show a neighbour, because {why}." if suspect else ""
        fields = f" Fields {suspect[0]} to {suspect[1]} may each show a neighbour." if suspect else ""
        text = (
            f"{why}, and {others} more triggers were under way: which frame is whose cannot be known until the camera has been "
            f"quiet for {self._quiet_ns / 1e9:g} s; no trigger is allowed until then.{fields}"
        )
        self._tell(SourceNote("over_triggered" if others or suspect else "out_of_step", text, "warning", doubt))

    def is_quiet(self) -> bool:
        """Whether a line out of step has been quiet for long enough, so that the acquisition may begin anew and be believed."""
        return not self.in_step and self._clock() - self._active_ns > self._quiet_ns

    def regained_step(self) -> None:
        """It has begun anew."""
        self._out_of_step_ns, self._active_ns = None, self._clock()
        text = f"triggers and frames are in step again; {self._unbelieved} frames in between belong to nobody and were dropped."
        self._tell(SourceNote("in_step", text))

    def is_hopeless(self, limit_s: float) -> str:
        """Why a line that never becomes quiet is given up; empty while it is not, and then said from time to time."""
        if self._out_of_step_ns is None:
            return ""
        now_ns, for_s = self._clock(), (self._clock() - self._out_of_step_ns) / 1e9
        text = f"it has not been quiet for {self._quiet_ns / 1e9:g} s since {for_s:.0f} s"
        if for_s > max(limit_s, _PATIENCE * self._quiet_ns / 1e9):
            return f"{text}; look for noise or a bouncing contact on its trigger line."
        if now_ns - self._told_ns > _TELL_EVERY_NS:
            self._told_ns = now_ns
            self._tell(SourceNote("out_of_step", f"{text}, and no trigger is allowed until it is.", "warning"))
        return ""

    def require_quiet(self) -> None:
        """The camera is away, pulses of a line go on, and it may hold a trigger from before: it must be quiet first."""
        if self._is_free:
            return
        if self._unconfirmed is not None and self._is_line:  # by software only a stale trigger could have shifted them
            first, last = self._unconfirmed
            text = f"fields {first} to {last} were matched by their order, and the camera was lost before a pause confirmed it."
            self._tell(SourceNote("unconfirmed_fields", text, "warning", text))
        self._active_ns = self._clock()
        self._unconfirmed, self._unbelieved = None, 0
        self._out_of_step_ns = self._told_ns = self._active_ns

    def take(self, grabbed: Grabbed, frame_id: int | None, skipped: int) -> None:
        """The next frame; `skipped` exposures before it never came by the camera's counter."""
        self._confirm()
        if not self.in_step:
            self._unbelieved += 1
            return
        if self._is_free:
            for missing in range((frame_id or 0) - skipped, frame_id or 0):
                self._end_next("lost", missing, None, "the camera counted this frame and it never came.")
        elif self._under_way and not self._is_early(grabbed):
            if skipped + 1 > len(self._under_way):
                self.fall_out_of_step(f"the camera has exposed {skipped + 1} times for {len(self._under_way)} triggers")
                return
            for missing in range((frame_id or 0) - skipped, frame_id or 0):
                self._end_next("lost", missing, None, "the camera counted this frame and it never came.")
        else:
            self._surplus(grabbed, frame_id)
            return
        self._end_next("incomplete" if grabbed.fault else "ok", frame_id, grabbed, grabbed.fault and f"{grabbed.fault}.")

    def lose_all(self, why: str) -> None:
        """Every trigger under way ends without a frame."""
        now_ns = self._clock()
        for trigger, fired_ns in self._under_way:
            self.ready.append(
                Frame(
                    trigger.trigger_id, trigger.field_index, "lost", None, self._um_per_px, fired_ns, now_ns, detail=f"{why}."
                )
            )
        self._under_way.clear()

    def _confirm(self) -> None:
        """Something stirs on the line; before that it was perhaps quiet for long enough to know that all is well."""
        if self.is_certain:
            self._unconfirmed = None
        self._active_ns = self._clock()

    def _surplus(self, grabbed: Grabbed, frame_id: int | None) -> None:
        """An exposure more than triggers. After unconfirmed fields it may be the last one's own, hence not harmless."""
        if self._unconfirmed is not None:
            self.fall_out_of_step(f"frame {frame_id} came and no trigger was waiting for one")
        else:
            self._unannounced(grabbed, frame_id)

    def _is_early(self, grabbed: Grabbed) -> bool:
        """Whether it arrived before its trigger was accepted, hence before any pulse of it; or before the edge has fired it."""
        arrived_ns, (trigger, fired_ns) = grabbed.arrived_ns(), self._under_way[0]
        return arrived_ns is not None and arrived_ns < (trigger.accepted_ns if self._is_line else fired_ns)

    def _unannounced(self, grabbed: Grabbed, frame_id: int | None) -> None:
        """Whoever reads says that nobody has announced it."""
        status: FrameStatus = "incomplete" if grabbed.fault else "ok"
        self.ready.append(self._frame(Trigger("", 0, None), self._clock(), status, frame_id, grabbed, grabbed.fault))

    def _end_next(self, status: FrameStatus, frame_id: int | None, grabbed: Grabbed | None, detail: str) -> None:
        """The frame of this id belongs to the next trigger; a free-running camera makes one up."""
        if self._is_free:
            trigger, fired_ns = Trigger(f"frame-{self._free_index}", self._free_index, None), self._clock()
            self._free_index += 1
        else:
            trigger, fired_ns = self._under_way.popleft()
            first = self._unconfirmed[0] if self._unconfirmed else trigger.field_index
            self._unconfirmed = first, trigger.field_index
        self.ready.append(self._frame(trigger, fired_ns, status, frame_id, grabbed, detail))

    def _frame(
        self, trigger: Trigger, fired_ns: int, status: FrameStatus, frame_id: int | None, grabbed: Grabbed | None, detail: str
    ) -> Frame:
        t_host_ns = grabbed.t_host_ns if grabbed else self._clock()
        return Frame(
            trigger.trigger_id,
            trigger.field_index,
            status,
            grabbed.pixels if grabbed and status == "ok" else None,
            self._um_per_px,
            min(fired_ns, t_host_ns),
            t_host_ns,
            frame_id=frame_id,
            t_camera_ns=grabbed.t_camera_ns if grabbed else None,
            stage_nm=trigger.stage_nm,
            source_name=f"{self._name.partition(',')[0]}#{'?' if frame_id is None else frame_id}",
            detail=detail,
            pixel_format=self._format,
            age_ms=grabbed.age_ms if grabbed else None,
        )
