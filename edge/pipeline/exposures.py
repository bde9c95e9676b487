"""A triggered camera as a frame source: every announced trigger gets its frame, or the reason why none came."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from edge.camera.frame import (
    Frame,
    FrameSource,
    FrameStatus,
    SourceEnded,
    SourceInfo,
    SourceNote,
    SourceTimeout,
    Trigger,
    TriggeredSource,
)
from edge.contracts.errors import ConfigError, SourceError
from edge.contracts.records import SourceStatistics
from edge.pipeline.trigger_desk import TriggerDesk

_STEP_S = 0.02
"""Longest wait for a frame while further triggers may be announced."""
_REMEMBERED = 1024


class Exposures:
    """Implements `FrameSource` over a triggered one. Frames come in the order of the triggers.

    The next trigger due ends as `timeout` when the source was read for `timeout_s` and gave nothing; time in which nobody read
    is not held against it. A frame that shows that an earlier one never came makes that one `lost`. Frames that come late, or
    that nobody announced, are noted and dropped. While the source cannot take triggers no further credit is given.

    Once the desk takes no more triggers, one such silence ends all that are left together: those that the source was told of as
    `timeout`, those behind them as `skipped`.
    """

    def __init__(
        self, source: TriggeredSource, desk: TriggerDesk, timeout_s: float, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._source = source
        self._desk = desk
        self._timeout_s = timeout_s
        self._clock = clock
        self._exposing: OrderedDict[str, tuple[Trigger, int]] = OrderedDict()
        self._waited_ns = 0
        self._given_up: OrderedDict[str, None] = OrderedDict()
        self._ready: deque[Frame] = deque()
        self._notes: list[SourceNote] = []
        self._problem: SourceError | None = None
        self._held = False
        source.look_before_matching(self._fire_ahead)

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    @property
    def is_certain(self) -> bool:
        return self._source.is_certain

    def look_again(self) -> None:
        self._source.look_again()

    def start(self) -> None:
        """Triggers are accepted from then on: a camera that is still being started would swallow the first one's pulse."""
        self._source.start()
        self._desk.begin()

    def statistics(self) -> SourceStatistics:
        return self._source.statistics()

    def read(self, timeout_s: float) -> Frame:
        """The next trigger's frame; `SourceTimeout` also while no trigger is announced."""
        if not self._ready:
            if self._problem is not None:
                raise self._problem
            self._fire(0.0 if self._exposing or self._desk.complete else min(timeout_s, _STEP_S))
            # With nothing under way only the desk is waited at: the next trigger's frame may follow it at once.
            wait = self._exposing or self._source.is_settling
            self._receive(min(timeout_s, _STEP_S) if wait else 0.0)
            self._hold()
            if not self._ready and not self._exposing and self._desk.complete and self._source.is_certain:
                raise SourceEnded("all fields that were asked for were exposed")
        if self._ready:
            self._fire_ahead()
            return self._ready.popleft()
        raise SourceTimeout(f"no frame came within {timeout_s:g} s.")

    def notes(self) -> list[SourceNote]:
        notes, self._notes = self._notes, []
        return [*notes, *self._source.notes()]

    def close(self) -> None:
        self._source.close()

    def _fire_ahead(self) -> None:
        """The camera exposes the next field while this one's frame goes its way. A failure waits until that frame is given."""
        try:
            self._fire(0.0)
        except SourceError as problem:
            self._problem = problem

    def _fire(self, wait_s: float) -> None:
        if self._source.is_settling:
            return
        while len(self._exposing) < self.info.exposures_at_once and (trigger := self._desk.next(wait_s)) is not None:
            if not self._exposing:
                self._waited_ns = 0
            self._exposing[trigger.trigger_id] = (trigger, self._clock())
            self._source.expect(trigger)
            wait_s = 0.0

    def _receive(self, wait_s: float) -> None:
        began_ns = self._clock()
        try:
            frame = self._source.read(wait_s)
        except SourceTimeout:
            self._waited_ns += self._clock() - began_ns
            self._give_up_overdue()
            return
        if frame.trigger_id not in self._exposing:
            self._note(frame)
            return
        while (first := next(iter(self._exposing))) != frame.trigger_id:
            self._end(first, "lost", "a later frame came and this one did not.")
        trigger, _ = self._exposing.pop(frame.trigger_id)
        self._waited_ns = 0
        self._ready.append(frame if trigger.z_nm is None or frame.z_nm is not None else replace(frame, z_nm=trigger.z_nm))

    def _give_up_overdue(self) -> None:
        """Only the next one due: what becomes of those behind it, the source says. After a stop all."""
        if not self._exposing or self._waited_ns <= self._timeout_s * 1e9:
            return
        closed = self._desk.closed
        for trigger_id in list(self._exposing) if closed else [next(iter(self._exposing))]:
            self._source.give_up(trigger_id)
            self._end(trigger_id, "timeout", f"no frame came within {self._timeout_s:g} s; check trigger line and camera.")
        while closed and (trigger := self._desk.next(0.0)) is not None:
            detail = f"no frame came for {self._timeout_s:g} s after the stop, and this field was not exposed any more."
            self._ready.append(self._without_frame(trigger, "skipped", detail, self._clock()))
        self._waited_ns = 0

    def _hold(self) -> None:
        held = not self._source.takes_triggers
        if held != self._held:
            self._held = held
            self._desk.hold(held, "camera")

    def _end(self, trigger_id: str, status: FrameStatus, detail: str) -> None:
        trigger, fired_ns = self._exposing.pop(trigger_id)
        self._given_up[trigger_id] = None
        if len(self._given_up) > _REMEMBERED:
            self._given_up.popitem(last=False)
        self._ready.append(self._without_frame(trigger, status, detail, fired_ns))

    def _without_frame(self, trigger: Trigger, status: FrameStatus, detail: str, fired_ns: int) -> Frame:
        return Frame(
            trigger.trigger_id,
            trigger.field_index,
            status,
            None,
            self.info.um_per_px,
            fired_ns,
            self._clock(),
            stage_nm=trigger.stage_nm,
            z_nm=trigger.z_nm,
            detail=detail,
        )

    def _note(self, frame: Frame) -> None:
        if frame.status == "lost":
            return  # a word of the source that this trigger has none, which was said already
        if frame.trigger_id in self._given_up:
            text = f"the frame of field {frame.field_index} (trigger {frame.trigger_id}) came after its trigger had ended."
            self._notes.append(SourceNote("late_frame", text, "warning"))
        else:
            text = f"frame {frame.frame_id} came and no trigger was announced for it; it was not counted."
            self._notes.append(SourceNote("unannounced_frame", text, "warning"))


def exposures_of(source: FrameSource | TriggeredSource, desk: TriggerDesk | None, timeout_s: float) -> Exposures | None:
    """The desk's triggers on a source that takes them, None for one that paces itself. Raises `ConfigError` for a mismatch."""
    if source.info.self_paced != (desk is None):
        raise ConfigError(
            f"{source.info.uri} {'paces itself and takes' if desk else 'waits to be triggered and got'} no triggers; "
            "report this defect."
        )
    return Exposures(cast("TriggeredSource", source), desk, timeout_s) if desk else None
