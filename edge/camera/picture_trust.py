"""Which pictures of a codec that builds on earlier ones can be trusted, once something was damaged.

Packets come in the order in which they are decoded, pictures in the order in which they are shown: a whole picture (a key) ends
the damage for what is decoded after it, not for what happens to be shown after it.
"""

from collections import OrderedDict

_REMEMBERED = 512


class PictureTrust:
    """Told of packets as they are decoded; asked for pictures as they are shown. Both are named by their time."""

    def __init__(self) -> None:
        self._why = ""
        """Why what is decoded now cannot be trusted; empty while it can."""
        self._leading: tuple[int, str] | None = None
        """The last key, and why pictures that are decoded after it and shown before it cannot be trusted."""
        self._faults: OrderedDict[int, str] = OrderedDict()
        self._keys: set[int] = set()

    def decode(self, at: int, is_key: bool, why: str) -> None:
        """The next packet, and what is known to be wrong with it."""
        if is_key:
            self._leading = (at, self._why) if self._why else None
            self._why = ""
            self._keys.add(at)
        self._why = why or self._why
        if not self._why and self._leading is not None and at < self._leading[0]:
            self._faults[at] = self._leading[1]
        else:
            self._faults[at] = self._why
        while len(self._faults) > _REMEMBERED:
            self._keys.discard(self._faults.popitem(last=False)[0])

    def fail(self, at: int, why: str) -> None:
        """The packet that was named last could not be decoded."""
        self._why = self._faults[at] = why

    def conceal(self, at: int, why: str) -> None:
        """A picture turned out to be repaired by guesses: so are those that were decoded after it, up to the next key."""
        if at not in self._faults:
            return
        times = list(self._faults)
        for later in times[times.index(at) :]:
            if later in self._keys and later != at:
                return
            self._faults[later] = self._faults[later] or why
        self._why = self._why or why

    def fault_of(self, at: int | None) -> str:
        """Why the picture of this time cannot be trusted; empty when it can. Without a time, by what was decoded last."""
        return self._why if at is None else self._faults.get(at, self._why)
