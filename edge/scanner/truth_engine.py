"""A perfect detector: an engine that answers with what the slide really holds, so that everything behind it can be proven.

The camera writes a number into the first row of a frame's pixels and what the frame shows into a book; the engine reads the
number in its slot. A stand-in, and it says so: such a run is never diagnostic.
"""

from collections import OrderedDict

import numpy as np

from edge.contracts.detections import Float32, Image, Int32, RawDetections
from edge.contracts.errors import EngineError
from edge.engine.base import EngineInfo, SlotBook

_TOP_K = 64
_SCORE = np.float32(0.99)
_BITS = 32
_MARK = 0xA5
_REMEMBERED = 1024
"""Frames that may be under way between camera and engine; more than any queue and any slots hold."""
_SLOTS = 2


class TruthBook:
    """What each frame shows, by the number in its pixels. The camera's thread writes, the engine's reads."""

    def __init__(self) -> None:
        self._next = 0
        self._frames: OrderedDict[int, tuple[Float32, Int32]] = OrderedDict()

    def enter(self, image: Image, boxes_px: Float32, labels: Int32) -> None:
        """Number the frame, uint8 [H, W, 3] with W of at least 40, and remember its cells: boxes [n, 4], labels [n]."""
        number, self._next = self._next, self._next + 1
        bits = np.unpackbits(np.array([_MARK, *number.to_bytes(_BITS // 8, "big")], np.uint8))
        image[0, : len(bits)] = (bits * 255)[:, None]
        self._frames[number] = boxes_px, labels
        if len(self._frames) > _REMEMBERED:
            self._frames.popitem(last=False)

    def look_up(self, image: Image) -> tuple[Float32, Int32]:
        """Raises `EngineError` for a frame that is none of this camera's, or is no longer as it was exposed."""
        first = np.packbits(image[0, : 8 + _BITS, 0] > 127)
        found = self._frames.get(int.from_bytes(first[1:].tobytes(), "big")) if first[0] == _MARK else None
        if found is None:
            raise EngineError(
                "a frame does not bear the virtual camera's number: pixels were changed on their way; report this."
            )
        return found


class TruthEngine:
    """Implements `Engine`; takes no time."""

    def __init__(self, book: TruthBook, width_px: int, height_px: int, max_batch: int) -> None:
        self.info = EngineInfo(
            "truth",
            "of the drawn slide",
            "no device",
            "no arithmetic",
            width_px,
            height_px,
            max_batch,
            _SLOTS,
            _TOP_K,
            parity="waived",
        )
        self._book = book
        self._slots = [np.zeros((max_batch, height_px, width_px, 3), np.uint8) for _ in range(_SLOTS)]
        self._in_flight = SlotBook(self.info)

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        self._in_flight.submit(index, n)

    def collect(self, index: int) -> RawDetections:
        """The cells of each frame, all with the same score."""
        n = self._in_flight.collect(index)
        boxes = np.zeros((n, _TOP_K, 4), np.float32)
        scores, labels = np.zeros((n, _TOP_K), np.float32), np.zeros((n, _TOP_K), np.int32)
        for row in range(n):
            cells, classes = self._book.look_up(self._slots[index][row])
            held = min(len(cells), _TOP_K)
            boxes[row, :held], labels[row, :held], scores[row, :held] = cells[:held], classes[:held], _SCORE
        return RawDetections(boxes, scores, labels)

    def keep_warm(self) -> None:
        """There is nothing to warm."""

    def close(self) -> None:
        self._slots.clear()
