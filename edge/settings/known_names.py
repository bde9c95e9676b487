"""Names that may be given, and what is said of others: in all probability a typing slip, so the nearest one is named."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from edge.contracts.errors import ConfigError


def nearest(name: object, known: Iterable[str]) -> str:
    """The one of `known` that looks most like `name`; there must be one."""
    return difflib.get_close_matches(str(name).lower(), sorted(known), n=1, cutoff=0.0)[0]


def refuse_unknown(names: Iterable[Any], known: Iterable[str], where: str, said_as: Callable[[Any], str] = str) -> None:
    """Raises `ConfigError` that names every one that is not known, each with the nearest; `where` is where they were given.

    `said_as` is how a name is written there.
    """
    all_known = set(known)
    unknown = [name for name in names if name not in all_known]
    if not unknown:
        return
    shown = [said_as(name) for name in unknown[:3]]
    meant = [said_as(nearest(name, all_known)) for name in unknown[:3]]
    if len(unknown) == 1:
        raise ConfigError(f"`{shown[0]}` in {where} is not a known setting; did you mean `{meant[0]}`?")
    pairs = ", ".join(f"`{given}` (did you mean `{near}`?)" for given, near in zip(shown, meant, strict=True))
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    raise ConfigError(f"{where} holds what are no known settings: {pairs}{more}; correct them.")
