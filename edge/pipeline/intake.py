"""What comes in: the thread that reads the source, and the bounded queue between it and the loop, with its policy spelled out.

Waiting for a camera never holds up inference: the thread that owns the engine only ever looks into the queue.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from edge.camera.frame import Frame, FrameSource, SourceEnded, SourceNote, SourceTimeout
from edge.contracts.choices import Policy
from edge.contracts.errors import sentence_of
from edge.contracts.records import RunOutcome
from edge.pipeline.ledger import Ledger, LedgerRefusal
from edge.pipeline.pause import Pause

READ_S = 0.2
"""Longest single wait inside a source, so that a stop is seen soon."""

DROPPED = "a newer field took its place: the run keeps only the latest fields"
MAX_DROPPED = 1024
"""Dropped frames not yet accounted for at which even `latest` holds its source back until all of them are."""

REFUSED = "the run was ending when this field arrived"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One trigger's frame; `skipped` says why it will not be processed, and is empty when it will be."""

    frame: Frame
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class AdviceNote:
    """Something the scanner should be told; becomes an `advice` of the run."""

    advice: Literal["pause", "resume", "stop"]
    reason: str
    is_final: bool | None = None
    field_index: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why no further frame will come."""

    outcome: RunOutcome
    detail: str = ""


Note = SourceNote | AdviceNote
Incoming = Arrival | Note | Ending


class FieldQueue:
    """At most `capacity` frames with an image wait here. Whatever is put comes out exactly once and in the same order.

    `lossless`: `put` waits for room, which holds the source back. `latest`: the oldest waiting frame loses its image and
    comes out as skipped. Once closed, frames come out as skipped, too.
    """

    def __init__(self, capacity: int, policy: Policy) -> None:
        self._capacity = capacity
        self._policy = policy
        self._changed = threading.Condition()
        self._notes: deque[Note] = deque()
        # The oldest waiting frame is dropped first and refused ones come last: three queues in sequence keep the order.
        self._dropped: deque[Frame] = deque()
        self._waiting: deque[Frame] = deque()
        self._refused: deque[Frame] = deque()
        self._ending: Ending | None = None
        self._closed = False

    def put(self, frame: Frame) -> bool:
        """Hand over a frame; False when the queue is closed, so that no more should be put."""
        with self._changed:
            if self._policy == "lossless":
                self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._capacity)
            elif len(self._dropped) >= MAX_DROPPED:
                self._changed.wait_for(lambda: self._closed or not self._dropped)
            if self._closed:
                self._refused.append(replace(frame, image=None))
            else:
                if len(self._waiting) >= self._capacity:
                    self._dropped.append(replace(self._waiting.popleft(), image=None))
                self._waiting.append(frame)
            self._changed.notify_all()
            return not self._closed

    def note(self, note: Note) -> None:
        with self._changed:
            self._notes.append(note)
            self._changed.notify_all()

    def end(self, ending: Ending) -> None:
        """Nothing will be put from now on."""
        with self._changed:
            self._ending = ending
            self._changed.notify_all()

    def close(self) -> None:
        """Take in nothing more; what waits already still comes out to be processed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Frames with an image that wait; any thread may ask."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        return self._closed

    def get(self, timeout_s: float) -> Incoming | None:
        """The next in order, the ending once all is out (every time), or None when nothing came in time."""
        with self._changed:
            self._changed.wait_for(self._has_any, timeout_s)
            return self._next()

    def _has_any(self) -> bool:
        return bool(self._notes or self._dropped or self._waiting or self._refused or self._ending)

    def _next(self) -> Incoming | None:
        if self._notes:
            return self._notes.popleft()
        if self._dropped:
            self._changed.notify_all()
            return Arrival(self._dropped.popleft(), DROPPED)
        if self._waiting:
            self._changed.notify_all()
            return Arrival(self._waiting.popleft())
        if self._refused:
            return Arrival(self._refused.popleft(), REFUSED)
        return self._ending


class Grabber:
    """Reads until the source ends, `max_fields` triggers were issued, or the queue is closed; always ends the queue.

    Frames of a source that paces itself are entered into `ledger`; without one their triggers were entered when announced.
    While the run is paused such a source is left alone; if it is live, its frames come all the same, and are dropped.
    """

    def __init__(
        self, source: FrameSource, queue: FieldQueue, ledger: Ledger | None, max_fields: int | None, pause: Pause | None = None
    ) -> None:
        self._source = source
        self._queue = queue
        self._ledger = ledger
        self._max_fields = max_fields
        self._pause = pause or Pause()
        # A driver that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="leuko-grab", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def hangs(self) -> bool:
        """Whether the thread goes on, be it only because a driver does not return; any thread may ask."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread, if there is one; False, and a warning, when the source does not let go of it."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.warning("the source did not return within %.1f s and was abandoned.", timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            ending = self._grab()
        except Exception as problem:  # noqa: BLE001 a thread that dies silently would hang the run
            _log.debug("where the source failed", exc_info=problem)
            ending = Ending(RunOutcome.FAILED, sentence_of(problem, "the source crashed"))
        self._queue.end(ending)

    def _grab(self) -> Ending:
        self._source.start()
        while not self._queue.closed:
            if self._ledger and self._max_fields is not None and self._ledger.issued >= self._max_fields:
                return Ending(RunOutcome.COMPLETED, f"{self._max_fields} fields were asked for")
            if self._ledger and self._pause.held and not self._source.info.is_live:
                self._pause.wait(READ_S)
                continue
            try:
                frame = self._source.read(READ_S)
            except SourceTimeout:
                continue
            except SourceEnded as end:
                return Ending(RunOutcome.COMPLETED, str(end) or "the source ended")
            finally:
                for note in self._source.notes():
                    self._queue.note(note)
            if self._ledger is not None:
                if self._source.info.is_live and self._pause.misses():
                    continue
                try:
                    self._ledger.issue(frame.trigger_id, frame.field_index, frame.stage_nm)
                except LedgerRefusal:
                    text = f"field {frame.field_index} (trigger {frame.trigger_id}) came late or twice and was not counted"
                    self._queue.note(SourceNote("repeated_frame", text, "warning"))
                    continue
            self._queue.put(frame)
        return Ending(RunOutcome.STOPPED)
