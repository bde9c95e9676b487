"""A camera as a frame source, free-running or triggered, that survives the loss of its link."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from edge.camera.frame import Frame, SourceBase, SourceInfo, SourceNote, SourceTimeout, Trigger
from edge.camera.industrial.camera_device import CameraDevice, CameraFault, CameraLost, Grabbed
from edge.camera.industrial.camera_options import CameraOptions, GenicamOptions
from edge.camera.industrial.frozen import FrozenStream, is_stand_in
from edge.camera.industrial.matching import Matching
from edge.camera.industrial.search import LONGEST_SILENCE_S, Attempt, Search
from edge.camera.industrial.watchdog import REPEATS, FrameIds, Watchdog
from edge.contracts.errors import SourceError
from edge.contracts.records import SourceStatistics

CHECK_EVERY_S = 1.0
"""A camera that is silent is asked whether it is still there."""
_LINE_EXPOSURES = 256
_CLOSING_S = 15.0
"""How long the end of a run waits for the driver to let go of a camera that no longer answers."""


class CameraSource(SourceBase):
    """Implements `FrameSource`, and `TriggeredSource` unless the camera is free-running.

    `open_device` is given how long it may try. Frames are matched by `Matching`, judged by `Watchdog`; a camera that is lost is
    closed and looked for in threads of their own, because a driver may take many seconds for either.
    """

    def __init__(
        self, uri: str, um_per_px: float, options: CameraOptions, open_device: Callable[[float], CameraDevice]
    ) -> None:
        super().__init__()
        self._name = uri
        self._options = options
        genicam = options if isinstance(options, GenicamOptions) else None
        trigger = genicam.trigger if genicam else "free"
        self._by_software = trigger == "software"
        self._open = open_device
        self._device: CameraDevice | None = open_device(options.open_s)
        settings = self._device.settings
        self._info = SourceInfo(
            uri=uri,
            width_px=int(settings["width"]),
            height_px=int(settings["height"]),
            um_per_px=um_per_px,
            n_fields=None,
            self_paced=trigger == "free",
            camera={name: str(value) for name, value in settings.items()},
            exposures_at_once=1 if self._by_software else _LINE_EXPOSURES,
            capabilities=self._device.capabilities,
            is_live=trigger == "free",
        )
        self._matching = Matching(uri, um_per_px, trigger, genicam.format if genicam else "BGR8", options.quiet_s, self._note)
        self._before_matching: Callable[[], None] = lambda: None
        self._ids = FrameIds()
        self._watchdog = Watchdog(options.silent_s)
        self._frozen = FrozenStream(uri, 0 if is_stand_in(settings) else options.frozen_frames)
        self._search = Search(options.lost_s)
        self._attempt: Attempt | None = None
        self._lost_in_silence = False
        self._closers: list[threading.Thread] = []
        self._checked_s = self._noted_s = time.monotonic()
        self._began_ns = 0
        self._frames_are_old = False
        self._good_frames = 0
        self._closing = threading.Event()
        self._former_counts: Counter[str] = Counter()
        self._before_run: Counter[str] = Counter()

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def takes_triggers(self) -> bool:
        """Not while the camera is gone, nor while triggers and frames are out of step."""
        return self._device is not None and self._matching.in_step

    @property
    def is_settling(self) -> bool:
        """By software the edge itself can wait until all is in step again, which takes a moment."""
        return self._by_software and self._device is not None and not self._matching.in_step

    @property
    def is_certain(self) -> bool:
        """Whether every frame so far is its trigger's for certain: on a line that shows when it has been quiet for a while."""
        return self._matching.is_certain

    def look_before_matching(self, look: Callable[[], None]) -> None:
        self._before_matching = look

    def start(self) -> None:
        """Drop what the driver holds: a camera that paces itself has exposed all the time, and not for this run."""
        super().start()
        self._matching.begin()
        self._frozen.begin()
        self._restart()
        self._before_run = self._driver_counts()

    def look_after(self) -> None:
        """Between runs: ask whether the camera is still there, and look for it when it is not. Raises `SourceError` meanwhile,
        `CameraLost` when the search is over."""
        if self._device is not None:
            try:
                self._device.check()
            except CameraFault as problem:
                self._lose(str(problem))
        if self._device is None:
            self._go_on_searching(0.0)
        if self._device is None:
            raise SourceError(f"{self._name} was lost ({self._search.why}) and is looked for; check its cable and power.")

    def expect(self, trigger: Trigger) -> None:
        """The next exposure is this trigger's, and by software it begins now. Without a camera the trigger is lost at once."""
        self._matching.expect(trigger)
        if self._device is None:
            self._matching.lose_all("the camera was lost")
        elif self._by_software:
            try:
                self._device.fire()
            except CameraFault as problem:
                self._lose(str(problem))

    def give_up(self, trigger_id: str) -> None:
        """Nobody waits for this trigger any longer: begin anew, so that its frame cannot be taken for the next one's."""
        if not self._matching.waits_for(trigger_id):
            return
        self._matching.give_up(trigger_id)
        try:
            self._watchdog.gave_up()
        except CameraFault as problem:
            self._lose(str(problem), silent=True)
        self._restart()

    def read(self, timeout_s: float) -> Frame:
        """The next frame. Raises `SourceTimeout`, and `CameraLost` when a lost camera does not come back within `lost_s`."""
        ready = self._matching.ready
        if self._device is not None:
            if not ready:
                self._advance(self._device, timeout_s)
        elif not ready or not self._search.is_over():
            self._go_on_searching(0.0 if ready else timeout_s)
        if ready:
            return self._count(ready.popleft())
        raise SourceTimeout(f"{self._name} gave no frame within {timeout_s:g} s.")

    def statistics(self) -> SourceStatistics:
        """Frames as they were given, and what the driver has counted meanwhile."""
        driver = {name: n - self._before_run[name] for name, n in self._driver_counts().items()}
        underruns = driver.pop("underruns", 0)
        return super().statistics().model_copy(update={"underruns": underruns, "driver": driver})

    def close(self) -> None:
        """Let go of the camera."""
        self._closing.set()
        if self._attempt is not None:
            self._attempt.abandon()
        if self._device is not None:
            self._close_aside(self._device)
        for closer in self._closers:
            closer.join(_CLOSING_S)

    def _close_aside(self, device: CameraDevice) -> None:
        """In a thread of its own: a camera that no longer answers takes its driver ten seconds and more."""
        for name, n in self._counts_of(device).items():
            self._former_counts[name] += n
        self._device = None
        self._closers.append(threading.Thread(target=device.close, name="camera-close", daemon=True))
        self._closers[-1].start()

    def _driver_counts(self) -> Counter[str]:
        total = Counter(self._former_counts)
        if self._device is not None:
            for name, n in self._counts_of(self._device).items():
                total[name] += n  # zeros included: "none" is not "not counted"
        return total

    @staticmethod
    def _counts_of(device: CameraDevice) -> dict[str, int]:
        try:
            return device.statistics()
        except CameraFault:  # a camera that is gone may take its driver's counts with it
            return {}

    def _restart(self) -> None:
        """Let the driver begin anew; without a camera there is nothing to do."""
        if self._device is not None:
            try:
                self._device.restart()
            except CameraFault as problem:
                self._lose(str(problem))
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._ids.reset()
        self._watchdog.begin()
        self._began_ns = time.monotonic_ns()

    def _advance(self, device: CameraDevice, timeout_s: float) -> None:
        try:
            grabbed = device.grab(timeout_s)
            if grabbed is not None:
                self._before_matching()
                self._take(grabbed, device.counts_exposures)
                return
            if min(self._watchdog.silent_for_s(), time.monotonic() - self._checked_s) > CHECK_EVERY_S:
                self._checked_s = time.monotonic()
                device.check()
                if not self._info.self_paced and not self._lost_in_silence:
                    self._search.succeeded()  # without a trigger no frame can prove that it is back
        except CameraFault as problem:
            self._lose(str(problem))
            return
        try:
            if self._info.self_paced:
                self._watchdog.check_pace()
        except CameraFault as problem:
            self._lose(str(problem), silent=True)
        if self._matching.is_quiet():  # judged when the driver has nothing more: it was the line that was quiet, not the reader
            self._restart()
            if self._device is not None:
                self._matching.regained_step()
        elif why := self._matching.is_hopeless(self._options.lost_s):
            raise CameraLost(f"{self._name}: {why}")

    def _take(self, grabbed: Grabbed, counts_exposures: bool) -> None:
        arrived_ns, last = grabbed.arrived_ns(), self._watchdog.last_id
        self._judge_age(grabbed)
        if arrived_ns is not None and arrived_ns < self._began_ns:
            self._watchdog.hear()  # exposed before the acquisition began anew, and lost or given up with it
            return
        if grabbed.frame_id is None:
            frame_id = self._watchdog.count_on()
        else:
            frame_id = self._ids.unwrap(grabbed.frame_id)
            if self._watchdog.judge(frame_id, grabbed.t_camera_ns) == "again":
                text = f"frame {frame_id} came again, or after frame {last}; it was dropped."
                self._notes.append(SourceNote("repeated_frame", text, "warning"))
                return
        grabbed = self._unless_frozen(grabbed)
        self._good_frames += 1
        if self._good_frames > REPEATS:  # so many it could also give without anything new
            self._lost_in_silence = False
            self._search.succeeded()
        skipped = 0 if last is None or frame_id is None or not counts_exposures else frame_id - last - 1
        self._matching.take(grabbed, frame_id, skipped)

    def _unless_frozen(self, grabbed: Grabbed) -> Grabbed:
        """The frame, or one with a fault where it repeats one before. Raises `CameraLost` when that goes on."""
        if grabbed.fault or grabbed.pixels is None:
            return grabbed  # no sign that the others are new
        if not (fault := self._frozen.look(grabbed.pixels)):
            return grabbed
        if self._frozen.has_just_begun:
            self._notes.append(SourceNote("camera_frozen", f"{self._name}: {fault}; such frames are not counted.", "warning"))
        return replace(grabbed, pixels=None, fault=fault)

    def _note(self, note: SourceNote) -> None:
        self._notes.append(note)

    def _judge_age(self, grabbed: Grabbed) -> None:
        """Say it once when frames begin to be old, and once when they no longer are."""
        age_ms, limit_ms = grabbed.age_ms, self._options.max_age_ms
        if age_ms is None or (age_ms > limit_ms) == self._frames_are_old:
            return
        self._frames_are_old = age_ms > limit_ms
        if self._frames_are_old:
            text = f"frames are {age_ms:.0f} ms old when they are read (limit {limit_ms:g} ms): they wait in the driver."
            self._notes.append(SourceNote("frames_old", text, "warning"))
        else:
            self._notes.append(SourceNote("frames_fresh", f"frames are {age_ms:.0f} ms old when they are read."))

    def _lose(self, why: str, silent: bool = False) -> None:
        """`silent`: it answers, and gives no frame, so that only frames can prove that it is back."""
        if self._device is None:
            return
        text = f"{self._name} was lost ({why.rstrip('.')}); fields triggered meanwhile end as lost."
        self._notes.append(SourceNote("camera_lost", text, "warning"))
        self._search.begin(why, self._watchdog.silent_for_s() if silent else 0.0)
        self._lost_in_silence, self._good_frames = silent, 0
        self._close_aside(self._device)
        self._matching.lose_all("the camera was lost")
        self._matching.require_quiet()
        self._noted_s = time.monotonic()

    def _go_on_searching(self, wait_s: float) -> None:
        """Not in a hurry, because a scanner must not lose a slide to a loose plug in a second; and without end only by wish."""
        over = self._search.is_over()
        if self._attempt is not None:
            try:
                device = self._attempt.result(0.0 if over else wait_s)
            except SourceError as problem:
                self._attempt = None
                self._note_missing(self._search.failed(str(problem)))
                return
            if device is not None:
                self._attempt = None
                self._take_back(device)
                return
        if over:
            raise CameraLost(
                f"{self._name} was lost ({self._search.why}) and did not come back within {self._options.lost_s:g} s; check it."
            )
        if self._attempt is not None:
            if time.monotonic() - self._noted_s > LONGEST_SILENCE_S:
                for_s = self._search.lost_for_s()
                self._note_missing(f"{self._name} has not answered for {for_s:.0f} s and is still looked for.")
        elif self._search.is_due():
            self._closers = [closer for closer in self._closers if closer.is_alive()]
            self._attempt = Attempt(self._open, self._closers)
        else:
            self._closing.wait(min(wait_s, self._search.due_in_s()))

    def _note_missing(self, text: str) -> None:
        self._noted_s = time.monotonic()
        self._notes.append(SourceNote("camera_missing", text, "warning"))

    def _take_back(self, device: CameraDevice) -> None:
        now = {name: str(value) for name, value in device.settings.items()}
        changed = [f"{name} {was} -> {now.get(name)}" for name, was in self._info.camera.items() if now.get(name) != was]
        if any(now.get(name) != self._info.camera.get(name) for name in ("width", "height", "serial")):
            device.close()
            raise CameraLost(f"{self._name} came back as another one ({'; '.join(changed)}); start a new run.")
        self._device = device
        self._begin_anew()
        self._matching.require_quiet()
        text = f"{self._name} is back after {self._search.opened():.1f} s."
        if changed:
            text += f" It is set differently now ({'; '.join(changed)}): give these options in the source."
        self._notes.append(SourceNote("camera_back", text, "warning" if changed else "info"))
