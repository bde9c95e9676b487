"""Camera and engine of a chaos run: fast, and every odd field holds exactly one cell, so that a wrong count shows."""

import random
import time
from collections import deque

import numpy as np

from leukostream.edge.camera.frame import Frame, SourceInfo, SourceNote, SourceTimeout, Trigger
from leukostream.edge.contracts.bundle import Bundle
from leukostream.edge.contracts.cells import INDEX
from leukostream.edge.contracts.detections import Image, RawDetections
from leukostream.edge.engine.base import EngineInfo

EXPOSURE_S = 0.004
FAULTS = ("lost", "incomplete", "silent", "extra")
"""What becomes of one exposure in fifty each."""


def cells_of(field_index: int) -> int:
    """How many lymphocytes the engine finds in a field that was processed."""
    return field_index % 2


class ChaosCamera:
    """A triggered source that loses, damages, swallows and invents frames, on a seed."""

    def __init__(self, bundle: Bundle, seed: int) -> None:
        asked = bundle.manifest
        size = (asked.field_width_px, asked.field_height_px)
        self.info = SourceInfo("chaos:", *size, asked.um_per_px, None, self_paced=False, is_synthetic=True)
        self._images = [np.full((size[1], size[0], 3), n_cells, np.uint8) for n_cells in (0, 1)]
        self._random = random.Random(seed)
        self._expected: deque[Trigger] = deque()
        self._frames: deque[Frame] = deque()

    def expect(self, trigger: Trigger) -> None:
        self._expected.append(trigger)

    def read(self, timeout_s: float) -> Frame:
        if not self._frames and self._expected:
            self._expose(self._expected.popleft())
        if self._frames:
            return self._frames.popleft()
        time.sleep(min(timeout_s, 0.001))
        raise SourceTimeout("nothing was exposed.")

    def notes(self) -> list[SourceNote]:
        return []

    def close(self) -> None:
        pass

    def _expose(self, trigger: Trigger) -> None:
        began_ns = time.monotonic_ns()
        time.sleep(EXPOSURE_S)
        dice = self._random.random() * 50
        fault = FAULTS[int(dice)] if dice < len(FAULTS) else ""
        if fault == "silent":
            return
        status = fault if fault in {"lost", "incomplete"} else "ok"
        image = self._images[cells_of(trigger.field_index)].copy() if status == "ok" else None
        frame = Frame(
            trigger.trigger_id,
            trigger.field_index,
            "lost" if status == "lost" else "incomplete" if status == "incomplete" else "ok",
            image,
            self.info.um_per_px,
            began_ns,
            time.monotonic_ns(),
            detail="" if status == "ok" else f"chaos: {status}",
        )
        self._frames += [frame, frame] if fault == "extra" else [frame]


class ChaosEngine:
    """Finds as many lymphocytes as the first pixel says."""

    def __init__(self, bundle: Bundle) -> None:
        asked = bundle.manifest
        size = (asked.field_width_px, asked.field_height_px)
        self.info = EngineInfo("chaos", "0", "CPU", "f32", *size, max_batch=2, slots=2, top_k=4)
        self._slots = [np.zeros((2, size[1], size[0], 3), np.uint8) for _ in range(2)]
        self._flying: dict[int, int] = {}

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        self._flying[index] = n

    def collect(self, index: int) -> RawDetections:
        n = self._flying.pop(index)
        boxes, scores = np.zeros((n, 4, 4), np.float32), np.zeros((n, 4), np.float32)
        boxes[:, 0] = 300, 200, 390, 290
        scores[:, 0] = 0.99 * self._slots[index][:n, 0, 0, 0]
        return RawDetections(boxes, scores, np.full((n, 4), INDEX["lymphocyte"], np.int32))

    def keep_warm(self) -> None:
        pass

    def close(self) -> None:
        pass
