"""One field on its way through the loop: what is done to it before and after the engine, when, and with which others."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from edge.camera.correction import Correction
from edge.camera.frame import Frame, SourceInfo, SourceNote
from edge.camera.pixels import to_bgr
from edge.camera.resample import FitPlan, plan_fit
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import ConfigError, FrameError
from edge.contracts.profile import Knot
from edge.contracts.records import FieldQuality, FieldStatus, StageTimes
from edge.pipeline.crops import CropStore
from edge.pipeline.field_watches import FieldWatches
from edge.postprocess import Findings, OperatingPoint, postprocess

_SIZES = 8
"""Sizes of images whose plans are kept; a plan may hold a picture to scale into."""


class FieldWork(Protocol):
    """What is done to a field before and after the engine. Any exception of these fails that field only."""

    @property
    def n_tiles(self) -> int:
        """Engine frames one field takes."""
        ...

    def for_size(self, image: Image) -> "FieldWork | None":
        """What does the same for an image of another size than the run was prepared for; None for one of this size.

        Raises `FrameError` where fields of other sizes are no fields of this run.
        """
        ...

    def write(self, frame: Frame, image: Image, views: list[Image]) -> None:
        """Fit the frame's image into `n_tiles` slot views, each uint8 [H, W, 3]."""
        ...

    @property
    def needs_image(self) -> bool:
        """Whether `done` wants the frame's image, which is let go of after `write` otherwise."""
        ...

    def findings(self, raw: RawDetections) -> Findings:
        """One label per cell from the `n_tiles` rows of outputs, boxes in the original frame."""
        ...

    def quality(self, frame: Frame) -> FieldQuality | None:
        """What the field looks like, asked once and before `done`; None where nobody looked."""
        ...

    def done(self, frame: Frame, findings: Findings) -> tuple[SourceNote, ...]:
        """The field's findings are certain and will be counted. Returns what the run should be told."""
        ...


class CellWork:
    """Implements `FieldWork` with the fit to the bundle's scale and the one-label-per-cell post-processing."""

    def __init__(
        self,
        info: SourceInfo,
        plan: FitPlan,
        bundle_um_per_px: float,
        thresholds: Thresholds,
        probability: Sequence[Knot] = (),
        crops: CropStore | None = None,
        watches: FieldWatches | None = None,
    ) -> None:
        self._info = info
        self._probability = probability
        self._crops = crops
        self._plan = plan
        self._bundle_um_per_px = bundle_um_per_px
        self._thresholds = thresholds
        self._watches = watches
        self._point = OperatingPoint.of(thresholds)
        self._others: OrderedDict[tuple[int, int], CellWork] = OrderedDict()

    @property
    def n_tiles(self) -> int:
        return self._plan.n_tiles

    @property
    def needs_image(self) -> bool:
        return self._crops is not None

    def for_size(self, image: Image) -> "CellWork | None":
        """Raises `FrameError` too for a size that does not fit the model."""
        height_px, width_px = image.shape[:2]
        if self._info.one_size or (width_px, height_px) == (self._info.width_px, self._info.height_px):
            return None
        size = width_px, height_px
        if size not in self._others:
            info, correction = replace(self._info, width_px=width_px, height_px=height_px), self._plan.correction
            if correction is not None and correction.shade is not None:
                raise FrameError(
                    f"this field is {width_px} x {height_px} px and the profile's light is of {self._info.width_px} x "
                    f"{self._info.height_px} px: nobody knows which part of it the field shows; give such fields a run without "
                    "this profile."
                )
            frame = self._plan.engine_width_px, self._plan.engine_height_px
            try:
                plan = plan_fit(*size, info.um_per_px, self._bundle_um_per_px, *frame, exactly=True, correction=correction)
            except ConfigError as problem:
                raise FrameError(str(problem)) from problem
            self._others[size] = CellWork(
                info,
                plan,
                self._bundle_um_per_px,
                self._thresholds,
                self._probability,
                self._crops,
                self._watches,
            )
            if len(self._others) > _SIZES:
                self._others.popitem(last=False)
        return self._others[size]

    def write(self, frame: Frame, image: Image, views: list[Image]) -> None:
        """Raises `FrameError` for a frame of another size or scale than the run began with."""
        height_px, width_px = image.shape[:2]
        info = self._info
        if (width_px, height_px, frame.um_per_px) != (info.width_px, info.height_px, info.um_per_px):
            raise FrameError(
                f"this field is {width_px} x {height_px} px at {frame.um_per_px:g} um/px but the run began with "
                f"{info.width_px} x {info.height_px} px at {info.um_per_px:g} um/px; give such fields a run of their own."
            )
        if self._plan.is_untouched and frame.pixel_format != "BGR8":
            to_bgr(image, frame.pixel_format, into=views[0])  # the only copy that this field sees
            self._look(frame.trigger_id, views[0])
            self._plan.correct(views[0])
        else:
            bgr = image if frame.pixel_format == "BGR8" else to_bgr(image, frame.pixel_format)
            self._plan.write(bgr, views)
            self._look(frame.trigger_id, bgr)

    def _look(self, trigger_id: str, bgr: Image) -> None:
        """At the pixels as the camera gave them."""
        if self._watches is not None:
            self._watches.look(trigger_id, bgr)

    def findings(self, raw: RawDetections) -> Findings:
        info = self._info
        cells = postprocess(raw, self._plan, self._point)
        return Findings.of(cells, info.um_per_px, info.width_px, info.height_px, self._probability)

    def quality(self, frame: Frame) -> FieldQuality | None:
        return self._watches.quality_of(frame) if self._watches is not None else None

    def done(self, frame: Frame, findings: Findings) -> tuple[SourceNote, ...]:
        kept = self._crops.add(frame, findings) if self._crops is not None else None
        told = self._watches.counted(frame, findings) if self._watches is not None else ()
        return (kept, *told) if kept is not None else told


@dataclass(slots=True)
class Marks:
    """Monotonic nanoseconds at which a field passed each stage; 0 where it did not get to."""

    taken: int = 0
    fitted: int = 0
    submitted: int = 0
    collected: int = 0
    analysed_from: int = 0
    analysed: int = 0


@dataclass(slots=True)
class FieldJob:
    """A field taken in; it is done once `status` is set, and then its image is gone."""

    frame: Frame
    width_px: int | None = None
    height_px: int | None = None
    status: FieldStatus | None = None
    detail: str = ""
    findings: Findings | None = None
    quality: FieldQuality | None = None
    batch: int | None = None
    """number of the engine's batch that it was in"""
    marks: Marks = field(default_factory=Marks)

    @classmethod
    def without_frame(
        cls, trigger_id: str, field_index: int, um_per_px: float, stage_nm: tuple[int, int] | None = None
    ) -> "FieldJob":
        """A field whose frame has not come; how it ends is still to be said. `stage_nm`: where it was to be taken."""
        now_ns = time.monotonic_ns()
        return cls(Frame(trigger_id, field_index, "lost", None, um_per_px, now_ns, now_ns, stage_nm=stage_nm))

    def end(self, status: FieldStatus, detail: str = "") -> None:
        self.status = status
        self.detail = detail
        self.release()

    def release(self) -> None:
        """Let go of the image, the only large thing a job holds."""
        if self.frame.image is not None:
            self.frame = replace(self.frame, image=None)

    def times(self, now_ns: int) -> StageTimes | None:
        """Milliseconds per stage; None unless the field went all the way. `now_ns`: when its record is handed over."""
        at, frame = self.marks, self.frame
        if not at.analysed:
            return None

        def ms(start_ns: int, end_ns: int) -> float:
            return max(0, end_ns - start_ns) / 1e6

        return StageTimes(
            acquire_ms=ms(frame.t_trigger_ns, frame.t_host_ns),
            queue_ms=ms(frame.t_host_ns, at.taken),
            fit_ms=ms(at.taken, at.fitted),
            batch_ms=ms(at.fitted, at.submitted),
            infer_ms=ms(at.submitted, at.collected),
            postprocess_ms=ms(at.analysed_from, at.analysed),
            total_ms=ms(frame.t_host_ns, now_ns),
        )


@dataclass(slots=True)
class Batch:
    """Fields that share one slot, each with the first of its rows."""

    slot: int
    jobs: list[tuple[FieldJob, int]] = field(default_factory=list)
    rows: int = 0

    def oldest_host_ns(self) -> int:
        return self.jobs[0][0].frame.t_host_ns


def rows_of(raw: RawDetections, first: int, n: int) -> RawDetections:
    """The outputs of one field: `n` rows from `first` on."""
    rows = slice(first, first + n)
    return RawDetections(raw.boxes[rows], raw.scores[rows], raw.labels[rows])


@dataclass(frozen=True, slots=True)
class Batching:
    """`capacity` fields of one batch at most; a field waits `max_delay_ns` at most while the engine is busy."""

    capacity: int
    max_delay_ns: int

    def is_due(self, n_fields: int, oldest_wait_ns: int, engine_is_idle: bool) -> bool:
        """Whether to run a batch of `n_fields` whose oldest has been in memory for `oldest_wait_ns`.

        An idle engine runs at once. Behind a running batch, a full one is queued so that the engine never pauses between the
        two; a partial one may still fill up until its oldest field's deadline, or until the engine is idle.
        """
        if n_fields == 0:
            return False
        return n_fields >= self.capacity or engine_is_idle or oldest_wait_ns >= self.max_delay_ns


def plan_for(info: SourceInfo, bundle: Bundle, correction: Correction | None = None) -> FitPlan:
    """How this source's frames reach the bundle's scale, and what is corrected on the way. Raises `ConfigError` when they
    cannot."""
    asked = bundle.manifest
    field_px = asked.field_width_px, asked.field_height_px
    return plan_fit(info.width_px, info.height_px, info.um_per_px, asked.um_per_px, *field_px, correction=correction)
