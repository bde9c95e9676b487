"""Two records held against each other, byte for byte; where they differ, by name."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Difference:
    """`where` is the record, `what` the key in it; `was` is as recorded, `now` as made anew."""

    where: str
    what: str
    was: object
    now: object

    def __str__(self) -> str:
        return f"{self.where}: {self.what} was {_short(self.was)} and is {_short(self.now)} now"


def differences(where: str, recorded: bytes, again: bytes) -> list[Difference]:
    """None when the bytes are the same, or when the older record only lacks what came to be known later."""
    if recorded == again:
        return []
    return [Difference(where, *each) for each in _between(json.loads(recorded), json.loads(again), "")]


def _between(was: Any, now: Any, path: str) -> Iterator[tuple[str, object, object]]:  # noqa: ANN401 whatever JSON holds
    if isinstance(was, dict) and isinstance(now, dict):
        for key in was:
            yield from _between(was[key], now.get(key, "nothing"), f"{path}.{key}" if path else key)
        for key in now.keys() - was.keys():
            if path.endswith(("cells", "fields", "counts", "final", "provisional")):  # by label or status: each is a count
                yield f"{path}.{key}", "nothing", now[key]
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for at, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _between(one, other, f"{path}[{at}]")
    elif was != now:
        yield path, was, now


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
