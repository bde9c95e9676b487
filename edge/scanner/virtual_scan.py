"""A virtual slide, scanned through an edge process of its own and real sockets, and held against the truth."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any, Literal

from pydantic import ValidationError

from edge.camera.virtual import parse_virtual
from edge.contracts.base import explain
from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.records import FieldRecord, Record
from edge.scanner.audit import Audit, audit
from edge.scanner.fault_plan import FaultPlan
from edge.scanner.notebook import Notebook
from edge.scanner.pulse_line import PulseSender, free_port
from edge.scanner.pulsed_camera import slide_for
from edge.scanner.rig_edge import RigEdge
from edge.scanner.rig_process import RigProcess
from edge.scanner.scan_area import ScanArea, fields_for
from edge.scanner.scan_options import ScanOptions
from edge.scanner.scan_plan import ScanPlan
from edge.scanner.scan_truth import Compared, compare
from edge.scanner.scanner import Scanner
from edge.scanner.virtual_rig import VirtualRig
from edge.virtual import SlideSettings
from edge.virtual.virtual_stage import StageSettings
from edge.watch.work_progress import Passed

Detector = Literal["model", "truth"]
_OF_THE_SLIDE = ("seed", "wbc", "mix", "rbc", "variants", "stain", "blur", "defocus", "noise")
_WBC_PER_FIELD = 1.5
_VARIANTS = 4
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Scanned:
    """A virtual scan to its end."""

    compared: Compared
    sums: Audit
    area: ScanArea
    mishaps: dict[str, int]
    kills: int
    injected: dict[int, tuple[str, ...]]
    target_reached_at: int | None
    engine: str


def slide_of(text: str) -> SlideSettings:
    """Read `seed:42` or `seed:42,wbc=3,...`. Raises `ConfigError` with the options there are."""
    options = {"wbc": str(_WBC_PER_FIELD), "variants": str(_VARIANTS)}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.replace(":", "=", 1).partition("="))
        if name not in _OF_THE_SLIDE or not value:
            raise ConfigError(
                f"{part!r} in slide {text!r} is none; write seed:42, and where wanted {', '.join(_OF_THE_SLIDE[1:])} as in "
                "seed:42,wbc=3."
            )
        options[name] = value
    return parse_virtual(",".join(f"{name}={value}" for name, value in options.items()))[1]


def options_of(given: Mapping[str, Any]) -> ScanOptions:
    """Raises `ConfigError`."""
    try:
        return ScanOptions.model_validate(given)
    except ValidationError as problem:
        raise ConfigError(f"the slide cannot be scanned so: {explain(problem)}; see `leuko-edge scan --help`.") from problem


def perform_scan(
    slide: SlideSettings,
    options: ScanOptions,
    overlap: float,
    faults: FaultPlan,
    detector: Detector,
    settings: Mapping[str, Any],
    passed: Passed = lambda n: None,
) -> Scanned:
    """Scan `slide` through an edge process of its own with these `settings`. `passed` is told of fields that have ended.

    Its journal goes with it, unless the settings name one.

    Raises `ConfigError` for what cannot be, and `StreamError` when the edge process ends or stays away.
    """
    if overlap > 0.9:
        raise ConfigError(f"fields that overlap by {overlap:.0%} hardly go on; give at most 90%.")
    if "unsettled" in faults.names and not options.settle_ms:
        raise ConfigError(
            "a stage that settles at once is never exposed too early; give --settle-ms, or leave `unsettled` out."
        )
    fields = options.fields or fields_for(options.target, slide.wbc_per_field_mean, overlap)
    area = ScanArea(fields, overlap, options.order, slide.seed)
    stage = StageSettings(
        repeatability_um=options.repeatability_um, backlash_um=options.backlash_um, settle_ms=options.settle_ms
    )
    port, endpoint = free_port(SOCK_DGRAM), f"tcp://127.0.0.1:{free_port()}"
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="leuko-scan-")))
        told = RigEdge(
            settings={"journal": str(folder / "journal.sqlite"), **settings, "bind": endpoint},
            slide=slide,
            name=f"virtual-scanner:seed={slide.seed},overlap={overlap:g},order={options.order}",
            port=port,
            frame_id=options.first_frame_id - 1,
            is_truth=detector == "truth",
            sigma_um=stage.sigma_um,
        )
        edge = RigProcess(told.model_dump_json(), folder / "edge.log")
        held.callback(edge.stop)
        line = held.enter_context(closing(PulseSender(port)))
        rig = VirtualRig(
            area.positions_um(),
            stage,
            options.exposure_ms,
            faults,
            slide.seed,
            line,
            options.target,
            options.first_frame_id,
            edge.kill,
        )
        engines: list[str] = []

        def told_of(record: Record) -> None:
            if isinstance(record, FieldRecord):
                passed(1)
            elif record.type == "run_start":
                engines.append(record.provenance.engine)

        plan = ScanPlan(fields=fields, rate=options.rate, seed=slide.seed, patience_s=_PATIENCE_S)
        scanner = Scanner(endpoint, lambda: Notebook(folder / "notebook.jsonl"), plan, "virtual-scanner", None, told_of, rig)
        try:
            runs = scanner.scan()
        except StreamError:
            edge.require_alive()
            raise
        edge.end()
        compared = compare(runs, rig.lives, rig.injected, slide_for(slide, for_truth=True))
        return Scanned(
            compared,
            audit(runs),
            area,
            dict(scanner.mishaps),
            edge.kills,
            rig.injected,
            rig.target_reached_at,
            engines[0] if engines else "",
        )
