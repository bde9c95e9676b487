"""A run whose fields are triggered at a fixed rate by a scanner that does not wait: how late its records are."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.camera.memory_source import APART_UM, MemorySource
from edge.contracts.detections import Image
from edge.contracts.errors import EngineError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.local_run import records_of
from edge.pipeline.parts import Parts
from edge.pipeline.run import Run
from edge.pipeline.run_control import StopSwitch
from edge.settings import Setup

KEPT = 0.97
"""Share of a rate that has to be reached for it to count as kept: the last fields' own time is in the measurement, too."""


@dataclass(frozen=True, slots=True)
class Paced:
    """Monotonic ns at which each field was meant to be triggered, and at which its record was there. `rate_per_s` None: as fast
    as they went."""

    rate_per_s: float | None
    intended_ns: NDArray[np.int64]
    done_ns: NDArray[np.int64]

    @property
    def latency_ms(self) -> NDArray[np.float64]:
        """From the intended trigger, also of a field that a stall has held up."""
        return np.asarray((self.done_ns - self.intended_ns) / 1e6, np.float64)

    @property
    def reached_per_s(self) -> float:
        """Fields per second, from the first record to the last; of one field from its trigger."""
        since_ns = self.done_ns[0] if len(self.done_ns) > 1 else self.intended_ns[0]
        return max(1, len(self.done_ns) - 1) / max(1e-9, float(self.done_ns[-1] - since_ns) / 1e9)

    @property
    def kept(self) -> bool:
        """Whether the records kept up with the triggers."""
        return self.rate_per_s is None or len(self.done_ns) < 3 or self.reached_per_s >= KEPT * self.rate_per_s

    def overshoot_fields(self) -> NDArray[np.int64]:
        """For each field, how many were triggered after it and before its record was there: what a scanner that stops at the
        200th leukocyte images too much, if this field shows it. Any field may be the one."""
        known = np.searchsorted(np.sort(self.intended_ns), self.done_ns, side="right")
        return np.maximum(known - 1 - np.arange(len(self.done_ns)), 0)


def run_paced(setup: Setup, parts: Parts, images: Sequence[Image], n_fields: int, rate_per_s: float | None) -> Paced:
    """Run `images` in turn over the open engine; a record is there when a journal in memory has it.

    Raises `EngineError` when a field fails: its time would mean nothing.
    """
    source = MemorySource(images, parts.source.info, n_fields, rate_per_s, step_um=APART_UM)
    order = RunStartCommand(cmd_id="paced", run_id=str(uuid.uuid4()))
    journal, done_ns = MemoryJournal(), np.zeros(n_fields, np.int64)
    for record in records_of(Run(setup, replace(parts, source=source, frames=None, crops=None), order, StopSwitch())):
        journal.append(record)
        if isinstance(record, FieldRecord):
            if record.times is None:
                raise EngineError(f"a field that is measured failed, so that its time means nothing: {record.detail}")
            done_ns[record.field_index] = time.monotonic_ns()
    if not done_ns.all():
        raise EngineError("a run that is measured ended before its last field, so that its times mean nothing; run it again.")
    return Paced(rate_per_s, source.intended_ns, done_ns)
