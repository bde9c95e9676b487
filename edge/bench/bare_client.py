"""A camera read by hardly anything, for the loop to be held against."""

import time
from typing import cast

from edge.bench.camera_soak_report import rate_of
from edge.camera.frame import Frame, FrameSource, SourceEnded, SourceTimeout, Trigger, TriggeredSource
from edge.contracts.errors import SourceError
from edge.pipeline import StopSwitch
from edge.watch.work_progress import Passed

_READ_S = 0.02
_PATIENCE_S = 10.0


def read_bare(
    source: FrameSource, n_fields: int, trigger_timeout_s: float, stop: StopSwitch, passed: Passed
) -> tuple[float, int]:
    """Read and forget; `passed` is told of each field. Returns fields per second, and how many of their frames were not whole.

    A trigger without a frame counts for both: the loop, too, waits for it as long and goes on.
    """
    source.start()
    triggered = None if source.info.self_paced else cast("TriggeredSource", source)
    moments_s, lost = list[float](), 0
    while len(moments_s) < n_fields and not stop.requested:
        if triggered is None:
            frame = _next(source, "", _PATIENCE_S)
            if frame is None:
                raise SourceError(f"{source.info.uri} gave nothing for {_PATIENCE_S:g} s; check it.")
        else:
            trigger = Trigger(f"bare-{len(moments_s)}", len(moments_s), None)
            triggered.expect(trigger)
            frame = _next(source, trigger.trigger_id, trigger_timeout_s)
            if frame is None:
                triggered.give_up(trigger.trigger_id)
        moments_s.append(time.monotonic())
        lost += frame is None or frame.status != "ok"
        passed(1)
    return rate_of(moments_s), lost


def _next(source: FrameSource, trigger_id: str, patience_s: float) -> Frame | None:
    """The frame of this trigger, or any when none is named; None when it does not come in time."""
    until_s = time.monotonic() + patience_s
    while time.monotonic() < until_s:
        try:
            frame = source.read(min(_READ_S, patience_s))
        except SourceTimeout:
            continue
        except SourceEnded:
            raise SourceError(f"{source.info.uri} ended by itself and cannot be read in rounds; leave --rounds out.") from None
        if not trigger_id or frame.trigger_id == trigger_id:
            return frame
    return None
