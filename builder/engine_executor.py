"""An engine of the edge as an executor of the parity gate."""

from itertools import cycle

from edge.contracts.detections import Image, RawDetections
from edge.engine.base import Engine


class EngineExecutor:
    """Runs an opened engine in batches as large as it takes, slot after slot, as a run does. The caller closes the engine."""

    is_emulation = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slots = cycle(range(engine.info.slots))
        self.name = str(engine.info)
        self.max_batch = engine.info.max_batch

    def run(self, frames: Image) -> RawDetections:
        """Rows for frames uint8 [n, H, W, 3], n up to `max_batch`. Raises `EngineError`."""
        slot = next(self._slots)
        self._engine.slot(slot)[: len(frames)] = frames
        self._engine.submit(slot, len(frames))
        return self._engine.collect(slot)
