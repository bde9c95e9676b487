"""Camera and engine of a chaos scan: fast, faulty on a seed, and it is known what is on the slide."""

import random
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np

from chaos.chaos_plan import ChaosPlan
from edge.camera.frame import Frame, SourceBase, SourceInfo, SourceTimeout, Trigger
from edge.contracts.bundle import MODEL, Bundle, BundleManifest, Training, class_table
from edge.contracts.cells import INDEX
from edge.contracts.detections import Image, RawDetections
from edge.engine.base import EngineInfo

LABELS = ("neutrophil_segmented", "lymphocyte", "eosinophil", "smudge")
_SIDE_PX = 64
_UM_PER_PX = 0.26
_TOP_K = 8
_SLOTS = 2
_LATE_S = 0.3
BUNDLE = Bundle(
    Path("made-up"),
    "c" * 64,
    BundleManifest(
        name="made-up",
        architecture="none",
        um_per_px=_UM_PER_PX,
        field_width_px=_SIDE_PX,
        field_height_px=_SIDE_PX,
        network_width_px=_SIDE_PX,
        network_height_px=_SIDE_PX,
        top_k=_TOP_K,
        classes=class_table(),
        training=Training(trained=True, code_version="chaos", seed=0),
        files={MODEL: "0" * 64},
    ),
)
"""Made up like the engine: nothing is read from a disk, so that a process starts at once."""


def cells_of(seed: int, field_index: int) -> dict[str, int]:
    """The cells of a field of the slide by label: up to four of one label, none in about one field of five."""
    mixed = ((field_index + 1) * 2654435761 + seed * 40503) & 0xFFFFFFFF
    n_cells = (mixed >> 13) % 5
    return {LABELS[mixed >> 9 & 3]: n_cells} if n_cells else {}


class FaultyCamera(SourceBase):
    """A triggered source: of its exposures some give no frame, a damaged one, one too late, one twice, or one more.

    The first pixel of a frame holds the class and the number of its cells.
    """

    def __init__(self, plan: ChaosPlan, boot: int) -> None:
        super().__init__()
        self.info = SourceInfo("chaos:", _SIDE_PX, _SIDE_PX, _UM_PER_PX, None, self_paced=False, is_synthetic=True)
        self._plan = plan
        self._random = random.Random(f"{plan.seed} {boot}")
        self._expected: deque[Trigger] = deque()
        self._ready: deque[tuple[float, Frame]] = deque()

    def expect(self, trigger: Trigger) -> None:
        self._expected.append(trigger)

    def give_up(self, trigger_id: str) -> None:
        """Its frame may come all the same: it is late, and says whose it is."""

    def read(self, timeout_s: float) -> Frame:
        if self._ready and self._ready[0][0] <= time.monotonic():
            return self._ready.popleft()[1]
        if not self._expected:
            time.sleep(min(timeout_s, 0.002))
            raise SourceTimeout("nothing is exposed")
        time.sleep(self._plan.exposure_s)
        frame = self._expose(self._expected.popleft())
        fault = self._random.random() / self._plan.camera_faults if self._plan.camera_faults else 1.0
        if fault < 0.2:
            raise SourceTimeout("this exposure gave nothing")
        if fault < 0.4:
            return replace(frame, status="incomplete", image=None, detail="damaged on the line.")
        if fault < 0.6:
            self._ready.append((time.monotonic() + self._random.uniform(0.0, _LATE_S), frame))
            raise SourceTimeout("this exposure's frame comes late")
        if fault < 1.0:
            self._ready.append((0.0, frame if fault < 0.8 else replace(frame, trigger_id="nobody's")))
        return frame

    def _expose(self, trigger: Trigger) -> Frame:
        image = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
        for label, n_cells in cells_of(self._plan.seed, trigger.field_index).items():
            image[0, 0, :2] = LABELS.index(label), n_cells
        now_ns = time.monotonic_ns()
        return Frame(
            trigger.trigger_id, trigger.field_index, "ok", image, _UM_PER_PX, now_ns, now_ns, stage_nm=trigger.stage_nm
        )

    def close(self) -> None:
        pass


class MadeUpEngine:
    """Finds the cells that the first pixel announces, each in a place of its own."""

    def __init__(self, max_batch: int) -> None:
        self.info = EngineInfo("made-up", "0", "CPU", "f32", _SIDE_PX, _SIDE_PX, max_batch, _SLOTS, _TOP_K)
        self._slots = [np.zeros((max_batch, _SIDE_PX, _SIDE_PX, 3), np.uint8) for _ in range(_SLOTS)]
        self._flying: dict[int, RawDetections] = {}

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        left = np.arange(_TOP_K, dtype=np.float32) * 8
        one = np.stack([left, left, left + 7, left + 7], axis=1)
        announced = self._slots[index][:n, 0, 0]
        scores = np.where(np.arange(_TOP_K)[None] < announced[:, 1:2], np.float32(0.9), np.float32(0))
        classes = np.array([INDEX[name] for name in LABELS], np.int32)[announced[:, 0]]
        self._flying[index] = RawDetections(
            np.repeat(one[None], n, axis=0), scores.astype(np.float32), np.repeat(classes[:, None], _TOP_K, axis=1)
        )

    def collect(self, index: int) -> RawDetections:
        return self._flying.pop(index)

    def keep_warm(self) -> None:
        pass

    def close(self) -> None:
        self._flying.clear()
