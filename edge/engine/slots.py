"""Which slots are in flight, and with how many frames: the rules that every engine keeps."""

from edge.engine.base import EngineInfo


class SlotBook:
    """Raises ValueError on every call that would mix two batches: these are mistakes of the caller, never of a user."""

    def __init__(self, info: EngineInfo) -> None:
        self._max_batch = info.max_batch
        self._running = [0] * info.slots

    def submit(self, index: int, n: int) -> None:
        if not 1 <= n <= self._max_batch:
            raise ValueError(f"{n} frames do not fit a slot of {self._max_batch}")
        if self._running[index]:
            raise ValueError(f"slot {index} was submitted again before it was collected")
        self._running[index] = n

    def collect(self, index: int) -> int:
        """The number of frames that were submitted; the slot is free from now on."""
        n, self._running[index] = self._running[index], 0
        if not n:
            raise ValueError(f"slot {index} was not submitted")
        return n

    def in_flight(self) -> list[int]:
        """Slots that were submitted and not collected."""
        return [index for index, n in enumerate(self._running) if n]
