"""One run, top to bottom: receive, account for losses, run, hand over the records."""

import logging
import platform
import time
from collections.abc import Iterator
from typing import cast

from edge.camera.frame import Frame, FrameSource, TriggeredSource
from edge.camera.frame_store import FrameStore, StoringSource
from edge.camera.resample import FitPlan
from edge.contracts.errors import ConfigError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldStatus, Provenance, Record, RunOutcome, SourceStatistics
from edge.contracts.version import VERSION
from edge.engine.base import Engine
from edge.pipeline.arrivals import AdviceNote, Ending, Note
from edge.pipeline.batching import Batching
from edge.pipeline.cell_work import CellWork
from edge.pipeline.crops import CropStore
from edge.pipeline.engine_loop import EngineLoop
from edge.pipeline.exposures import Exposures
from edge.pipeline.field_queue import FieldQueue
from edge.pipeline.grabber import Grabber
from edge.pipeline.job import Job
from edge.pipeline.ledger import Ledger
from edge.pipeline.run_account import Recorder
from edge.pipeline.stop import StopSwitch, sentence_of
from edge.pipeline.trigger_desk import TriggerDesk
from edge.settings import Setup

_JOIN_S = 2.0
_log = logging.getLogger(__name__)


class Run:
    """One run over an open source, announced triggers coming from `desk` when the source does not pace itself.

    Belongs to the thread that opened the engine; `ledger` may be looked at from any, and `advise` called.
    """

    def __init__(
        self,
        setup: Setup,
        source: FrameSource | TriggeredSource,
        engine: Engine,
        plan: FitPlan,
        order: RunStartCommand,
        stop: StopSwitch,
        desk: TriggerDesk | None = None,
        frames: FrameStore | None = None,
        crops: CropStore | None = None,
    ) -> None:
        settings, thresholds = setup.settings, setup.settings.thresholds or setup.bundle.manifest.thresholds
        _check_engine(engine, plan)
        self._setup = setup
        self._source = _paced(source, desk, settings.trigger_timeout_s)
        self._exposures = self._source if isinstance(self._source, Exposures) else None
        self._source_returned = True
        if frames is not None:
            self._source = StoringSource(self._source, frames)
        self._engine = engine
        self._order = order
        self._stop = stop
        self._desk = desk
        self._crops = crops
        self.ledger = desk.ledger if desk else Ledger()
        self._max_fields = _smaller(order.max_fields, settings.max_fields)
        self._queue = FieldQueue(settings.queue_fields, settings.policy)
        self._grabber = Grabber(self._source, self._queue, None if desk else self.ledger, self._max_fields)
        batching = Batching(engine.info.max_batch // plan.n_tiles, int(settings.max_delay_ms * 1e6))
        work = CellWork(source.info, plan, thresholds, crops)
        self.loop = EngineLoop(
            engine,
            work,
            self._queue,
            batching,
            stop,
            settings.source_timeout_s,
            expects=self._expects,
            may_close=self._may_close,
        )

    @property
    def waiting(self) -> int:
        """Fields that wait for the engine; any thread may ask."""
        return self._queue.waiting

    def records(self) -> Iterator[Record]:
        """`run_start`, every field and event, `run_stop`: once the first was taken, the last always comes."""
        recorder = Recorder(self._order.run_id, self.ledger)
        expected = _smaller(self._source.info.n_fields, self._max_fields)
        yield recorder.start(self._order, self._setup.settings, self._provenance(), expected)
        try:
            self._grabber.start()
            for news in self._news():
                yield self._record(recorder, news)
            ending = self.loop.ending or Ending(RunOutcome.FAILED, "the loop ended without a reason; report this defect.")
        except GeneratorExit:
            self._queue.close()
            self._grabber.join(_JOIN_S)  # before the caller closes the source under the thread
            raise
        except Exception as problem:  # noqa: BLE001 run_stop must follow run_start, whatever broke
            ending = Ending(RunOutcome.FAILED, sentence_of(problem, "the run crashed"))
            _log.error("the run ends: %s", ending.detail)
            _log.debug("where it failed", exc_info=problem)
        finally:
            self._queue.close()
        if ending.outcome is RunOutcome.STOPPED:
            ending = Ending(self._stop.outcome, self._stop.requested or ending.detail)
        yield recorder.stop(ending.outcome, ending.detail, self._source_statistics())

    def advise(self, note: AdviceNote) -> None:
        """Put an `advice` among the records. For any thread."""
        self._queue.note(note)

    def _source_statistics(self) -> SourceStatistics | None:
        if not self._source_returned:
            return None  # its driver holds the grabber, and would hold whoever asks it
        try:
            return self._source.statistics()
        except Exception as problem:  # noqa: BLE001 a driver that fails even here must not take run_stop with it
            _log.warning("%s", sentence_of(problem, "the source could not say what it has lost"))
            return None

    def _expects(self) -> bool:
        """Whether a frame is due: always, unless it is first to be announced."""
        return self._desk is None or self.ledger.open > 0

    def _may_close(self) -> bool:
        """A stop lets accepted triggers end as they would have, unless nothing more can be recorded."""
        if self._desk is None or self._stop.outcome is RunOutcome.FAILED:
            return True
        return self._desk.finish(self._stop.requested) and (self._exposures is None or self._exposures.is_certain)

    def _news(self) -> Iterator[Job | Note]:
        yield from self.loop.fields()
        self._queue.close()
        self._source_returned = self._grabber.join(_JOIN_S)
        unexposed = self._desk.close(self._stop.requested or "it has ended") if self._desk else []
        self.ledger.seal()
        yield from self.loop.refuse_rest(0.0)
        if self._crops is not None and (note := self._crops.drain()) is not None:
            yield note
        yield from self._left({trigger.trigger_id for trigger in unexposed})

    def _left(self, unexposed: set[str]) -> Iterator[Job]:
        """What has no frame by now ends here: each trigger ends once, whatever became of the source."""
        now_ns = time.monotonic_ns()
        for trigger_id, field_index in self.ledger.left():
            job = Job(Frame(trigger_id, field_index, "lost", None, self._source.info.um_per_px, now_ns, now_ns))
            if trigger_id in unexposed:
                job.end(FieldStatus.SKIPPED, "the run ended before this field was exposed")
            else:
                job.end(FieldStatus.LOST, "the run ended before the frame of this field came")
            yield job

    def _record(self, recorder: Recorder, news: Job | Note) -> Record:
        if isinstance(news, Job):
            return recorder.field(news)
        if isinstance(news, AdviceNote):
            _log.warning("advice to the scanner: %s, %s", news.advice, news.reason)
            return recorder.advice(news)
        _log.log(logging.WARNING if news.severity == "warning" else logging.INFO, "%s", news.message)
        return recorder.event(news)

    def _provenance(self) -> Provenance:
        bundle, source, engine = self._setup.bundle, self._source.info, self._engine.info
        return Provenance(
            bundle_id=bundle.bundle_id,
            bundle_name=bundle.manifest.name,
            bundle_trained=bundle.manifest.training.trained,
            bundle_signer=self._setup.bundle_signer,
            engine=str(engine),
            engine_precision=engine.precision,
            engine_key=engine.key,
            engine_plan_sha256=engine.plan_sha256,
            engine_parity=engine.parity,
            profile_sha256=self._setup.profile_sha256,
            profile_signer=self._setup.profile_signer,
            configuration_sha256=self._setup.settings.sha256(),
            leukostream_version=VERSION,
            host=platform.node(),
            source=source.uri,
            um_per_px=source.um_per_px,
            frame_width_px=source.width_px,
            frame_height_px=source.height_px,
            camera=source.camera,
            is_synthetic=source.is_synthetic,
        )


def _paced(source: FrameSource | TriggeredSource, desk: TriggerDesk | None, timeout_s: float) -> FrameSource:
    if source.info.self_paced != (desk is None):
        raise ConfigError(
            f"{source.info.uri} {'paces itself and takes' if desk else 'waits to be triggered and got'} no triggers; "
            "report this defect."
        )
    return Exposures(cast("TriggeredSource", source), desk, timeout_s) if desk else source


def _check_engine(engine: Engine, plan: FitPlan) -> None:
    info = engine.info
    have, need = (info.frame_width_px, info.frame_height_px), (plan.engine_width_px, plan.engine_height_px)
    if have != need:
        raise ConfigError(f"the engine takes frames of {have} px but this source needs {need} px; open it for this source.")
    if info.max_batch < plan.n_tiles:
        raise ConfigError(
            f"one field takes {plan.n_tiles} engine frames but a batch holds {info.max_batch}; raise `max_batch`."
        )


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)
