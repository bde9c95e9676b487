"""What is done to a field before and after the engine, for one bundle and one camera."""

from edge.camera.frame import Frame, SourceInfo, SourceNote
from edge.camera.pixels import to_bgr
from edge.camera.resample import FitPlan, plan_fit
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import FrameError
from edge.pipeline.crops import CropStore
from edge.pipeline.field_job import Findings
from edge.postprocess import OperatingPoint, field_counts, postprocess, to_detections


def plan_for(info: SourceInfo, bundle: Bundle) -> FitPlan:
    """How this source's frames reach the bundle's scale. Raises `ConfigError` when they cannot."""
    asked = bundle.manifest
    return plan_fit(info.width_px, info.height_px, info.um_per_px, asked.um_per_px, asked.field_width_px, asked.field_height_px)


class CellWork:
    """Implements `FieldWork` with the fit to the bundle's scale and the one-label-per-cell post-processing."""

    def __init__(self, info: SourceInfo, plan: FitPlan, thresholds: Thresholds, crops: CropStore | None = None) -> None:
        self._info = info
        self._crops = crops
        self._plan = plan
        self._point = OperatingPoint.of(thresholds)

    @property
    def n_tiles(self) -> int:
        return self._plan.n_tiles

    @property
    def needs_image(self) -> bool:
        return self._crops is not None

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
        else:
            self._plan.write(image if frame.pixel_format == "BGR8" else to_bgr(image, frame.pixel_format), views)

    def findings(self, raw: RawDetections) -> Findings:
        cells = postprocess(raw, self._plan, self._point)
        info = self._info
        return Findings(
            to_detections(cells, info.um_per_px, info.width_px, info.height_px), field_counts(cells), cells.overflow
        )

    def done(self, frame: Frame, findings: Findings) -> SourceNote | None:
        return self._crops.add(frame, findings) if self._crops is not None else None
