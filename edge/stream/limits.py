"""How many messages one client may send: a client that runs wild costs the others nothing."""

from dataclasses import dataclass


@dataclass(slots=True)
class MessageBudget:
    """So many messages a second on average, and at most two seconds' worth at once. Times are monotonic nanoseconds."""

    per_s: float
    at_ns: int
    left: float = 0.0
    told_ns: int | None = None

    def __post_init__(self) -> None:
        self.left = 2 * self.per_s

    def take(self, now_ns: int) -> bool:
        """Whether one more message is within the budget."""
        self.left = min(2 * self.per_s, self.left + self.per_s * (now_ns - self.at_ns) / 1e9)
        self.at_ns = now_ns
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def may_tell(self, now_ns: int) -> bool:
        """Whether to tell the sender: once a second, so that the refusals are no flood themselves."""
        if self.told_ns is not None and now_ns - self.told_ns < 1e9:
            return False
        self.told_ns = now_ns
        return True
