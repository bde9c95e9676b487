"""The loop that owns the engine, step by step: take what came, run what is due, hand back what has ended."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np

from edge.camera.frame import SourceNote
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import FrameError, sentence_of
from edge.contracts.log_context import of_field
from edge.contracts.records import FieldStatus, RunOutcome
from edge.engine.base import ChangingEngine, Engine, EngineInfo
from edge.pipeline.field_work import Batch, Batching, FieldJob, FieldWork, rows_of
from edge.pipeline.gate_doubt import OTHER_FIELDS
from edge.pipeline.intake import Arrival, Ending, FieldQueue, Note

POLL_S = 0.05
"""How long an idle loop waits for a frame before whoever turns it may look at something else."""

_log = logging.getLogger(__name__)


class EngineLoop:
    """Runs fields through the engine: `take` and `compute` in turn while it `goes_on`; then `ending` says why it does not.

    Belongs to the thread that opened the engine. Fields leave in the order in which they came, each exactly once, whatever
    happens to the engine. A source that gives nothing for `silence_limit_s` although a frame is due has failed.
    """

    def __init__(
        self,
        engine: Engine,
        work: FieldWork,
        queue: FieldQueue,
        batching: Batching,
        silence_limit_s: float,
        clock: Callable[[], int] = time.monotonic_ns,
        doubt: Callable[[EngineInfo], str] = lambda _: "",
    ) -> None:
        self._engine = engine
        self._doubt = doubt
        self._work = work
        self._queue = queue
        self._batching = batching
        self._silence_limit_ns = int(silence_limit_s * 1e9)
        self._clock = clock
        self._views = [list(engine.slot(index)) for index in range(engine.info.slots)]
        self._free = deque(range(engine.info.slots))
        self._filling: Batch | None = None
        self._in_flight: deque[Batch] = deque()
        self._abandoned: list[Batch] = []
        self._taken: deque[FieldJob] = deque()
        self._heard_ns = clock()
        self._batches = 0
        self._failure = ""
        self.ending: Ending | None = None

    @property
    def goes_on(self) -> bool:
        """Until nothing more comes and all that was taken has ended."""
        return self.ending is None or self._filling is not None or bool(self._in_flight)

    def take_no_more(self) -> None:
        """A stop: what is in the queue is still processed, what comes from now on is not. Safe to repeat."""
        if not self._queue.closed:
            self._queue.close()
            self._heard_ns = self._clock()

    def take(self, *, frame_is_due: bool = True) -> Arrival | Note | None:
        """The next that came; None when nothing did, when there is no room for more, and once all has come."""
        if not self._has_room():
            return None
        idle = self._is_idle()
        incoming = self._queue.get(POLL_S if idle else 0.0)
        now_ns = self._clock()
        if incoming is not None or not idle or not (frame_is_due or self._queue.closed):
            self._heard_ns = now_ns
        elif now_ns - self._heard_ns > self._silence_limit_ns:
            incoming = self._silence()
        if isinstance(incoming, Ending):
            self.ending = Ending(RunOutcome.FAILED, self._failure) if self._failure else incoming
            return None
        return incoming

    def compute(self, taken: Arrival | Note | None) -> list[FieldJob | Note]:
        """Put a frame into the batch, run the batch if it is due or else finish the oldest one that runs.

        Returns the fields that have ended by now, in trigger order, after the note if one was taken. An engine that fails ends
        the fields that it held as failed and all that still come as skipped.
        """
        ended: list[FieldJob | Note] = []
        try:
            if isinstance(taken, Arrival):
                self._start(taken)
                if not self._has_room():  # take all that waits before deciding about the batch
                    self._advance()
            elif taken is not None:
                ended.append(taken)
            else:
                self._advance()
        except Exception as problem:  # noqa: BLE001 whatever happened, what the engine held must be accounted for
            self._give_up(problem)
        while self._taken and self._taken[0].status is not None:
            ended.append(self._taken.popleft())
        return ended

    def refuse_rest(self) -> Iterator[FieldJob | Note]:
        """End what is still in the closed queue as skipped; waits for nothing."""
        while (incoming := self._queue.get(0.0)) is not None and not isinstance(incoming, Ending):
            yield self._refused(incoming) if isinstance(incoming, Arrival) else incoming

    def given_up(self, status: FieldStatus, detail: str) -> Iterator[FieldJob]:
        """End the fields that the engine was given and that have no end by now; their slots are emptied before."""
        while self._taken:
            job = self._taken.popleft()
            if job.status is None:
                job.end(status, detail)
            yield job

    def empty_slots(self) -> None:
        """Leave no slot in flight: the engine may serve another run, and its buffers must not be freed under it."""
        while batch := self._abandoned.pop() if self._abandoned else self._in_flight.popleft() if self._in_flight else None:
            try:
                self._engine.collect(batch.slot)
            except Exception as problem:  # noqa: BLE001 its fields have ended already, with the failure that led here
                _log.debug("a batch in flight at the end was lost", exc_info=problem)

    def _is_idle(self) -> bool:
        return self._filling is None and not self._in_flight

    def _has_room(self) -> bool:
        if self.ending is not None:
            return False
        if self._failure:
            return True
        if self._filling is None:
            return bool(self._free)
        return len(self._filling.jobs) < self._batching.capacity

    def _silence(self) -> Ending:
        seconds = self._silence_limit_ns / 1e9
        if self._queue.closed:
            return Ending(RunOutcome.STOPPED, f"the source did not return within {seconds:g} s after the stop")
        self._queue.close()
        detail = f"the source gave nothing for {seconds:g} s; check it, or raise `source_timeout_s` if such pauses are normal."
        return Ending(RunOutcome.FAILED, detail)

    def _start(self, arrival: Arrival) -> None:
        if self._failure:
            self._taken.append(self._refused(arrival))
            return
        job, image = FieldJob(arrival.frame), arrival.frame.image
        self._taken.append(job)
        if arrival.skipped:
            job.end(FieldStatus.SKIPPED, arrival.skipped)
        elif arrival.frame.status != "ok" or image is None:
            job.end(FieldStatus(arrival.frame.status), arrival.frame.detail)
        else:
            job.height_px, job.width_px = image.shape[:2]
            self._fit(job, image)

    def _refused(self, arrival: Arrival) -> FieldJob:
        job = FieldJob(arrival.frame)
        job.end(FieldStatus.SKIPPED, arrival.skipped or "the run failed before this field was processed")
        return job

    def _fit(self, job: FieldJob, image: Image) -> None:
        job.marks.taken = self._clock()
        try:
            other = self._work.for_size(image)
        except Exception as problem:  # noqa: BLE001 as below
            _fail(job, problem)
            return
        if other is not None:
            self._run_alone(job, image, other)
            return
        batch = self._filling or Batch(self._free.popleft())
        self._filling = batch
        first, n = batch.rows, self._work.n_tiles
        try:
            self._work.write(job.frame, image, self._views[batch.slot][first : first + n])
        except Exception as problem:  # noqa: BLE001 one field's processing error is that field's end, not the run's
            _fail(job, problem)
            if not batch.jobs:
                self._filling = None
                self._free.appendleft(batch.slot)
            return
        batch.jobs.append((job, first))
        batch.rows += n
        if not self._work.needs_image:
            job.release()
        job.marks.fitted = self._clock()

    def _run_alone(self, job: FieldJob, image: Image, work: FieldWork) -> None:
        """A field of another size: after all before it, in as many batches as its tiles take; nothing else runs then."""
        if self._filling is not None:
            self._submit(self._filling)
        while self._in_flight:
            self._collect()
        slot = self._free[0]
        views = self._views[slot]
        tiles = [np.empty_like(views[0]) for _ in range(work.n_tiles)]
        try:
            work.write(job.frame, image, tiles)
        except Exception as problem:  # noqa: BLE001 one field's processing error is that field's end, not the run's
            _fail(job, problem)
            return
        job.marks.fitted = job.marks.submitted = self._clock()
        job.batch, self._batches = self._batches, self._batches + 1
        raw = computed_alone(self._engine, slot, views, tiles)
        self._note_changes()
        job.marks.collected = job.marks.analysed_from = self._clock()
        self._analyse(job, work, raw)

    def _advance(self) -> None:
        batch = self._filling
        if batch is not None:
            waited_ns = self._clock() - batch.oldest_host_ns()
            running = sum(other.rows for other in self._in_flight)
            if self._batching.is_due(len(batch.jobs), waited_ns, engine_is_idle=running < self._engine.info.streams):
                self._submit(batch)
                return
        if self._in_flight:
            self._collect()
        elif batch is None and self.ending is None and not self._failure:
            self._engine.keep_warm()

    def _submit(self, batch: Batch) -> None:
        now_ns = self._clock()
        for job, _ in batch.jobs:
            job.marks.submitted = now_ns
            job.batch = self._batches
        self._batches += 1
        self._engine.submit(batch.slot, batch.rows)
        self._filling = None
        self._in_flight.append(batch)

    def _collect(self) -> None:
        batch = self._in_flight.popleft()
        raw = self._engine.collect(batch.slot)
        self._note_changes()
        collected_ns = self._clock()
        self._free.append(batch.slot)
        for job, first in batch.jobs:
            job.marks.collected = collected_ns
            job.marks.analysed_from = self._clock()
            self._analyse(job, self._work, rows_of(raw, first, self._work.n_tiles))

    def _note_changes(self) -> None:
        """An engine may be another one from now on; what computes a field is part of what its result rests on."""
        if hasattr(self._engine, "notes"):
            for said in cast(ChangingEngine, self._engine).notes():
                self._queue.note(SourceNote("engine_changed", said, "warning"))
                if doubt := self._doubt(self._engine.info):
                    self._queue.note(SourceNote(OTHER_FIELDS, doubt, "warning"))

    def _analyse(self, job: FieldJob, work: FieldWork, raw: RawDetections) -> None:
        try:
            findings = work.findings(raw)
            quality = work.quality(job.frame)
            for note in work.done(job.frame, findings):
                self._queue.note(note)
        except Exception as problem:  # noqa: BLE001 one field's processing error is that field's end, not the run's
            _fail(job, problem)
            return
        job.findings, job.quality = findings, quality
        job.marks.analysed = self._clock()
        job.end(FieldStatus.OK if findings.detections else FieldStatus.EMPTY)

    def _give_up(self, problem: Exception) -> None:
        """What the engine held failed with it; what still comes is refused until the source has let go."""
        self._failure = sentence_of(problem, "the engine loop crashed")
        _log.error("the run ends: %s", self._failure)
        _log.debug("where it failed", exc_info=problem)
        for job in self._taken:
            if job.status is None:
                job.end(FieldStatus.FAILED, self._failure)
        self._filling = None
        self._abandoned.extend(self._in_flight)
        self._in_flight.clear()
        self._queue.close()
        self._heard_ns = self._clock()
        if self.ending is not None:
            self.ending = Ending(RunOutcome.FAILED, self._failure)


def computed_alone(engine: Engine, slot: int, views: Sequence[Image], tiles: Sequence[Image]) -> RawDetections:
    """The outputs of one field's tiles, each uint8 [H, W, 3], in as many batches as they take of the slot's `views`."""
    found = []
    for first in range(0, len(tiles), len(views)):
        part = tiles[first : first + len(views)]
        for view, tile in zip(views, part, strict=False):
            view[...] = tile
        engine.submit(slot, len(part))
        raw = rows_of(engine.collect(slot), 0, len(part))
        found.append(tuple(rows.copy() for rows in (raw.boxes, raw.scores, raw.labels)))
    boxes, scores, labels = (np.concatenate(rows) for rows in zip(*found, strict=True))
    return RawDetections(boxes, scores, labels)


def _fail(job: FieldJob, problem: Exception) -> None:
    name = job.frame.source_name or f"trigger {job.frame.trigger_id}"
    sentence = sentence_of(problem, "processing failed")
    level = logging.WARNING if isinstance(problem, FrameError) else logging.ERROR
    ids = of_field(job.frame.field_index, job.frame.trigger_id)
    _log.log(level, "field %d (%s) failed: %s", job.frame.field_index, name, sentence, extra=ids)
    _log.debug("where it failed", exc_info=problem, extra=ids)
    job.end(FieldStatus.FAILED, sentence)
