"""What an int8 bundle is to be judged beside: its parent as a run has it on this CPU, and its parent after next to nothing.

Who does without int8 runs the parent in the precision that OpenVINO takes here, which may be bf16 and differ from FP32 itself.
And a camera never sees a field twice to the pixel: what a shift by one does to the FP32 graph's own cells says how much of a
difference is the model's uncertainty about them.
"""

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from builder.executors import EngineExecutor, Executor
from builder.images import FieldImages
from builder.parity import compare, find_cells
from builder.parity_gate import thresholds_for
from builder.progress_bars import GateProgress
from edge.contracts.bundle import Bundle
from edge.contracts.choices import Precision
from edge.contracts.detections import Cells, Image
from edge.contracts.engine_files import ParityResult
from edge.engine.openvino import OpenVinoEngine

_TURNS = 40
_MOVED_PX = 1


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """Both against the same reference cells as the int8 bundle.

    `as_run` is the parent by OpenVINO on this CPU, `moved` its FP32 graph on the same fields one pixel further to the right.
    `time_ratio` is the int8 bundle's time over that of `as_run`: the median of turns in which both computed the same field.
    """

    as_run: ParityResult
    moved: ParityResult
    time_ratio: float

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        return {
            "as_run": self.as_run.model_dump(mode="json"),
            "moved": self.moved.model_dump(mode="json"),
            "time_ratio": self.time_ratio,
        }


def measure_yardsticks(
    child: Bundle, parent: Bundle, images: FieldImages, cells: Sequence[Cells], progress: GateProgress
) -> Yardsticks:
    """`cells` are those that the parent's FP32 graph finds in `images`. Raises `EngineError`."""
    frames, height_px, width_px = images.frames, *images.frames.shape[1:3]

    def found(executor: Executor, fields: Image, what: str) -> list[Cells]:
        return find_cells(executor, fields, images.names, thresholds_for(parent, images), progress(what, len(fields)))

    with ExitStack() as held:

        def opened(bundle: Bundle, precision: Precision = "auto") -> EngineExecutor:
            engine = OpenVinoEngine(bundle, width_px, height_px, slots=1, precision=precision)
            held.callback(engine.close)
            return EngineExecutor(engine)

        as_run = opened(parent)
        as_run_cells = found(as_run, frames, "as a run has it")
        ratio = time_ratio(opened(child), as_run, frames)
        moved = found(opened(parent, "f32"), np.roll(frames, _MOVED_PX, axis=2), "moved")
    back = np.array([_MOVED_PX, 0, _MOVED_PX, 0], np.float32)
    moved = [replace(field, boxes_px=field.boxes_px - back) for field in moved]
    return Yardsticks(
        compare(cells, as_run_cells, as_run.name, is_emulation=False),
        compare(cells, moved, f"f32, fields moved by {_MOVED_PX} px", is_emulation=False),
        ratio,
    )


def time_ratio(one: Executor, other: Executor, frames: Image) -> float:
    """Time of `one` over that of `other`: the median of turns in which both computed the same frame of `frames`."""
    ratios = []
    for turn in range(_TURNS):
        frame = frames[turn % len(frames)][None]
        took = {}
        for executor in (one, other) if turn % 2 else (other, one):
            began_s = time.monotonic()
            executor.run(frame)
            took[executor] = time.monotonic() - began_s
        ratios.append(took[one] / took[other])
    return statistics.median(ratios)
