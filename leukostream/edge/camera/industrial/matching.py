"""Which frame is whose: triggers and exposures told apart by the camera's own counter, and what to do when they cannot be."""

import time
from collections import deque
from collections.abc import Callable

from leukostream.edge.camera.frame import Frame, FrameStatus, PixelFormat, SourceNote, Trigger
from leukostream.edge.camera.industrial.device import Grabbed

OUT_OF_STEP = "triggers and frames of the camera were out of step"


class Matching:
    """Makes the frames of one camera and puts them into `ready`, in the order of the triggers; notes go to `tell`.

    `trigger` is `free`, `software` or a line. A free-running camera's frames make their triggers up. By software one exposure
    is under way at a time, so its frame can only be that trigger's. On a line frames belong to triggers in their order, as long
    as there are as many of the one as of the other. When that no longer holds, nobody can say which frame is whose: everything
    under way is lost, and until the line has been quiet for `quiet_s` no frame is believed and every trigger is lost.
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
        self._quiet_ns = int(quiet_s * 1e9)
        self._tell = tell
        self._clock = clock
        self.ready: deque[Frame] = deque()
        self._flying: deque[tuple[Trigger, int]] = deque()
        self._free_index = 0
        self._suspect: tuple[int, int] | None = None
        self._stirred_ns: int | None = None
        self._unbelieved = 0

    @property
    def in_step(self) -> bool:
        return self._stirred_ns is None

    def begin(self) -> None:
        """A run begins."""
        self.ready.clear()
        self._free_index = 0

    def expect(self, trigger: Trigger) -> None:
        """The next exposure that nobody waits for yet is this trigger's."""
        self._flying.append((trigger, self._clock()))
        if self._stirred_ns is not None:
            self._stirred_ns = self._clock()
            self.lose_all(OUT_OF_STEP)

    def waits_for(self, trigger_id: str) -> bool:
        """Whether this trigger has neither a frame nor a loss."""
        return any(trigger.trigger_id == trigger_id for trigger, _ in self._flying)

    def give_up(self, trigger_id: str) -> None:
        """Its frame has not come in time, and must not be taken for another trigger's when it comes all the same."""
        self._flying = deque(each for each in self._flying if each[0].trigger_id != trigger_id)
        if self._is_line:
            self.fall_out_of_step(f"trigger {trigger_id} had no frame")
        else:
            self.lose_all(OUT_OF_STEP)

    def fall_out_of_step(self, why: str) -> None:
        """On a line: from here on nothing is believed until it is quiet."""
        others, suspect = len(self._flying), self._suspect
        self.lose_all(OUT_OF_STEP)
        self._suspect = None
        first_time, self._stirred_ns = self._stirred_ns is None, self._clock()
        if not first_time:
            return
        self._unbelieved = 0
        fields = f" Fields {suspect[0]} to {suspect[1]} may each show a neighbour." if suspect else ""
        text = (
            f"{why}, and {others} more triggers were under way: which frame is whose cannot be known until the trigger line "
            f"has been quiet for {self._quiet_ns / 1e9:g} s; no trigger is allowed until then.{fields}"
        )
        self._tell(SourceNote("over_triggered" if others or suspect else "out_of_step", text, "warning"))

    def settle(self) -> bool:
        """Whether the line has become quiet just now, so that the acquisition may begin anew and be believed."""
        if self._stirred_ns is None or self._clock() - self._stirred_ns <= self._quiet_ns:
            return False
        self._stirred_ns = None
        text = f"triggers and frames are in step again; {self._unbelieved} frames in between belong to nobody and were dropped."
        self._tell(SourceNote("in_step", text))
        return True

    def doubt(self) -> None:
        """The camera was away and pulses went on: on a line it must be quiet first. Silent, as the loss was said."""
        if self._is_line:
            self._stirred_ns, self._suspect = self._clock(), None

    def take(self, grabbed: Grabbed, frame_id: int | None, skipped: int) -> None:
        """The next frame; `skipped` exposures before it never came by the camera's counter."""
        if self._stirred_ns is not None:
            self._stirred_ns, self._unbelieved = self._clock(), self._unbelieved + 1
            return
        if self._is_free:
            for missing in range((frame_id or 0) - skipped, frame_id or 0):
                self._end_next("lost", missing, None, "the camera counted this frame and it never came.")
        elif self._is_line and self._flying:
            if self._is_early(grabbed):
                self._nobody_s(grabbed, frame_id)
                return
            if skipped + 1 > len(self._flying):
                self.fall_out_of_step(f"the camera has exposed {skipped + 1} times for {len(self._flying)} triggers")
                return
            for missing in range((frame_id or 0) - skipped, frame_id or 0):
                self._end_next("lost", missing, None, "the camera counted this frame and it never came.")
        elif skipped:
            text = f"{skipped} exposures before frame {frame_id} never came, and no trigger had asked for them."
            self._tell(SourceNote("uncounted_frames", text, "warning"))
        if not self._is_free and not self._flying:
            self._nobody_s(grabbed, frame_id)
            return
        self._end_next("incomplete" if grabbed.fault else "ok", frame_id, grabbed, grabbed.fault and f"{grabbed.fault}.")

    def lose_all(self, why: str) -> None:
        """Every trigger under way ends without a frame."""
        now_ns = self._clock()
        for trigger, fired_ns in self._flying:
            self.ready.append(
                Frame(
                    trigger.trigger_id, trigger.field_index, "lost", None, self._um_per_px, fired_ns, now_ns, detail=f"{why}."
                )
            )
        self._flying.clear()

    def _is_early(self, grabbed: Grabbed) -> bool:
        """Whether it arrived before its trigger was accepted, hence before any pulse of it."""
        arrived_ns = grabbed.arrived_ns()
        return arrived_ns is not None and arrived_ns < self._flying[0][0].accepted_ns

    def _nobody_s(self, grabbed: Grabbed, frame_id: int | None) -> None:
        """Whoever reads says that nobody has announced it."""
        self.ready.append(self._frame(Trigger("", 0, None), self._clock(), "ok", frame_id, grabbed, ""))

    def _end_next(self, status: FrameStatus, frame_id: int | None, grabbed: Grabbed | None, detail: str) -> None:
        """The frame of this id belongs to the next trigger; a free-running camera makes one up."""
        if self._is_free:
            trigger, fired_ns = Trigger(f"frame-{self._free_index}", self._free_index, None), self._clock()
            self._free_index += 1
        else:
            trigger, fired_ns = self._flying.popleft()
            first = self._suspect[0] if self._suspect else trigger.field_index
            # With nothing under way there were as many frames as triggers so far: all of them are certain.
            self._suspect = (first, trigger.field_index) if self._is_line and self._flying else None
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
