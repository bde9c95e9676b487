"""The virtual slide under a camera that exposes when it is told to."""

from collections import deque

from edge.camera.frame import Frame, FrameSource, SourceEnded, SourceTimeout, Trigger
from edge.camera.virtual import VirtualSource, parse_virtual
from edge.contracts.errors import ConfigError


def open_virtual(uri_tail: str, um_per_px: float | None) -> FrameSource:
    """A virtual slide, triggered or not as its options say. Raises `ConfigError`."""
    options, _ = parse_virtual(uri_tail)
    if options.trigger == "software":
        return VirtualCamera(uri_tail, um_per_px)
    for name in ("silent_every", "extra_every"):
        if getattr(options, name):
            raise ConfigError(f"source 'virtual:{uri_tail}' has {name} without trigger=software; add it, or leave {name} out.")
    return VirtualSource(uri_tail, um_per_px)


class VirtualCamera(VirtualSource):
    """A `TriggeredSource`: `field_index` of a trigger says which field of the slide is under the camera.

    Faults are counted in exposures: every so many give no frame (`silent_every`), or one more that no trigger asked for
    (`extra_every`).
    """

    def __init__(self, uri_tail: str, um_per_px: float | None = None) -> None:
        super().__init__(uri_tail, um_per_px)
        self._expected: deque[Trigger] = deque()
        self._extra: Frame | None = None
        self._exposures = 0

    def expect(self, trigger: Trigger) -> None:
        """Expose this trigger's field, when those before it are done."""
        self._expected.append(trigger)

    def give_up(self, trigger_id: str) -> None:
        """Frames of this camera bear their trigger's id: none can be taken for another's."""

    def read(self, timeout_s: float) -> Frame:
        """The next exposure's frame. Raises `SourceTimeout` when none is due."""
        if self._extra is not None:
            frame, self._extra = self._extra, None
            return self._count(frame)
        if self._closed.is_set():
            raise SourceEnded
        if not self._expected:
            if self._closed.wait(timeout_s):
                raise SourceEnded
            raise SourceTimeout(f"nothing was exposed for {timeout_s:g} s.")
        self._await_turn(timeout_s)
        trigger = self._expected.popleft()
        index, self._exposures = self._exposures, self._exposures + 1
        if self._is_turn(self._options.silent_every, index):
            raise SourceTimeout("the virtual camera was asked to keep silent at this exposure.")
        frame = self._frame(trigger, index)
        if self._is_turn(self._options.extra_every, index) and frame.image is not None:
            self._extra = Frame(
                "", 0, "ok", frame.image.copy(), frame.um_per_px, frame.t_trigger_ns, frame.t_host_ns, frame_id=index
            )
        return self._count(frame)

    def _frame(self, trigger: Trigger, index: int) -> Frame:
        if trigger.field_index < self._options.fields:
            return self._expose(trigger.trigger_id, trigger.field_index, self._fault(index), index)
        last = self._options.fields - 1
        frame = self._expose(trigger.trigger_id, last, "failed", index)
        detail = f"the slide has fields 0 to {last} and field {trigger.field_index} was triggered; raise fields=."
        return Frame(
            frame.trigger_id,
            trigger.field_index,
            "failed",
            None,
            frame.um_per_px,
            frame.t_trigger_ns,
            frame.t_host_ns,
            stage_nm=trigger.stage_nm,
            detail=detail,
        )

    def _is_turn(self, every: int, index: int) -> bool:
        return bool(every) and (index + 1) % every == 0
