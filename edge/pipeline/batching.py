"""When a batch is closed: deadline batching."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batching:
    """`capacity` fields of one batch at most; a field waits `max_delay_ns` at most while the engine is busy."""

    capacity: int
    max_delay_ns: int

    def is_due(self, n_fields: int, oldest_wait_ns: int, engine_is_idle: bool) -> bool:
        """Whether to run a batch of `n_fields` whose oldest has been in memory for `oldest_wait_ns`.

        An idle engine runs at once. Behind a running batch, a full one is queued so that the engine never pauses between the
        two; a partial one may still fill up until its oldest field's deadline, or until the engine is idle.
        """
        if n_fields == 0:
            return False
        return n_fields >= self.capacity or engine_is_idle or oldest_wait_ns >= self.max_delay_ns
