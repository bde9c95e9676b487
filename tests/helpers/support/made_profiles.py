"""A profile in which everything is measured, for whoever reads profiles; numbers are made up."""

from datetime import datetime, timedelta, timezone

from edge.contracts.bundle import Thresholds
from edge.contracts.colours import Colours, MeasuredColours, MeasuredLight
from edge.contracts.latency import EngineIdentity, LatencyBudget, LatencySetting, MeasuredLatency
from edge.contracts.profile import FOCUS_METRIC, BundleThresholds, CameraGeometry, FocusRange, PixelSize, Profile, part_sha256
from edge.contracts.stage_geometry import MeasuredStage
from edge.engine.machine import usable_cores
from edge.engine.openvino import look_at_cpu

SHA = "0" * 64
MEASURED = "2026-01-01T00:00:00+00:00"
WIDTH_PX, HEIGHT_PX = 732, 574


def in_days(days: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days)).isoformat(timespec="seconds")


def pixel_size(um_per_px: float = 0.13, error: float = 0.0001) -> PixelSize:
    return PixelSize(
        um_per_px=um_per_px,
        uncertainty_um_per_px=error,
        line_spacing_um=10,
        lines_found=9,
        image_sha256=SHA,
        measured_at=MEASURED,
    )


def light(days: float = 30, white: float = 240.0, darkest: float = 0.8) -> MeasuredLight:
    grid = ((1.0, 0.9), (darkest, 0.85))
    return MeasuredLight(
        measured_at=MEASURED,
        expires_at=in_days(days),
        shade=(grid, grid, grid),
        white=(white, white, white),
        residual=0.004,
        fields=10,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        source="folder:blank",
        fields_sha256=SHA,
    )


def colours(under: MeasuredLight | None, days: float = 30, red: float = 140.0) -> MeasuredColours:
    shown = Colours(empty=(230, 232, 235), red_cells=(150, red, 200))
    return MeasuredColours(
        measured_at=MEASURED,
        expires_at=in_days(days),
        colours=shown,
        spread=Colours(empty=(1, 1, 1), red_cells=(2, 2, 2)),
        fields=40,
        saturated=(0, 0, 0),
        um_per_px=0.13,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        source="folder:fields",
        fields_sha256=SHA,
        illumination_sha256=None if under is None else part_sha256(under),
    )


def stage(um_per_px: float = 0.13, days: float = 30, backlash_um: float | None = 1.5) -> MeasuredStage:
    return MeasuredStage(
        measured_at=MEASURED,
        expires_at=in_days(days),
        um_per_px=((um_per_px, 0.0), (0.0, um_per_px)),
        affine_error_nm=25,
        sigma_um=(0.2, 0.3),
        backlash_um=(backlash_um, None),
        residual_nm=300,
        agreement=1.0,
        images=17,
        pairs=60,
        source="grid",
        images_sha256=SHA,
        moves_sha256=SHA,
    )


def focus_range(peak_z_um: float = 3.0) -> FocusRange:
    return FocusRange(
        metric=FOCUS_METRIC,
        peak_z_um=peak_z_um,
        usable_um=(peak_z_um - 1, peak_z_um + 1.2),
        peak_score=2.0,
        min_score=1.2,
        residual=0.01,
        planes=16,
        images_sha256=SHA,
        measured_at=MEASURED,
    )


def latency(bundle_id: str = SHA, days: float = 30, max_batch: int = 4, version: str = "") -> MeasuredLatency:
    """Of this machine's OpenVINO in f32 with all cores, unless another `version` is named."""
    here, processor, auto = look_at_cpu()
    engine = EngineIdentity(
        bundle_id=bundle_id,
        runtime="OpenVINO",
        version=version or here,
        precision=auto,
        threads=usable_cores(),
        processor=processor,
    )
    setting = LatencySetting(
        measured_at=MEASURED,
        expires_at=in_days(days),
        engine=engine,
        max_batch=max_batch,
        max_delay_ms=20,
        budget=LatencyBudget(p99_ms=100, overshoot_fields=2),
        rate_per_s=25,
        p99_ms=60,
        overshoot_fields=0.8,
        fields_per_s=60,
        fields=100,
        settings_tried=16,
    )
    return MeasuredLatency(engines={engine.key: setting})


def made_profile(bundle_id: str = SHA, serial: str | None = None, objective: str | None = "50x/0.95") -> Profile:
    lit = light()
    return Profile(
        instrument="bench 3",
        camera=CameraGeometry(width_px=WIDTH_PX, height_px=HEIGHT_PX, serial=serial, objective=objective),
        pixel_size=pixel_size(),
        illumination=lit,
        colours=colours(lit),
        stage=stage(),
        focus=focus_range(),
        thresholds=BundleThresholds(bundle_id=bundle_id, thresholds=Thresholds(), probability=((0.0, 0.1), (1.0, 0.9))),
        latency=latency(bundle_id),
    )
