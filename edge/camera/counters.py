"""What a driver counts, summed over acquisitions that each may begin at zero."""

from collections import Counter
from collections.abc import Mapping


class Counters:
    """Since the device was opened; the last values stand when the driver no longer tells them."""

    def __init__(self) -> None:
        self._before: Counter[str] = Counter()
        self._at_begin: Counter[str] = Counter()
        self._last: Counter[str] = Counter()

    def begin(self, now: Mapping[str, int]) -> None:
        """An acquisition has begun."""
        self._before = Counter(self.total())
        self._at_begin, self._last = Counter(now), Counter(now)

    def see(self, now: Mapping[str, int]) -> None:
        """What the driver says while it goes on; nothing where it cannot tell."""
        self._last.update({name: n - self._last[name] for name, n in now.items()})

    def total(self) -> dict[str, int]:
        return {
            name: self._before[name] + self._last[name] - self._at_begin[name] for name in sorted({*self._before, *self._last})
        }
