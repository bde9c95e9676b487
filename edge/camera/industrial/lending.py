"""Driver's buffers that images go on using, so that a frame is copied once: into the engine's slot."""

import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from edge.contracts.detections import Image

_Buffer = TypeVar("_Buffer")


class Lender:
    """Lends at most half of a driver's `n_buffers`; beyond that a frame is copied, so that the camera never waits for us.

    `give_back` gets each buffer once, when no array over its pixels is left; in whatever thread that happens.
    """

    def __init__(self, n_buffers: int) -> None:
        self._most = n_buffers // 2
        self._lock = threading.Lock()
        self.lent = 0

    def lend(self, pixels: Image, buffer: _Buffer, give_back: Callable[[_Buffer], None]) -> Image:
        """`pixels`, which lie in `buffer`; or a copy of them, the buffer being given back already.

        Raises ValueError for a view of another array: views of it would belong to that one, and outlive it.
        """
        if isinstance(pixels.base, np.ndarray):
            raise ValueError("only the array directly over a buffer can be lent")
        with self._lock:
            may = self.lent < self._most
            self.lent += may
        if not may:
            copied = np.array(pixels)
            give_back(buffer)
            return copied
        weakref.finalize(pixels, self._returned, buffer, give_back).atexit = False
        return pixels

    def _returned(self, buffer: _Buffer, give_back: Callable[[_Buffer], None]) -> None:
        with self._lock:
            self.lent -= 1
        give_back(buffer)
