"""A camera as a frame source, free-running or triggered, that survives the loss of its link."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from leukostream.edge.camera.frame import Frame, FrameStatus, SourceBase, SourceInfo, SourceNote, SourceTimeout, Trigger
from leukostream.edge.camera.industrial.device import CameraDevice, CameraFault, CameraLost, Grabbed
from leukostream.edge.camera.industrial.frame_ids import FrameIds
from leukostream.edge.camera.industrial.options import CameraOptions, GenicamOptions
from leukostream.edge.camera.industrial.search import Attempt, Search
from leukostream.edge.camera.industrial.watchdog import Watchdog
from leukostream.edge.contracts.errors import SourceError
from leukostream.edge.contracts.records import SourceStatistics

CHECK_EVERY_S = 1.0
"""A camera that is silent is asked whether it is still there."""
_LINE_EXPOSURES = 256


class CameraSource(SourceBase):
    """Implements `FrameSource`, and `TriggeredSource` unless the camera is free-running.

    The camera's own counter decides what was lost: an id that was skipped is a frame that never came. By software one trigger
    is exposed at a time, so that no frame can be taken for another trigger's; with a trigger line frames belong to triggers in
    their order. `open_device` is given how long it may try.
    """

    def __init__(
        self, uri: str, um_per_px: float, options: CameraOptions, open_device: Callable[[float], CameraDevice]
    ) -> None:
        super().__init__()
        self._name = uri
        self._um_per_px = um_per_px
        self._options = options
        self._trigger = options.trigger if isinstance(options, GenicamOptions) else "free"
        self._format = options.format if isinstance(options, GenicamOptions) else "BGR8"
        self._open = open_device
        self._device: CameraDevice | None = open_device(options.open_s)
        settings = self._device.settings
        self._info = SourceInfo(
            uri=uri,
            width_px=int(settings["width"]),
            height_px=int(settings["height"]),
            um_per_px=um_per_px,
            n_fields=None,
            self_paced=self._trigger == "free",
            camera={name: str(value) for name, value in settings.items()},
            exposures_at_once=1 if self._trigger == "software" else _LINE_EXPOSURES,
            capabilities=self._device.capabilities,
        )
        self._ids = FrameIds()
        self._watchdog = Watchdog(options.silent_s)
        self._search = Search(options.lost_s)
        self._attempt: Attempt | None = None
        self._checked_s = time.monotonic()
        self._free_index = 0
        self._flying: deque[tuple[Trigger, int]] = deque()
        self._ready: deque[Frame] = deque()
        self._old = False
        self._closing = threading.Event()
        self._of_former: Counter[str] = Counter()
        self._before_run: Counter[str] = Counter()

    @property
    def info(self) -> SourceInfo:
        return self._info

    def start(self) -> None:
        """Drop what the driver holds: a camera that paces itself has exposed all the time, and not for this run."""
        super().start()
        self._ready.clear()
        self._free_index = 0
        self._restart()
        self._before_run = self._driver_counts()

    def expect(self, trigger: Trigger) -> None:
        """The next exposure is this trigger's, and by software it begins now. Without a camera the trigger is lost at once."""
        self._flying.append((trigger, time.monotonic_ns()))
        if self._device is None:
            self._lose_flying("the camera was lost")
        elif self._trigger == "software":
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
        try:
            self._watchdog.gave_up()
        except CameraFault as problem:
            self._lose(str(problem))
        self._restart()

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Raises `SourceTimeout`, and `CameraLost` when a lost camera does not come back within `lost_s`."""
        if self._device is None:
            self._look_for_it(0.0 if self._ready else timeout_s)
        elif not self._ready:
            self._advance(self._device, timeout_s)
        if self._ready:
            return self._count(self._ready.popleft())
        raise SourceTimeout(f"{self._name} gave no frame within {timeout_s:g} s.")

    def statistics(self) -> SourceStatistics:
        """Frames as they were given, and what the driver has counted meanwhile."""
        driver = {name: max(0, n) for name, n in (self._driver_counts() - self._before_run).items()}
        underruns = driver.pop("underruns", 0)
        return super().statistics().model_copy(update={"underruns": underruns, "driver": driver})

    def close(self) -> None:
        """Let go of the camera."""
        self._closing.set()
        if self._attempt is not None:
            self._attempt.abandon()
        self._let_go()

    def _let_go(self) -> None:
        if self._device is not None:
            self._of_former.update(self._counts_of(self._device))
            self._device.close()
            self._device = None

    def _driver_counts(self) -> Counter[str]:
        return self._of_former + (self._counts_of(self._device) if self._device else Counter())

    @staticmethod
    def _counts_of(device: CameraDevice) -> Counter[str]:
        try:
            return Counter(device.statistics())
        except CameraFault:  # a camera that is gone may take its driver's counts with it
            return Counter()

    def _restart(self) -> None:
        """Let the driver begin anew; without a camera there is nothing to do."""
        if self._device is not None:
            try:
                self._device.restart()
            except CameraFault as problem:
                self._lose(str(problem))
        self._ids.reset()
        self._watchdog.begin()

    def _advance(self, device: CameraDevice, timeout_s: float) -> None:
        try:
            grabbed = device.grab(timeout_s)
            if grabbed is not None:
                self._take(grabbed, device.counts_exposures)
                return
            if self._info.self_paced:
                self._watchdog.check_pace()
            if min(self._watchdog.silent_for_s(), time.monotonic() - self._checked_s) > CHECK_EVERY_S:
                self._checked_s = time.monotonic()
                device.check()
                if not self._info.self_paced:
                    self._search.succeeded()  # without a trigger no frame can prove that it is back
        except CameraFault as problem:
            self._lose(str(problem))

    def _take(self, grabbed: Grabbed, counts_exposures: bool) -> None:
        frame_id, last = self._ids.unwrap(grabbed.frame_id), self._watchdog.last_id
        if self._watchdog.judge(frame_id, grabbed.t_camera_ns) == "again":
            text = f"frame {frame_id} came again, or after frame {last}; it was dropped."
            self._notes.append(SourceNote("repeated_frame", text, "warning"))
            return
        self._search.succeeded()
        self._judge_age(grabbed)
        if last is not None and counts_exposures:
            for missing in range(last + 1, frame_id):
                self._end_next("lost", missing, None, "the camera counted this frame and it never came.")
        self._end_next("incomplete" if grabbed.fault else "ok", frame_id, grabbed, grabbed.fault and f"{grabbed.fault}.")

    def _judge_age(self, grabbed: Grabbed) -> None:
        """Say it once when frames begin to be old, and once when they no longer are."""
        age_ms, limit_ms = grabbed.age_ms, self._options.max_age_ms
        if age_ms is None or (age_ms > limit_ms) == self._old:
            return
        self._old = age_ms > limit_ms
        if self._old:
            text = f"frames are {age_ms:.0f} ms old when they are read (limit {limit_ms:g} ms): they wait in the driver."
            self._notes.append(SourceNote("frames_old", text, "warning"))
        else:
            self._notes.append(SourceNote("frames_fresh", f"frames are {age_ms:.0f} ms old when they are read."))

    def _end_next(self, status: FrameStatus, frame_id: int, grabbed: Grabbed | None, detail: str) -> None:
        """The frame of this id belongs to the next trigger; a free-running camera makes one up."""
        now_ns = time.monotonic_ns()
        if self._info.self_paced:
            trigger, fired_ns = Trigger(f"frame-{frame_id}", self._free_index, None), now_ns
            self._free_index += 1
        elif self._flying:
            trigger, fired_ns = self._flying.popleft()
        else:
            trigger, fired_ns = Trigger("", 0, None), now_ns  # announced by nobody; whoever reads says so
        self._ready.append(
            Frame(
                trigger.trigger_id,
                trigger.field_index,
                status,
                grabbed.pixels if grabbed and status == "ok" else None,
                self._um_per_px,
                min(fired_ns, grabbed.t_host_ns) if grabbed else fired_ns,
                grabbed.t_host_ns if grabbed else now_ns,
                frame_id=frame_id,
                t_camera_ns=grabbed.t_camera_ns if grabbed else None,
                stage_nm=trigger.stage_nm,
                source_name=f"{self._name.partition(',')[0]}#{frame_id}",
                detail=detail,
                pixel_format=self._format,
                age_ms=grabbed.age_ms if grabbed else None,
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
        text = f"{self._name} was lost ({why.rstrip('.')}); fields triggered meanwhile end as lost."
        self._notes.append(SourceNote("camera_lost", text, "warning"))
        self._search.begin(why)
        self._let_go()
        self._lose_flying("the camera was lost")

    def _look_for_it(self, wait_s: float) -> None:
        """Not in a hurry, because a scanner must not lose a slide to a loose plug in a second; and without end only by wish."""
        if self._search.is_over():
            raise CameraLost(
                f"{self._name} was lost ({self._search.why}) and did not come back within {self._options.lost_s:g} s; check it."
            )
        if self._attempt is None:
            if not self._search.is_due():
                self._closing.wait(min(wait_s, self._search.due_in_s()))
                return
            self._attempt = Attempt(self._open)
        try:
            device = self._attempt.result(wait_s)
        except SourceError as problem:
            self._attempt = None
            self._notes.append(SourceNote("camera_missing", self._search.failed(str(problem)), "warning"))
            return
        if device is not None:
            self._attempt = None
            self._come_back(device)

    def _come_back(self, device: CameraDevice) -> None:
        if (device.settings["width"], device.settings["height"]) != (self._info.width_px, self._info.height_px):
            device.close()
            raise CameraLost(f"{self._name} came back with another frame size; start a new run.")
        self._device = device
        self._ids.reset()
        self._watchdog.begin()
        self._notes.append(SourceNote("camera_back", f"{self._name} is back after {self._search.opened():.1f} s."))
