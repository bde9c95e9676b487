"""One run, step by step: begin, take, compute, count, settle, end. `edge/service/serve.py` turns it."""

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType

from edge.camera.frame import FrameSource, SourceNote
from edge.camera.frame_store import StoringSource
from edge.contracts.errors import JournalError, LeukoError, sentence_of
from edge.contracts.log_context import LOG_CONTEXT
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import (
    CarriedResult,
    FieldStatus,
    NetSums,
    Record,
    RunOutcome,
    RunStart,
    RunStop,
    SourceStatistics,
)
from edge.contracts.stage_geometry import StageGeometry
from edge.counting.slide_account import SlideAccount
from edge.journal.carried import Carried
from edge.pipeline.engine_loop import EngineLoop
from edge.pipeline.exposures import exposures_of
from edge.pipeline.field_correction import colour_watch_for, watch_for
from edge.pipeline.field_watches import FieldWatches
from edge.pipeline.field_work import Batching, CellWork, FieldJob
from edge.pipeline.gate_doubt import OTHER_FIELDS, doubt_of_run
from edge.pipeline.intake import Arrival, Ending, FieldQueue, Grabber, Note
from edge.pipeline.ledger import Ledger
from edge.pipeline.parts import Parts
from edge.pipeline.pause import Pause
from edge.pipeline.run_account import RunAccount, provenance_of
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.trigger_desk import TriggerDesk
from edge.quality import ChannelOrder, Colourless, FixedThings, PositionCheck, ScaleCheck
from edge.settings import Setup

_JOIN_S = 2.0
_JOIN_AT_ONCE_S = 0.5
_log = logging.getLogger(__name__)


class Run:
    """One run over open parts, announced triggers coming from `desk` when the source does not pace itself.

    While `pause` is held nothing is taken in; `before` is what the run takes over from those that it continues.

    `begin`, then within the run as a context (the source is read there) `take`, `compute` and `count` while it `goes_on`; then
    what is `settling`, and `end`. Once begun it has an end: whatever breaks within is its outcome, but for a `JournalError`,
    after which nothing can be put on record. Belongs to the thread that opened the engine; `ledger` and `waiting` may be looked
    at from any, and `note` called.
    """

    def __init__(
        self,
        setup: Setup,
        parts: Parts,
        order: RunStartCommand,
        stop: StopSwitch,
        desk: TriggerDesk | None = None,
        pause: Pause | None = None,
        before: Carried | None = None,
    ) -> None:
        settings = setup.settings
        self.ledger = desk.ledger if desk else Ledger()
        self._setup, self._parts, self._order, self._stop, self._desk = setup, parts, order, stop, desk
        self._source: FrameSource
        self._exposures = exposures_of(parts.source, desk, settings.trigger_timeout_s)
        self._source = self._exposures or parts.source
        if parts.frames is not None:
            self._source = StoringSource(self._source, parts.frames)
        self._max_fields = _smaller(order.max_fields, settings.max_fields)
        self._queue = FieldQueue(settings.queue_fields, settings.policy)
        self._pause = pause or Pause()
        self._grabber = Grabber(self._source, self._queue, None if desk else self.ledger, self._max_fields, self._pause)
        self._source_returned = True
        thresholds = settings.thresholds or setup.bundle.manifest.thresholds
        info, um_per_px = parts.source.info, setup.bundle.manifest.um_per_px
        self._ordered = order.order or settings.order
        self._geometry = StageGeometry.of(setup.stage, info.um_per_px)
        self._watches = watches = FieldWatches(
            ScaleCheck(info.um_per_px),
            Colourless(info.um_per_px),
            ChannelOrder(info.um_per_px),
            colour_watch_for(setup, info.um_per_px),
            FixedThings(info.um_per_px),
            watch_for(setup, self._ordered, info.um_per_px),
            PositionCheck(self._geometry, info.um_per_px),
        )
        work = CellWork(info, parts.plan, um_per_px, thresholds, setup.probability, parts.crops, watches)
        batching = Batching(parts.fields_per_batch, int(settings.max_delay_ms * 1e6))
        # A trigger without a frame ends after its own time, which the source has beside: it is not silent before.
        silence_s = settings.source_timeout_s + (settings.trigger_timeout_s if desk else 0.0)
        doubt_of = partial(doubt_of_run, correction=parts.plan.correction, bundle=setup.bundle, settings=settings)
        self._loop = EngineLoop(parts.engine, work, self._queue, batching, silence_s, doubt=doubt_of)
        for note in parts.notes:
            self._queue.note(note)
        if doubt := doubt_of(parts.engine.info):
            self._queue.note(SourceNote(OTHER_FIELDS, doubt, "warning"))
        slide = SlideAccount(self._geometry, info.width_px, info.height_px, self._ordered)
        if before is not None:
            before.feed(slide)
        places = desk.places if desk else None
        self._account = RunAccount(order.run_id, self.ledger, places, before, slide, self._queue.note, watches=watches)
        self._ending: Ending | None = None

    @property
    def waiting(self) -> int:
        """Fields that wait for the engine; any thread may ask."""
        return self._queue.waiting

    @property
    def source_is_held(self) -> bool:
        """Whether a driver has not returned from its last call: nobody else may read the source."""
        return not self._source_returned

    def source_hangs(self) -> bool:
        """Whether that driver has still not returned; after the run, and any thread may ask."""
        return self._grabber.hangs

    def note(self, note: Note) -> None:
        """Put an `advice` or an `event` among the records. For any thread."""
        self._queue.note(note)

    def begin(self) -> RunStart:
        """The first record: what the run's results will rest on."""
        with suppress(LeukoError):  # whatever it is, the source says it again when it is started
            self._source.look_again()
        provenance = provenance_of(self._setup, self._parts.engine.info, self._source.info, self._parts.plan.correction)
        expected = _smaller(self._source.info.n_fields, self._max_fields)
        record = self._account.start(self._order, self._setup.settings, provenance, expected, self._geometry)
        LOG_CONTEXT.begin_run(record.run_id, record.slide_id, record.sample_id)
        return record

    def __enter__(self) -> "Run":
        try:
            self._grabber.start()
        except Exception as problem:  # noqa: BLE001 a machine that gives no thread: run_stop must follow run_start all the same
            self._break_off(problem)
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> bool:
        self._queue.close()
        if problem is None:
            return False
        self._source_returned = self._grabber.join(_JOIN_S)  # before the caller closes the source under the thread
        self._loop.empty_slots()
        if isinstance(problem, JournalError) or not isinstance(problem, Exception):
            return False
        self._break_off(problem)
        return True

    @property
    def goes_on(self) -> bool:
        """Until the source has ended, or the run was stopped, and every field that was taken in has ended, too."""
        return self._ending is None and self._loop.goes_on and not self._stop.at_once

    def take(self) -> Arrival | Note | None:
        """A frame, a note, or None: nothing came within a moment, or the engine has no room for more."""
        if (note := self._pause.note()) is not None:
            return note
        if self._stop.requested and self._may_take_no_more():
            self._loop.take_no_more()
        # A frame is due at any time, unless it is to be announced first, or nobody reads the source.
        is_due = self.ledger.open > 0 if self._desk else not self._pause.held
        return self._loop.take(frame_is_due=is_due)

    def compute(self, taken: Arrival | Note | None) -> list[FieldJob | Note]:
        """Fit a frame to the model and run the engine when it is due; the fields that have ended, in trigger order."""
        return self._loop.compute(taken)

    def count(self, ended: FieldJob | Note) -> Record:
        """The record of a field or a note: its trigger has its one end in the ledger, and the counts include it."""
        return self._account.count(ended)

    def settle(self) -> Iterator[FieldJob | Note]:
        """After the last step: let go of the source, and end what has no end by now. Each must be counted before the next."""
        self._queue.close()
        self._loop.empty_slots()
        self._source_returned = self._grabber.join(_JOIN_AT_ONCE_S if self._stop.at_once else _JOIN_S)
        unexposed = self._desk.close(self._stop.requested or "it has ended") if self._desk else []
        self.ledger.seal()
        jobs: dict[str, FieldJob] = {}
        for ended in itertools.chain(self._loop.given_up(*self._given_up_as()), self._loop.refuse_rest()):
            if isinstance(ended, FieldJob):
                jobs[ended.frame.trigger_id] = ended
            else:
                yield ended
        if self._parts.crops is not None and (note := self._parts.crops.drain()) is not None:
            yield note
        self._pause.end("the run ends")
        while (pause_note := self._pause.note()) is not None:
            yield pause_note
        if not self._stop.at_once:
            yield from self._watches.at_end()
        skipped = {trigger.trigger_id for trigger in unexposed}
        for trigger_id, field_index, stage_nm in self.ledger.left():  # which has the order of the triggers
            if (job := jobs.get(trigger_id)) is None:
                job = FieldJob.without_frame(trigger_id, field_index, self._source.info.um_per_px, stage_nm)
                if trigger_id in skipped and not self._stop.at_once:
                    job.end(FieldStatus.SKIPPED, "the run ended before this field was exposed")
                elif self._ending is None and not self._stop.at_once:
                    job.end(FieldStatus.LOST, "the run ended before the frame of this field came")
                else:
                    job.end(*self._given_up_as())
            yield job
        yield from self._loop.refuse_rest()  # what these last fields have given rise to: advice, corrections

    @contextmanager
    def settling(self) -> Iterator[Iterator[FieldJob | Note]]:
        """`settle` as a context: what breaks within is the run's outcome, as within the run itself."""
        try:
            yield self.settle()
        except JournalError:
            raise
        except Exception as problem:  # noqa: BLE001 run_stop must follow
            self._break_off(problem)

    def _given_up_as(self) -> tuple[FieldStatus, str]:
        """How a field ends that the edge had to do with when the run ended before its time."""
        if self._ending is not None:
            return FieldStatus.FAILED, f"the run broke off before this field was recorded: {self._ending.detail}"
        return FieldStatus.SKIPPED, f"{self._stop.at_once or 'the run ended'} before this field had been processed"

    def end(self) -> RunStop:
        """The last record: outcome, sums, differential, and what the source has lost."""
        ending = self._ending or self._loop.ending
        if ending is None and self._stop.at_once:
            ending = Ending(RunOutcome.STOPPED, self._stop.at_once)
        if ending is None:
            ending = Ending(RunOutcome.FAILED, "the loop ended without a reason; report this defect.")
        if ending.outcome is RunOutcome.STOPPED:
            ending = Ending(self._stop.outcome, self._stop.requested or ending.detail)
        unrecorded = self._desk.unrecorded() if self._desk else ()
        statistics, doubts = self._source_statistics(), self._watches.scale.doubts()
        self._watches.scale.close()
        record = self._account.stop(ending.outcome, ending.detail, statistics, doubts, unrecorded)
        LOG_CONTEXT.end_run()
        return record

    def sums(self) -> tuple[NetSums | None, CarriedResult | None]:
        """So far: without replaced fields, and with the runs that this one continues. Any thread may ask."""
        return self._account.net_and_carried()

    def _break_off(self, problem: Exception) -> None:
        self._ending = Ending(RunOutcome.FAILED, sentence_of(problem, "the run crashed"))
        _log.error("the run ends: %s", self._ending.detail)
        _log.debug("where it failed", exc_info=problem)

    def _may_take_no_more(self) -> bool:
        """A stop lets accepted triggers end as they would have, unless nothing more can be recorded."""
        if self._desk is None or self._stop.outcome is RunOutcome.FAILED:
            return True
        return self._desk.finish(self._stop.requested) and (self._exposures is None or self._exposures.is_certain)

    def _source_statistics(self) -> SourceStatistics | None:
        if not self._source_returned:
            return None  # its driver holds the grabber, and would hold whoever asks it
        try:
            return self._source.statistics().model_copy(update={"while_paused": self._pause.missed})
        except Exception as problem:  # noqa: BLE001 a driver that fails even here must not take run_stop with it
            _log.warning("%s", sentence_of(problem, "the source could not say what it has lost"))
            return None


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)
