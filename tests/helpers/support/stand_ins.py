"""Stand-ins for source, engine and field work whose results follow from one pixel, and which fail where they are told to."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.camera.frame import Frame, FrameStatus, SourceBase, SourceEnded, SourceInfo, SourceNote
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import FrameError
from edge.contracts.records import Detection
from edge.engine.base import EngineInfo
from edge.postprocess import Findings

WIDTH_PX, HEIGHT_PX = 8, 4
CELL = Detection(
    label="lymphocyte",
    best_class="lymphocyte",
    is_wbc=True,
    score=0.9,
    presence=0.9,
    margin=0.9,
    box_px=(0, 0, 2, 2),
    size_um=(0.26, 0.26),
)
BROKEN = 255
"""A first pixel of this value makes the field's processing fail."""


def image_of(n_cells: int) -> Image:
    """An image whose first pixel says how many cells the stand-ins find in it."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    image[0, 0] = n_cells
    return image


Status = FrameStatus


def frame_of(index: int, n_cells: int = 1, status: Status = "ok", image: Image | None = None) -> Frame:
    """A frame of the stand-ins, or of `image`."""
    now = time.monotonic_ns()
    image = None if status != "ok" else image_of(n_cells) if image is None else image
    detail = "" if status == "ok" else f"scripted {status}"
    return Frame(f"t{index}", index, status, image, 0.13, now, now, source_name=f"{index}.png", detail=detail)


class ListSource(SourceBase):
    """Gives its frames one after the other; an exception among them is raised, a callable is called first."""

    def __init__(
        self,
        script: Sequence[Frame | Exception | Callable[[], None]],
        notes: Sequence[SourceNote] = (),
        size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX),
    ) -> None:
        super().__init__()
        self._script = list(script)
        self._notes = list(notes)
        n_frames = sum(isinstance(step, Frame) for step in script)
        self.info = SourceInfo("list:", *size_px, 0.13, n_frames, self_paced=True)
        self.given = 0
        self.closed = False

    def read(self, timeout_s: float) -> Frame:
        while self._script:
            step = self._script.pop(0)
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Frame):
                self.given += 1
                return self._count(step)
            step()
        raise SourceEnded

    def close(self) -> None:
        self.closed = True


@dataclass
class StandInEngine:
    """Returns the first pixel of each row as the first score; `fail_submit` / `fail_collect` raise at that call (from 0)."""

    max_batch: int = 2
    slots: int = 2
    fail_submit: tuple[int, Exception] | None = None
    fail_collect: tuple[int, Exception] | None = None
    submitted: list[int] = field(default_factory=list)
    collected: int = 0
    kept_warm: int = 0
    on_submit: Callable[[], object] = lambda: None
    streams: int = 1

    def __post_init__(self) -> None:
        self._slots = [np.zeros((self.max_batch, HEIGHT_PX, WIDTH_PX, 3), np.uint8) for _ in range(self.slots)]
        self._flying: dict[int, RawDetections] = {}
        size = (WIDTH_PX, HEIGHT_PX)
        self.info = EngineInfo("stand-in", "0", "CPU", "f32", *size, self.max_batch, self.slots, 4, streams=self.streams)

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        assert index not in self._flying, "a slot was submitted twice without a collect"
        self.on_submit()
        if self.fail_submit and self.fail_submit[0] == len(self.submitted):
            raise self.fail_submit[1]
        self.submitted.append(n)
        scores = np.zeros((n, 4), np.float32)
        scores[:, 0] = self._slots[index][:n, 0, 0, 0]
        self._flying[index] = RawDetections(np.zeros((n, 4, 4), np.float32), scores, np.zeros((n, 4), np.int32))

    def collect(self, index: int) -> RawDetections:
        if self.fail_collect and self.fail_collect[0] == self.collected:
            raise self.fail_collect[1]
        self.collected += 1
        return self._flying.pop(index)

    def keep_warm(self) -> None:
        self.kept_warm += 1

    def close(self) -> None:
        self._flying.clear()


@dataclass
class StandInWork:
    """Copies the image into each of its tiles; as many cells as the first pixel says. 254 cells fail after the engine."""

    n_tiles: int = 1
    needs_image: bool = False
    addresses: set[int] = field(default_factory=set)

    def for_size(self, image: Image) -> None:
        """Fields of one size are all that is scripted."""

    def write(self, frame: Frame, image: Image, views: list[Image]) -> None:
        if image[0, 0, 0] == BROKEN:
            raise FrameError("scripted: the field cannot be fitted.")
        for view in views:
            self.addresses.add(view.__array_interface__["data"][0])
            view[...] = image

    def findings(self, raw: RawDetections) -> Findings:
        assert len(raw.scores) == self.n_tiles
        n = int(raw.scores[0, 0])
        if n == BROKEN - 1:
            raise RuntimeError("scripted: post-processing broke")
        return Findings((CELL,) * n, {CELL.label: n} if n else {}, overflow=False)

    def quality(self, frame: Frame) -> None:
        """Nobody looked."""

    def done(self, frame: Frame, findings: Findings) -> tuple[SourceNote, ...]:
        assert (frame.image is not None) == self.needs_image, "a frame's image is held no longer than it is needed"
        return ()
