"""The edge process of a virtual scan: the same service as `leuko-edge run`, over the camera on the pulse line.

Started as a program of its own with one argument, a JSON object of `RigEdge`.
"""

import ctypes
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from edge.contracts.base import Strict
from edge.contracts.entry_point import run_command_line
from edge.contracts.errors import ConfigError
from edge.contracts.stage_geometry import MeasuredStage
from edge.pipeline import Parts, StopSwitch, opened
from edge.pipeline.field_work import plan_for
from edge.scanner.pulsed_camera import CameraBody, PulsedSource, slide_for
from edge.scanner.truth_engine import TruthBook, TruthEngine
from edge.service.process import set_up_logging, stop_on_signals
from edge.service.serve import serve_one_run
from edge.settings import Setup
from edge.settings.resolution import resolve
from edge.virtual import UM_PER_PX, SlideSettings

_LATE_S = 0.7
"""A late frame comes so long after its trigger has been given up."""


class RigEdge(Strict):
    """What the process is told: its settings, the slide and the camera on it."""

    settings: dict[str, Any]
    slide: SlideSettings
    name: str
    port: int
    frame_id: int
    is_truth: bool
    sigma_um: float
    """standard deviation of the stage, as a profile would have it"""


def main() -> None:
    """Entry point."""
    run_command_line(_serve)


def _serve() -> None:
    with suppress(OSError, AttributeError):  # a scan that was killed leaves no edge behind that waits for it
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    asked = RigEdge.model_validate(json.loads(sys.argv[1]))
    set_up_logging("info", None)
    setup = resolve({"source": asked.name, **asked.settings})
    setup = replace(setup, stage=_as_measured(asked.sigma_um, asked.name))
    stop = StopSwitch()
    with stop_on_signals(stop), _parts(asked, setup) as parts:
        outcome = serve_one_run(setup, parts, stop)
    raise SystemExit(outcome.exit_code)


@contextmanager
def _parts(asked: RigEdge, setup: Setup) -> Iterator[Parts]:
    book = TruthBook() if asked.is_truth else None
    slide = slide_for(asked.slide, for_truth=asked.is_truth)
    late_s = setup.settings.trigger_timeout_s + _LATE_S
    source = PulsedSource(asked.name, CameraBody(slide, asked.port, asked.frame_id, late_s, book))
    if book is None:
        with opened(setup, source) as parts:
            yield parts
        return
    with closing(source):
        plan = plan_for(source.info, setup.bundle)
        if not plan.is_untouched:
            raise ConfigError("the truth is told by the pixels as they were exposed; give a bundle of the slide's scale.")
        engine = TruthEngine(book, plan.engine_width_px, plan.engine_height_px, setup.settings.max_batch)
        yield Parts(source, engine, plan)


def _as_measured(sigma_um: float, source: str) -> MeasuredStage:
    """The stage as its profile would have it: upright, and no more exact than it is."""
    return MeasuredStage(
        um_per_px=((UM_PER_PX, 0.0), (0.0, UM_PER_PX)),
        affine_error_nm=0.0,
        sigma_um=(sigma_um, sigma_um),
        residual_nm=1000.0 * sigma_um,
        agreement=1.0,
        images=4,
        pairs=4,
        source=source,
        images_sha256="0" * 64,
        moves_sha256="0" * 64,
        **_dated(),
    )


def _dated() -> dict[str, Any]:
    return {"measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds")}


if __name__ == "__main__":
    main()
