"""The loop that owns the engine: take, run, collect, one field after the other in trigger order."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator

from edge.contracts.detections import Image
from edge.contracts.errors import FrameError
from edge.contracts.records import FieldStatus, RunOutcome
from edge.engine.base import Engine
from edge.pipeline.arrivals import Arrival, Ending, Note
from edge.pipeline.batching import Batching
from edge.pipeline.field_queue import FieldQueue
from edge.pipeline.job import Batch, FieldWork, Job, rows_of
from edge.pipeline.stop import StopSwitch, sentence_of

POLL_S = 0.05
"""How long an idle loop waits before it looks whether a stop was asked for."""

_log = logging.getLogger(__name__)


class EngineLoop:
    """Runs fields through the engine. All of it, generator included, belongs to the thread that opened the engine.

    After `fields` is exhausted `ending` says why. A source that gives nothing for `silence_limit_s` has failed if `expects`
    says that a frame is due. A stop closes the queue as soon as `may_close`.
    """

    def __init__(
        self,
        engine: Engine,
        work: FieldWork,
        queue: FieldQueue,
        batching: Batching,
        stop: StopSwitch,
        silence_limit_s: float,
        clock: Callable[[], int] = time.monotonic_ns,
        expects: Callable[[], bool] = lambda: True,
        may_close: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._work = work
        self._queue = queue
        self._batching = batching
        self._stop = stop
        self._silence_limit_ns = int(silence_limit_s * 1e9)
        self._clock = clock
        self._expects = expects
        self._may_close = may_close
        self._views = [list(engine.slot(index)) for index in range(engine.info.slots)]
        self._free = deque(range(engine.info.slots))
        self._filling: Batch | None = None
        self._flying: deque[Batch] = deque()
        self._line: deque[Job] = deque()
        self._heard_ns = clock()
        self.ending: Ending | None = None

    def fields(self) -> Iterator[Job | Note]:
        """Every trigger's job, done, in trigger order, with the source's notes between them."""
        try:
            yield from self._run()
        except Exception as problem:  # noqa: BLE001 whatever happened, what the engine held must be accounted for
            sentence = sentence_of(problem, "the engine loop crashed")
            _log.error("the run ends: %s", sentence)
            _log.debug("where it failed", exc_info=problem)
            yield from self._give_up(sentence)
        finally:
            self._land()

    def _run(self) -> Iterator[Job | Note]:
        while self.ending is None or self._filling or self._flying:
            if self._stop.requested and not self._queue.closed and self._may_close():
                self._queue.close()
                self._heard_ns = self._clock()
            note = None
            took = False
            if self._has_room():
                news = self._next_news()
                took = isinstance(news, Arrival)
                if isinstance(news, Arrival):
                    self._take(news)
                elif isinstance(news, Ending):
                    self.ending = news
                else:
                    note = news
            if note is not None:
                yield note
            elif not took or not self._has_room():  # take all that waits before deciding about the batch
                self._advance()
            yield from self._done()

    def _has_room(self) -> bool:
        if self.ending is not None:
            return False
        if self._filling is None:
            return bool(self._free)
        return len(self._filling.jobs) < self._batching.capacity

    def _next_news(self) -> Arrival | Note | Ending | None:
        idle = not self._filling and not self._flying
        if idle:
            self._engine.keep_warm()
        news = self._queue.get(POLL_S if idle else 0.0)
        now_ns = self._clock()
        if news is not None or not idle or not (self._queue.closed or self._expects()):
            self._heard_ns = now_ns
        elif now_ns - self._heard_ns > self._silence_limit_ns:
            return self._silence()
        return news

    def _silence(self) -> Ending:
        seconds = self._silence_limit_ns / 1e9
        if self._queue.closed:
            return Ending(RunOutcome.STOPPED, f"the source did not return within {seconds:g} s after the stop")
        self._queue.close()
        detail = f"the source gave nothing for {seconds:g} s; check it, or raise `source_timeout_s` if such pauses are normal."
        return Ending(RunOutcome.FAILED, detail)

    def _take(self, arrival: Arrival) -> None:
        job = Job(arrival.frame)
        self._line.append(job)
        image = arrival.frame.image
        if arrival.skipped:
            job.end(FieldStatus.SKIPPED, arrival.skipped)
        elif arrival.frame.status != "ok" or image is None:
            job.end(FieldStatus(arrival.frame.status), arrival.frame.detail)
        else:
            job.height_px, job.width_px = image.shape[:2]
            self._fit(job, image)

    def _fit(self, job: Job, image: Image) -> None:
        job.marks.taken = self._clock()
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

    def _advance(self) -> None:
        """Run the batch being filled if it is due; otherwise finish the oldest one running."""
        batch = self._filling
        if batch is not None:
            waited_ns = self._clock() - batch.oldest_host_ns()
            if self._batching.is_due(len(batch.jobs), waited_ns, engine_is_idle=not self._flying):
                self._submit(batch)
                return
        if self._flying:
            self._collect()

    def _submit(self, batch: Batch) -> None:
        now_ns = self._clock()
        for job, _ in batch.jobs:
            job.marks.submitted = now_ns
        self._engine.submit(batch.slot, batch.rows)
        self._filling = None
        self._flying.append(batch)

    def _collect(self) -> None:
        batch = self._flying.popleft()
        raw = self._engine.collect(batch.slot)
        collected_ns = self._clock()
        self._free.append(batch.slot)
        for job, first in batch.jobs:
            job.marks.collected = collected_ns
            job.marks.analysed_from = self._clock()
            try:
                findings = self._work.findings(rows_of(raw, first, self._work.n_tiles))
                if (note := self._work.done(job.frame, findings)) is not None:
                    self._queue.note(note)
            except Exception as problem:  # noqa: BLE001 one field's processing error is that field's end, not the run's
                _fail(job, problem)
                continue
            job.findings = findings
            job.marks.analysed = self._clock()
            job.end(FieldStatus.OK if job.findings.detections else FieldStatus.EMPTY)

    def _done(self) -> Iterator[Job]:
        while self._line and self._line[0].status is not None:
            yield self._line.popleft()

    def _give_up(self, sentence: str) -> Iterator[Job | Note]:
        """After an engine failure: what the engine held failed with it, what still waited is skipped."""
        for job in self._line:
            if job.status is None:
                job.end(FieldStatus.FAILED, sentence)
        self._filling = None
        yield from self._done()
        self._queue.close()
        yield from self.refuse_rest(self._silence_limit_ns / 1e9)
        self.ending = Ending(RunOutcome.FAILED, sentence)

    def _land(self) -> None:
        """Leave no slot in flight: the engine may serve another run, and its buffers must not be freed under it."""
        while self._flying:
            try:
                self._engine.collect(self._flying.popleft().slot)
            except Exception as problem:  # noqa: BLE001 its fields have ended already, with the failure that led here
                _log.debug("a batch in flight at the end was lost", exc_info=problem)

    def refuse_rest(self, wait_s: float) -> Iterator[Job | Note]:
        """End what is still in the closed queue as skipped; waits up to `wait_s` for the grabbing thread to end it."""
        deadline_ns = self._clock() + int(wait_s * 1e9)
        while not isinstance(news := self._queue.get(min(wait_s, POLL_S)), Ending):
            if isinstance(news, Arrival):
                job = Job(news.frame)
                job.end(FieldStatus.SKIPPED, news.skipped or "the run failed before this field was processed")
                yield job
            elif news is not None:
                yield news
            elif self._clock() >= deadline_ns:
                return


def _fail(job: Job, problem: Exception) -> None:
    name = job.frame.source_name or f"trigger {job.frame.trigger_id}"
    sentence = sentence_of(problem, "processing failed")
    level = logging.WARNING if isinstance(problem, FrameError) else logging.ERROR
    _log.log(level, "field %d (%s) failed: %s", job.frame.field_index, name, sentence)
    _log.debug("where it failed", exc_info=problem)
    job.end(FieldStatus.FAILED, sentence)
