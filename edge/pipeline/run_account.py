"""The account of one run: every ended field is counted and closed in the ledger, and becomes the next record."""

import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from edge.camera.correction import Correction
from edge.camera.frame import Frame, SourceInfo, SourceNote
from edge.contracts.messages import RunStartCommand
from edge.contracts.names import printable
from edge.contracts.records import (
    Advice,
    CarriedResult,
    Detection,
    Event,
    FieldRecord,
    FieldStatus,
    NetSums,
    Provenance,
    Running,
    RunOutcome,
    RunStart,
    RunStop,
    SlideSums,
    SourceStatistics,
    StagePosition,
)
from edge.contracts.stage_geometry import StageGeometry
from edge.contracts.version import VERSION
from edge.counting import RunningCounts, wbc_total
from edge.counting.places import Places
from edge.counting.slide_account import FieldEnd, Said, SlideAccount
from edge.engine.base import EngineInfo
from edge.journal.carried import Carried
from edge.journal.interrupted import MOST_DOUBTS
from edge.pipeline.field_watches import FieldWatches
from edge.pipeline.field_work import FieldJob
from edge.pipeline.intake import AdviceNote, Note
from edge.pipeline.ledger import Ledger
from edge.settings import EdgeSettings, Setup

_UNUSABLE = (FieldStatus.FAILED, FieldStatus.INCOMPLETE)
"""Ends of fields whose image was there and could not be counted."""

_NOT_SUMMED = Running(fields={}, cells={}, wbc_total=0)
_log = logging.getLogger(__name__)


class RunAccount:
    """Makes every record of one run, in the order of its calls. Used by the thread that owns the engine."""

    def __init__(
        self,
        run_id: str,
        ledger: Ledger,
        places: Places | None = None,
        before: Carried | None = None,
        slide: SlideAccount | None = None,
        note: Callable[[Note], None] = lambda note: None,
        clock: Callable[[], int] = time.monotonic_ns,
        watches: FieldWatches | None = None,
    ) -> None:
        self._run_id = run_id
        self._watches = watches
        self._slide = slide
        self._note = note
        self._index_of: dict[str, int] = {}
        self._ledger = ledger
        self._places = places
        self._before = before
        self._clock = clock
        self._start_ns = clock()
        self._next_seq = 0
        self._counts = RunningCounts()
        self._first_failure = ""
        self._doubts: list[str] = []
        self._fields_recorded = 0
        self._last_running = _NOT_SUMMED

    def start(
        self,
        order: RunStartCommand,
        settings: EdgeSettings,
        provenance: Provenance,
        fields_expected: int | None,
        stage: StageGeometry | None = None,
    ) -> RunStart:
        return RunStart(
            run_id=self._run_id,
            seq=self._seq(),
            wall_time=_wall_time(),
            cmd_id=order.cmd_id,
            slide_id=order.slide_id or settings.slide_id,
            sample_id=order.sample_id or settings.sample_id,
            continues_run_id=order.continues_run_id,
            order=order.order or settings.order,
            stage=stage,
            policy=settings.policy,
            diagnostic=settings.policy == "lossless"
            and provenance.bundle_trained
            and provenance.engine_parity in {"not_needed", "passed"},
            fields_expected=fields_expected,
            provenance=provenance,
            settings=settings.model_dump(mode="json"),
        )

    def count(self, ended: FieldJob | Note) -> FieldRecord | Event | Advice:
        """The next record: a field that has ended, with the counts up to it, or a note, which goes to the log, too."""
        if isinstance(ended, FieldJob):
            return self.field(ended)
        if isinstance(ended, AdviceNote):
            _log.warning("advice to the scanner: %s, %s", ended.advice, ended.reason)
            return self.advice(ended)
        _log.log(logging.WARNING if ended.severity == "warning" else logging.INFO, "%s", ended.message)
        return self.event(ended)

    def field(self, job: FieldJob) -> FieldRecord:
        """The end of one trigger. Raises ValueError when it had ended already; then, and when no record can be made of it,
        nothing was counted, so that it can still be given another end."""
        frame, status, findings = job.frame, job.status, job.findings
        if status is None:
            raise ValueError(f"field {frame.field_index} is still being processed")
        if frame.stage_nm is None:  # the source does not know: where the scanner put the stage
            frame = replace(frame, stage_nm=self._ledger.stage_nm(frame.trigger_id))
        counts = findings.counts if findings is not None else None
        detections = self._detections(job, frame.stage_nm)
        running = self._running_after(status, counts)
        record = FieldRecord(
            run_id=self._run_id,
            seq=self._next_seq,
            wall_time=_wall_time(),
            trigger_id=frame.trigger_id,
            replaces=self._places.claimed_by(frame.trigger_id) if self._places else None,
            field_index=frame.field_index,
            frame_id=frame.frame_id,
            source_name=printable(frame.source_name),
            status=status,
            detail=printable(job.detail),
            width_px=job.width_px,
            height_px=job.height_px,
            um_per_px=frame.um_per_px,
            stage=_stage_of(frame),
            t_host_ns=frame.t_host_ns,
            t_camera_ns=frame.t_camera_ns,
            age_ms=frame.age_ms,
            clock="host" if frame.t_camera_ns is None else "camera",
            detections=detections,
            counts=counts or {},
            running=running,
            counted=findings is not None,
            overflow=findings is not None and findings.overflow,
            quality=job.quality,
            times=job.times(self._clock()),
            batch=job.batch,
        )
        if not self._ledger.is_open(frame.trigger_id):
            raise ValueError(f"trigger {frame.trigger_id!r} is not open and cannot end as {status.value}")
        if counts is not None:
            self._counts.add(counts)
        if self._places is not None:  # before the ledger, so that who looks into both finds it in one of them
            self._places.ended(frame.trigger_id, status, counts)
            if (net := self._places.net) is not None:
                running = running.model_copy(update={"net": net})
                record = record.model_copy(update={"running": running})
        if (slide := self._slide_with(record)) is not None:
            running = running.model_copy(update={"slide": slide})
            record = record.model_copy(update={"running": running})
        self._ledger.close(frame.trigger_id, status)
        if self._watches is not None:
            for note in self._watches.ended(frame, is_retake=record.replaces is not None):
                self._note(note)
        if status in _UNUSABLE and not self._first_failure:
            self._first_failure = job.detail
        self._seq()
        self._fields_recorded += 1
        self._last_running = running
        return record

    def _detections(self, job: FieldJob, stage_nm: tuple[int, int] | None) -> tuple[Detection, ...]:
        found = job.findings.detections if job.findings else ()
        if self._slide is None or stage_nm is None or job.width_px is None or job.height_px is None:
            return found
        return self._slide.placed(found, stage_nm, (job.width_px, job.height_px))

    def _slide_with(self, record: FieldRecord) -> SlideSums | None:
        if self._slide is None:
            return None
        stage, replaces_index = record.stage, None
        if self._places is not None:
            self._index_of[record.trigger_id] = record.field_index
            if record.replaces is not None and record.counted:
                replaces_index = self._index_of[record.replaces]
        self._slide.announce(self._ledger.news())
        sums = self._slide.ended(
            FieldEnd(
                record.field_index,
                (stage.x_nm, stage.y_nm) if stage else None,
                record.detections,
                (record.width_px or 0, record.height_px or 0),
                record.t_host_ns,
                replaces_index,
                left_out=record.quality is not None and record.quality.left_out,
            )
        )
        for said in self._slide.said():
            self._note(_note_of(said))
        return sums

    def net_and_carried(self) -> tuple[NetSums | None, CarriedResult | None]:
        """The sums so far without replaced fields, and those with the runs before. For any thread."""
        net = self._places.net if self._places else None
        if self._before is None:
            return net, None
        sums = net or self._last_running
        return net, self._before.with_run(self._run_id, sums.fields, sums.cells)

    def _running_after(self, status: FieldStatus, counts: Mapping[str, int] | None) -> Running:
        """The sums with one more field, which is not in them yet."""
        fields, cells = self._ledger.ended(status), self._counts.cells
        for label, count in (counts or {}).items():
            if count:
                cells[label] = cells.get(label, 0) + count
        return Running(fields=fields, cells=cells, wbc_total=wbc_total(cells))

    def event(self, note: SourceNote) -> Event:
        if note.doubt and len(self._doubts) < MOST_DOUBTS:
            self._doubts.append(printable(note.doubt))
        return Event(
            run_id=self._run_id,
            seq=self._seq(),
            wall_time=_wall_time(),
            severity=note.severity,
            code=note.code,
            message=printable(note.message),
            field_index=note.field_index,
            doubt=printable(note.doubt) or None,
        )

    def advice(self, note: AdviceNote) -> Advice:
        return Advice(
            run_id=self._run_id,
            seq=self._seq(),
            wall_time=_wall_time(),
            advice=note.advice,
            reason=note.reason,
            final=note.is_final,
            field_index=note.field_index,
        )

    def stop(
        self,
        outcome: RunOutcome,
        detail: str,
        source: SourceStatistics | None,
        doubts: tuple[str, ...] = (),
        unrecorded: Sequence[str] = (),
    ) -> RunStop:
        """The last record. `unrecorded` are triggers that were accepted and have no field in the journal.

        These, a ledger that does not add up, or images of which most were unusable, make the run a failed one.
        """
        ended = self._ledger.ended()
        sums_match = not unrecorded and self._ledger.sums_match() and self._fields_recorded == self._ledger.issued
        unusable = sum(ended.get(status, 0) for status in _UNUSABLE)
        if outcome is RunOutcome.COMPLETED and 2 * unusable > sum(ended.values()):
            outcome = RunOutcome.FAILED
            detail = f"{unusable} of {sum(ended.values())} fields could not be used; the first: {self._first_failure}"
        if not sums_match:
            missing = f"{self._ledger.issued} triggers were issued but {self._fields_recorded} have a field on record"
            missing += f", {unrecorded[0]} for one has none" if unrecorded else ""
            outcome, detail = RunOutcome.FAILED, f"{detail} {missing}; report this defect.".strip()
        net = self._places.result() if self._places else None
        carried = self._before and self._before.with_run(
            self._run_id, net.fields if net else ended, net.cells if net else self._counts.cells
        )
        return RunStop(
            run_id=self._run_id,
            seq=self._seq(),
            wall_time=_wall_time(),
            outcome=outcome,
            detail=printable(detail),
            triggers=self._ledger.issued,
            fields=ended,
            sums_match=sums_match,
            cells=self._counts.cells,
            differential=self._counts.differential(),
            duration_s=(self._clock() - self._start_ns) / 1e9,
            source=source,
            doubts=tuple(dict.fromkeys((*doubts, *self._doubts, *(self._before.doubts() if self._before else ())))),
            net=net,
            carried=carried,
            slide=self._slide.result() if self._slide else None,
        )

    def _seq(self) -> int:
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        return seq


def _note_of(said: Said) -> Note:
    if said.what == "stop" and said.reached is not None:
        return AdviceNote("stop", said.message, said.is_final, said.reached.field_index)
    if said.what == "withdrawn":
        return SourceNote("stop_withdrawn", said.message, "warning")
    return SourceNote("count_corrected", said.message, "info" if said.what == "corrected" else "warning")


def _stage_of(frame: Frame) -> StagePosition | None:
    return StagePosition(x_nm=frame.stage_nm[0], y_nm=frame.stage_nm[1], z_nm=frame.z_nm) if frame.stage_nm else None


def _wall_time() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def provenance_of(setup: Setup, engine: EngineInfo, source: SourceInfo, correction: Correction | None = None) -> Provenance:
    """What a run's results rest on: model, engine, calibration, settings, versions, camera."""
    bundle = setup.bundle
    return Provenance(
        bundle_id=bundle.bundle_id,
        bundle_name=bundle.manifest.name,
        bundle_trained=bundle.manifest.training.trained,
        bundle_signer=setup.bundle_signer,
        engine=str(engine),
        engine_precision=engine.precision,
        engine_precision_gate=engine.precision_gate,
        engine_hint=engine.hint,
        engine_key=engine.key,
        engine_plan_sha256=engine.plan_sha256,
        engine_parity=engine.parity,
        profile_sha256=setup.profile_sha256,
        profile_signer=setup.profile_signer,
        profile_name=setup.profile_name,
        colour_transform=correction.colour_name if correction else None,
        illumination_sha256=correction.light_sha256 if correction else None,
        configuration_sha256=setup.settings.sha256(),
        leukostream_version=VERSION,
        host=printable(platform.node()),
        source=printable(source.uri),
        um_per_px=source.um_per_px,
        frame_width_px=source.width_px,
        frame_height_px=source.height_px,
        camera={key: printable(value) for key, value in source.camera.items()},
        is_synthetic=source.is_synthetic,
    )
