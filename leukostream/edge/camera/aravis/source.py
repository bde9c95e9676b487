"""A GigE Vision or USB3 Vision camera as a frame source, free-running or triggered, that survives the loss of its link."""

import time
from collections import deque

from leukostream.edge.camera.aravis.device import AravisDevice, Grabbed
from leukostream.edge.camera.aravis.library import CameraFault
from leukostream.edge.camera.aravis.options import parse_aravis
from leukostream.edge.camera.frame import Frame, FrameStatus, SourceInfo, SourceNote, SourceTimeout, Trigger
from leukostream.edge.camera.frame_ids import FrameIds
from leukostream.edge.contracts.errors import SourceError

CHECK_EVERY_S = 1.0
"""A camera that is silent is asked whether it is still there."""
_LINE_EXPOSURES = 256
_REOPEN_EVERY_S = 0.5
"""From one attempt to get a lost camera back to the next."""


class CameraLost(SourceError):
    """The camera is gone and did not come back in time."""

    code = "camera_lost"


class AravisSource:
    """Implements `FrameSource`, and `TriggeredSource` unless the camera is free-running.

    The camera's own counter decides what was lost: an id that was skipped is a frame that never came. By software one trigger
    is exposed at a time, so that no frame can be taken for another trigger's; with a trigger line frames belong to triggers in
    their order.
    """

    def __init__(self, rest: str, um_per_px: float) -> None:
        self._address, self._options = parse_aravis(rest)
        self._um_per_px = um_per_px
        self._device: AravisDevice | None = AravisDevice(self._address, self._options)
        self._triggered = self._options.trigger != "free"
        settings = self._device.settings
        self._info = SourceInfo(
            uri=f"aravis:{rest}",
            width_px=int(settings["width"]),
            height_px=int(settings["height"]),
            um_per_px=um_per_px,
            n_fields=None,
            self_paced=not self._triggered,
            camera={name: str(value) for name, value in settings.items()},
            exposures_at_once=1 if self._options.trigger == "software" else _LINE_EXPOSURES,
        )
        self._ids = FrameIds()
        self._last_id: int | None = None
        self._free_index = 0
        self._flying: deque[tuple[Trigger, int]] = deque()
        self._ready: deque[Frame] = deque()
        self._notes: list[SourceNote] = []
        self._lost_since_s: float | None = None
        self._heard_s = time.monotonic()

    @property
    def info(self) -> SourceInfo:
        return self._info

    def expect(self, trigger: Trigger) -> None:
        """The next exposure is this trigger's, and by software it begins now. Without a camera the trigger is lost at once."""
        self._flying.append((trigger, time.monotonic_ns()))
        if self._device is None:
            self._lose_flying("the camera was lost")
        elif self._options.trigger == "software":
            try:
                self._device.fire()
            except CameraFault as problem:
                self._lose(str(problem))

    def give_up(self, trigger_id: str) -> None:
        """Nobody waits for this trigger any longer: begin anew, so that its frame cannot be taken for the next one's."""
        if not any(trigger.trigger_id == trigger_id for trigger, _ in self._flying):
            return
        self._flying = deque(each for each in self._flying if each[0].trigger_id != trigger_id)
        others = len(self._flying)
        self._lose_flying("triggers and frames of the camera were out of step")
        if others:
            text = f"{others} more triggers were under way when one had no frame: which frame is whose cannot be known."
            self._notes.append(SourceNote("over_triggered", text, "warning"))
        if self._device is not None:
            try:
                self._device.restart()
            except CameraFault as problem:
                self._lose(str(problem))
        self._ids.reset()
        self._last_id = None

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Raises `SourceTimeout`, and `CameraLost` when a lost camera does not come back within `lost_s`."""
        if self._device is None:
            self._reopen()
        elif not self._ready:
            self._advance(self._device, timeout_s)
        if self._ready:
            return self._ready.popleft()
        raise SourceTimeout(f"camera {self._address} gave no frame within {timeout_s:g} s.")

    def notes(self) -> list[SourceNote]:
        notes, self._notes = self._notes, []
        return notes

    def statistics(self) -> dict[str, int]:
        """Of the driver, since the camera was opened last."""
        return self._device.statistics() if self._device else {}

    def close(self) -> None:
        """Let go of the camera."""
        if self._device is not None:
            self._device.close()
            self._device = None

    def _advance(self, device: AravisDevice, timeout_s: float) -> None:
        try:
            grabbed = device.grab(timeout_s)
            if grabbed is None and time.monotonic() - self._heard_s > CHECK_EVERY_S:
                device.check()
                self._heard_s = time.monotonic()
        except CameraFault as problem:
            self._lose(str(problem))
            return
        if grabbed is not None:
            self._heard_s = time.monotonic()
            self._take(grabbed)

    def _take(self, grabbed: Grabbed) -> None:
        frame_id = self._ids.unwrap(grabbed.frame_id)
        skipped = 0 if self._last_id is None else frame_id - self._last_id - 1
        if skipped < 0:
            text = f"the camera's counter went back from {self._last_id} to {frame_id}; the frame was dropped."
            self._notes.append(SourceNote("counter_went_back", text, "warning"))
            return
        self._last_id = frame_id
        for missing in range(frame_id - skipped, frame_id):
            self._end_next("lost", missing, None, "the camera counted this frame and it never came.")
        self._end_next("incomplete" if grabbed.fault else "ok", frame_id, grabbed, grabbed.fault and f"{grabbed.fault}.")

    def _end_next(self, status: FrameStatus, frame_id: int, grabbed: Grabbed | None, detail: str) -> None:
        """The frame of this id belongs to the next trigger; a free-running camera makes one up."""
        now_ns = time.monotonic_ns()
        if not self._triggered:
            trigger, fired_ns = Trigger(f"frame-{frame_id}", self._free_index, None), now_ns
            self._free_index += 1
        elif self._flying:
            trigger, fired_ns = self._flying.popleft()
        else:
            trigger, fired_ns = Trigger("", 0, None), now_ns  # announced by nobody; whoever reads says so
        self._ready.append(
            Frame(
                trigger_id=trigger.trigger_id,
                field_index=trigger.field_index,
                status=status,
                image=grabbed.image if grabbed and not grabbed.fault else None,
                um_per_px=self._um_per_px,
                t_trigger_ns=fired_ns,
                t_host_ns=grabbed.t_host_ns if grabbed else now_ns,
                frame_id=frame_id,
                t_camera_ns=grabbed.t_camera_ns if grabbed else None,
                stage_nm=trigger.stage_nm,
                source_name=f"{self._address}#{frame_id}",
                detail=detail,
            )
        )

    def _lose_flying(self, why: str) -> None:
        now_ns = time.monotonic_ns()
        for trigger, fired_ns in self._flying:
            lost = Frame(
                trigger.trigger_id, trigger.field_index, "lost", None, self._um_per_px, fired_ns, now_ns, detail=f"{why}."
            )
            self._ready.append(lost)
        self._flying.clear()

    def _lose(self, why: str) -> None:
        text = f"camera {self._address} was lost ({why}); fields triggered meanwhile end as lost."
        self._notes.append(SourceNote("camera_lost", text, "warning"))
        self._lost_since_s = time.monotonic()
        self.close()
        self._lose_flying("the camera was lost")

    def _reopen(self) -> None:
        """Look for the camera once more, and not in a hurry: a scanner must not lose a slide to a loose plug in a second."""
        since_s = time.monotonic() - (self._lost_since_s or time.monotonic())
        if since_s > self._options.lost_s:
            raise CameraLost(
                f"camera {self._address} was lost and did not come back within {self._options.lost_s:g} s; check it."
            )
        began_s = time.monotonic()
        try:
            device = AravisDevice(self._address, self._options.model_copy(update={"open_s": 0.0}))
        except SourceError:
            time.sleep(max(0.0, _REOPEN_EVERY_S - (time.monotonic() - began_s)))
            return
        if (device.settings["width"], device.settings["height"]) != (self._info.width_px, self._info.height_px):
            device.close()
            raise CameraLost(f"camera {self._address} came back with another frame size; start a new run.")
        self._device, self._heard_s = device, time.monotonic()
        self._ids.reset()
        self._last_id = None
        self._notes.append(SourceNote("camera_back", f"camera {self._address} is back after {since_s:.1f} s."))
