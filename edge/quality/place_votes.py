"""What pairs of overlapping fields say together: one pair may err, and a run is doubted only by many that agree."""

from collections import Counter, deque
from dataclasses import dataclass

Pair = tuple[int, int]
"""Numbers of two fields, the earlier one first."""

LAST, MOST_MISFITS = 12, 9
"""Of so many pairs that were judged last, so many that do not fit mean that places are wrong."""
SHIFTED = 3
"""Pairs that do not fit where they should and do at the places of the fields beside them, and none that fits meanwhile; one
is enough at the moment when most pairs do not fit anyhow."""
_WAITING = 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """`n` of `of` pairs do not fit; `lag` 0, or by how many fields all pictures are behind their places."""

    lag: int
    n: int
    of: int


class PlaceVotes:
    """Each pair is `judged`; one that does not fit may be found `shifted`. The verdict is given once."""

    def __init__(self) -> None:
        self._last: tuple[deque[bool], deque[bool]] = (deque(maxlen=LAST), deque(maxlen=LAST))
        self._shifted: Counter[int] = Counter()
        self._waiting: deque[tuple[Pair, bool]] = deque(maxlen=_WAITING)
        self._said: set[int] = set()

    def judged(self, pair: Pair, *, fits: bool, upright: bool = False) -> None:
        """Where the stage says that they are; there is enough to see. `upright`: one lies above the other, not beside it.

        Each has its own count: a picture that is mirrored fits along one of them.
        """
        self._last[upright].append(fits)
        self._waiting.append((pair, fits))

    def shifted(self, lag: int) -> None:
        """One that does not fit does so at the places of the fields `lag` further on."""
        self._shifted[lag] += 1

    def not_shifted(self, lag: int) -> None:
        """One fits that would not if all pictures were `lag` fields off."""
        del self._shifted[lag]

    def waiting(self, newest: int) -> list[tuple[Pair, bool]]:
        """Pairs whose next fields are known by now, and whether they fit; each once."""
        found = [each for each in self._waiting if each[0][1] < newest]
        self._waiting = deque((each for each in self._waiting if each[0][1] >= newest), maxlen=_WAITING)
        return found

    def verdict(self) -> Verdict | None:
        """What is to be said now; None while too little speaks for anything, and for what was said."""
        lag = max(self._shifted, key=lambda each: self._shifted[each], default=0)
        misfits = max(last.count(False) if len(last) == LAST else 0 for last in self._last)
        is_misfit = misfits >= MOST_MISFITS
        votes = self._shifted[lag] if lag else 0
        if votes >= (1 if is_misfit and not self._said else SHIFTED) and votes > self._shifted[-lag] and lag not in self._said:
            self._said.update((lag, 0))  # it says why nothing fits
            return Verdict(lag, votes, LAST)
        if is_misfit and 0 not in self._said:
            self._said.add(0)
            return Verdict(0, misfits, LAST)
        return None
