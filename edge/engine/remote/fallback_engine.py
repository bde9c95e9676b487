"""A server's engine, and one of this machine that takes over when it fails: what was in flight is computed again."""

import logging
from collections.abc import Callable
from dataclasses import replace

from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError
from edge.engine.base import Engine, EngineInfo

_log = logging.getLogger(__name__)


class FallbackEngine:
    """`Engine`; the one of this machine is opened when it is needed, and computes from then on until the engine is closed.

    Slots stay where they are: their frames are copied for the other engine. `notes` says, once, what computes since when.
    """

    def __init__(self, remote: Engine, open_local: Callable[[], Engine]) -> None:
        self._remote, self._open_local = remote, open_local
        self._local: Engine | None = None
        self._running: dict[int, int] = {}
        self._again: set[int] = set()
        self._said: list[str] = []

    @property
    def info(self) -> EngineInfo:
        """Of the one that computes; sizes and slots are the same for both."""
        if self._local is None:
            return self._remote.info
        here, there = self._local.info, self._remote.info
        return _with_slots(here, there.max_batch, there.slots)

    def slot(self, index: int) -> Image:
        return self._remote.slot(index)

    def submit(self, index: int, n: int) -> None:
        self._running[index] = n
        if self._local is None:
            self._remote.submit(index, n)
        else:
            self._again.add(index)

    def collect(self, index: int) -> RawDetections:
        n = self._running.pop(index, 0)
        if index not in self._again:
            try:
                return self._remote.collect(index)
            except EngineError as problem:
                self._change(problem)
        self._again.discard(index)
        local = self._local
        if local is None or not n:
            raise ValueError(f"slot {index} was not submitted")
        local.slot(0)[:n] = self._remote.slot(index)[:n]
        local.submit(0, n)
        return local.collect(0)

    def notes(self) -> list[str]:
        """What has changed since the last call, a sentence each."""
        said, self._said = self._said, []
        return said

    def keep_warm(self) -> None:
        (self._local or self._remote).keep_warm()

    def close(self) -> None:
        if self._local is not None:
            self._local.close()
        self._remote.close()

    def _change(self, problem: EngineError) -> None:
        """Batches that the server still has in hand are collected from it, or fail in their turn, too."""
        if self._local is not None:
            return
        self._local = self._open_local()
        said = f"{problem} From here on {self._local.info} computes, as --server-fallback asks."
        self._said.append(said)
        _log.warning("%s", said)


def _with_slots(info: EngineInfo, max_batch: int, slots: int) -> EngineInfo:
    return replace(info, max_batch=max_batch, slots=slots)
