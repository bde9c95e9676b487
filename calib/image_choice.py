"""Which fields to annotate: the most doubtful ones, spread over slides, no two that show the same, and some with nothing."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from calib.field_doubts import DULLEST, DoubtfulField
from edge.contracts.errors import ConfigError, DataError
from edge.quality import alike

WITHOUT_CELLS = 0.15
"""Share of the fields chosen in which nothing was found: what a model misses shows in no doubt of its own, and what it must
leave alone has to be shown to it, too."""
NOTHING_FOUND = "nothing was found: is there nothing?"
CLEAR = "nothing doubtful: it fills up"
_NUMBERED = re.compile(r"(?:(.+?)[_\s-]+|(.*\D))\d+$")
"""`B-30_0101` is of `B-30` and `slide7f003` of `slide7f`; a name that is a number alone says nothing."""


@dataclass(frozen=True, slots=True)
class ChosenField:
    """A field, its slide, and in words why."""

    field: DoubtfulField
    slide: str
    reasons: tuple[str, ...]


def slides_of(names: Sequence[str], pattern: str | None) -> list[str]:
    """The slide of each field: what the first group of `pattern` matches in its name, else its folder, else what stands before
    the number at the end. Raises `ConfigError` for a pattern without a group, `DataError` for a name that does not match."""
    if pattern is not None:
        return [_matched(name, pattern) for name in names]
    folders = [name.rpartition("/")[0] for name in names]
    if len(set(folders)) > 1:
        return folders
    stems = [name.rpartition("/")[2].rpartition(".")[0] or name for name in names]
    found = [match.group(1) or match.group(2) if (match := _NUMBERED.match(stem)) else "" for stem in stems]
    # Names that all differ name fields, no slides.
    return found if len(set(found)) <= len(found) / 2 and all(found) else [""] * len(names)


def _matched(name: str, pattern: str) -> str:
    try:
        found = re.match(pattern, name)
    except re.error as problem:
        raise ConfigError(f"--slide-by {pattern!r} is no regular expression ({problem}); correct it.") from problem
    if not found or not found.re.groups or found.group(1) is None:
        raise DataError(f"{name!r} does not match --slide-by {pattern!r}, or that has no group ( ); correct it.")
    return found.group(1)


def choose(fields: Sequence[DoubtfulField], slides: Sequence[str], count: int) -> list[ChosenField]:
    """At most `count` of them, in the source's order: the slides take turns, each with its most doubtful field."""
    pairs = list(zip(fields, slides, strict=True))
    doubtful = sorted((pair for pair in pairs if pair[0].doubt > DULLEST), key=lambda pair: -pair[0].doubt)
    empty = [pair for pair in pairs if not len(pair[0].cells) and pair[0].doubt <= DULLEST]
    order = np.random.default_rng(0).permutation(len(empty)).tolist()
    empty = [empty[at] for at in order]
    taken: list[ChosenField] = []
    _take(taken, empty, min(round(count * WITHOUT_CELLS), count), NOTHING_FOUND)
    _take(taken, doubtful, count, "")
    # A run with few doubts still has to be annotated; what is left is taken in the same way.
    _take(taken, [pair for pair in pairs if len(pair[0].cells)], count, CLEAR)
    _take(taken, empty, count, NOTHING_FOUND)
    return sorted(taken, key=lambda each: each.field.number)


def _take(taken: list[ChosenField], offered: Iterable[tuple[DoubtfulField, str]], until: int, reason: str) -> None:
    """Fill `taken` up to `until`, from the slide of which there are fewest, best first as they are `offered`."""
    waiting: dict[str, list[DoubtfulField]] = {}
    for one, slide in offered:
        waiting.setdefault(slide, []).append(one)
    per_slide = Counter(each.slide for each in taken)
    while len(taken) < until and waiting:
        slide = min(waiting, key=lambda name: (per_slide[name], -waiting[name][0].doubt))
        one = waiting[slide].pop(0)
        if not waiting[slide]:
            del waiting[slide]
        known = np.array([each.field.look for each in taken])
        if not len(known) or not alike(one.look[None], known).any():
            taken.append(ChosenField(one, slide, tuple(one.reasons) or (reason or CLEAR,)))
            per_slide[slide] += 1
