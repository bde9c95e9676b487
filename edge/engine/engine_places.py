"""Where a bundle's engines lie, for whoever builds one and for whoever looks for one.

With a directory that was asked for (`--engine-dir`) there is that one and no other. Without, in this order:

1. `engines` beside the bundle's directory;
2. only where that cannot be written, `leukostream/engines` in the user's data directory: `$XDG_DATA_HOME` when it is an
   absolute path, else `~/.local/share` (XDG Base Directory Specification).

An engine is built into the last of them, with the times of its build; everybody else looks into all of them, in order, so that
engines that came with a bundle on a read-only disk are found, too. Not to be written is a place of which the nearest directory
that exists is on a read-only file system or not this user's to write, or in whose way there is a file; and every place in the
installed package itself, where the shipped bundle is: nothing ever writes there. As the second place is a user's own, an edge
finds there what the same user built.
"""

import os
from pathlib import Path

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import ENGINES
from edge.contracts.errors import EngineError

_PACKAGE = Path(__file__).resolve().parents[1]
_BY_EFFECTIVE_USER = os.access in os.supports_effective_ids


def engine_places(bundle: Bundle, engine_dir: Path | None = None) -> tuple[Path, ...]:
    """The directories in which the bundle's engines are looked for, in order; they need not exist."""
    if engine_dir is not None:
        return (engine_dir,)
    beside = bundle.path.resolve().parent / ENGINES
    own = None if _can_be_written(beside) else _user_engines()
    return (beside,) if own is None else (beside, own)


def place_to_build(bundle: Bundle, engine_dir: Path | None = None) -> Path:
    """The directory into which an engine of the bundle is built.

    Raises `EngineError` when none is given, none beside the bundle may be written, and the user has no home directory.
    """
    place = engine_places(bundle, engine_dir)[-1]
    if engine_dir is None and place.is_relative_to(_PACKAGE):
        raise EngineError(
            f"nothing is written into the installed package, where bundle {bundle.path} lies, and this user has no home "
            "directory for its engines; give a place with --engine-dir."
        )
    return place


def named(places: tuple[Path, ...]) -> str:
    """The places for a sentence: `A`, or `A or B`."""
    return " or ".join(map(str, places))


def _can_be_written(folder: Path) -> bool:
    """Whether a directory of this name can be made, or be written to. Nothing is tried: an edge only looks."""
    if folder.is_relative_to(_PACKAGE):
        return False
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    # Path.is_dir raises where it may not look.
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK, effective_ids=_BY_EFFECTIVE_USER)  # noqa: PTH112


def _user_engines() -> Path | None:
    """None for a user without a home directory, as a service may have none."""
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        try:
            data = Path.home() / ".local" / "share"
        except RuntimeError:
            return None
    return data / "leukostream" / ENGINES
