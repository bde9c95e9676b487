"""An open camera through other optics: its frames as they come, with another physical size of their pixels."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from edge.camera.frame import Frame, FrameSource, SourceInfo, SourceNote, Trigger, TriggeredSource
from edge.contracts.records import SourceStatistics


class OtherOptics:
    """Implements `FrameSource`, and `TriggeredSource` where `source` does. Whoever opened `source` closes it."""

    def __init__(self, source: FrameSource | TriggeredSource, um_per_px: float) -> None:
        self._source = source
        self._um_per_px = um_per_px

    @property
    def info(self) -> SourceInfo:
        return replace(self._source.info, um_per_px=self._um_per_px)

    def look_again(self) -> None:
        self._source.look_again()

    def start(self) -> None:
        self._source.start()

    def read(self, timeout_s: float) -> Frame:
        """The next frame; one of a run that was before keeps nothing of its optics."""
        return replace(self._source.read(timeout_s), um_per_px=self._um_per_px)

    def notes(self) -> list[SourceNote]:
        return self._source.notes()

    def statistics(self) -> SourceStatistics:
        return self._source.statistics()

    def close(self) -> None:
        """Nothing: the camera stays open for runs with its own optics."""

    @property
    def takes_triggers(self) -> bool:
        return self._triggered.takes_triggers

    @property
    def is_settling(self) -> bool:
        return self._triggered.is_settling

    @property
    def is_certain(self) -> bool:
        return self._triggered.is_certain

    def look_before_matching(self, look: Callable[[], None]) -> None:
        self._triggered.look_before_matching(look)

    def expect(self, trigger: Trigger) -> None:
        self._triggered.expect(trigger)

    def give_up(self, trigger_id: str) -> None:
        self._triggered.give_up(trigger_id)

    @property
    def _triggered(self) -> TriggeredSource:
        return cast("TriggeredSource", self._source)
