"""Whether so many fields of a run came out badly, or show nothing, that what was counted cannot be all there is.

Each such field is marked; but a lamp that is off, a closed shutter or a slide out of focus makes every field empty, and the
run's count a zero that looks like any other.
"""

from collections import Counter
from collections.abc import Sequence

from edge.quality.field_limits import Fault
from edge.quality.field_look import FEW

SHARE, ENOUGH = 0.2, 5
"""Of the fields looked at that came out badly, and how many at least. Real fields of the laboratories at hand are far
from it."""

HIDES_CELLS: frozenset[Fault] = frozenset({"dark", "blurred", "thick", "crowded"})
"""Faults that are counted. An overexposed slide between cells that show is what many scanners make of white; where nothing
else shows the field shows nothing; and of the stain the run says what is to be said."""

NOTHING_SHARE = 0.5
"""Of the fields that show neither cells nor anything else. A scan that begins beside the smear has some; a sharp field of a
smear never is one."""

SHARE_OF_FEW = 0.5
"""The same at the end of a run with fewer bad fields than enough."""


class BadShare:
    """Told of every field that was judged; each of two sentences once. For one thread."""

    def __init__(self) -> None:
        self._n = self._n_bad = self._n_nothing = 0
        self._faults: Counter[Fault] = Counter()
        self._is_said = self._is_nothing_said = False

    def judged(self, faults: Sequence[Fault], *, shows_nothing: bool) -> None:
        """One more field: what is wrong with it, and whether cells and slide could not be told apart in it."""
        self._n += 1
        hiding = HIDES_CELLS.intersection(faults)
        self._n_bad += bool(hiding)
        self._faults.update(hiding)
        self._n_nothing += shows_nothing and not hiding

    def sentences(self, *, is_last: bool = False) -> list[str]:
        """What is to be said by now; `is_last`: no field comes any more."""
        said = list[str]()
        if not self._is_said and self._is_much(self._n_bad, SHARE, is_last):
            self._is_said = True
            what = ", ".join(f"{fault} {n}" for fault, n in self._faults.most_common())
            said.append(
                f"{self._n_bad} of {self._n} fields came out badly ({what}): cells are missed in them, so that the count is "
                "too low or wrong; look at the pictures, at lamp, shutter, exposure and focus, and repeat the run."
            )
        if not self._is_nothing_said and self._is_much(self._n_nothing, NOTHING_SHARE, is_last):
            self._is_nothing_said = True
            said.append(
                f"nothing is to be seen in {self._n_nothing} of {self._n} fields, no red cell either: they are no fields of a "
                "smear, or the light is off or far too strong, or the focus far away; no cell counted in them does not "
                "mean that there is none."
            )
        return said

    def _is_much(self, n: int, share: float, is_last: bool) -> bool:
        if n >= ENOUGH:
            return n >= share * self._n
        return is_last and n >= FEW and n >= max(share, SHARE_OF_FEW) * self._n
