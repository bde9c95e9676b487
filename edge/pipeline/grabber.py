"""The thread that reads the source, so that waiting for a camera never holds up inference."""

import logging
import threading

from edge.camera.frame import FrameSource, SourceEnded, SourceNote, SourceTimeout
from edge.contracts.records import RunOutcome
from edge.pipeline.arrivals import Ending
from edge.pipeline.field_queue import FieldQueue
from edge.pipeline.ledger import Ledger
from edge.pipeline.stop import sentence_of

READ_S = 0.2
"""Longest single wait inside a source, so that a stop is seen soon."""

_log = logging.getLogger(__name__)


class Grabber:
    """Reads until the source ends, `max_fields` triggers were issued, or the queue is closed; always ends the queue.

    Frames of a source that paces itself are entered into `ledger`; without one their triggers were entered when announced.
    """

    def __init__(self, source: FrameSource, queue: FieldQueue, ledger: Ledger | None, max_fields: int | None) -> None:
        self._source = source
        self._queue = queue
        self._ledger = ledger
        self._max_fields = max_fields
        # A driver that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="leuko-grab", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False, and a warning, when the source does not let go of it."""
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
            try:
                frame = self._source.read(READ_S)
            except SourceTimeout:
                continue
            except SourceEnded as end:
                return Ending(RunOutcome.COMPLETED, str(end) or "the source ended")
            finally:
                for note in self._source.notes():
                    self._queue.note(note)
            if self._ledger is None or self._ledger.issue(frame.trigger_id, frame.field_index):
                self._queue.put(frame)
            else:
                text = f"field {frame.field_index} (trigger {frame.trigger_id}) came late or twice and was not counted"
                self._queue.note(SourceNote("repeated_frame", text, "warning"))
        return Ending(RunOutcome.STOPPED)
