"""What must hold before a service takes a run, one check each: clock, profile, journal, and files that were loaded."""

import os
import shutil
from datetime import date, datetime, timezone
from pathlib import Path

from edge.contracts.bundle import MANIFEST
from edge.contracts.errors import ConfigError, JournalError, ProfileError
from edge.contracts.user_paths import expanded
from edge.contracts.version import BUILT
from edge.journal.journal_file import RESERVE_BYTES
from edge.settings import IN_MEMORY, EdgeSettings, Setup

Marks = tuple[tuple[str, int, int, int], ...]
"""Of files: path, inode, size, and when anything of it changed last (ns), which nobody can set back."""


def check_clock(today: date | None = None) -> None:
    """Raises `ConfigError` for a clock that is set to a day before this program was made: profiles expire by it."""
    now = today or datetime.now(timezone.utc).date()
    if now < date.fromisoformat(BUILT):
        raise ConfigError(
            f"the clock shows {now:%Y-%m-%d} and this edge was made on {BUILT}; set the clock of this machine (is its battery "
            "empty, or its time server out of reach?)."
        )


def check_age(setup: Setup, now: datetime | None = None) -> None:
    """Raises `ProfileError` when something of the profile that is used should have been measured anew by now."""
    for part, name, command in (
        (setup.light, "light", "illumination"),
        (setup.colours, "colours", "colour"),
        (setup.stage, "stage", "stage"),
    ):
        if part is not None and part.has_expired(now):
            raise ProfileError(
                f"the {name} of profile {setup.settings.profile} should have been measured anew by {part.expires_at}; repeat "
                f"`leuko-calib {command}`, or give another profile."
            )


def check_room(settings: EdgeSettings) -> None:
    """Raises `JournalError` when the journal's folder can no longer be written, or its disk is nearly full."""
    if settings.journal == IN_MEMORY:
        return
    path = expanded(settings.journal)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as problem:
        raise JournalError(
            f"the folder of journal {path} cannot be looked at ({problem.strerror}); is its disk still there?"
        ) from problem
    if not os.access(path.parent, os.W_OK) or not os.access(path, os.W_OK):
        raise JournalError(
            f"journal {path} can no longer be written; give this user the right to write it and its folder, and check that its "
            "disk is not mounted read-only."
        )
    if free < RESERVE_BYTES:
        raise JournalError(
            f"the disk of journal {path} has {free / 1e6:.1f} MB left and a run needs {RESERVE_BYTES / 1e6:.1f} MB at least; "
            "free space on it."
        )


def marks_of(setup: Setup) -> Marks:
    """What shows whether a file of bundle or profile was touched since; a missing file has none."""
    bundle = setup.bundle
    paths = [bundle.path / MANIFEST, *(bundle.path / name for name in bundle.manifest.files)]
    if setup.settings.profile is not None:
        paths.append(setup.settings.profile)
    return tuple(mark for path in paths if (mark := _mark(path)) is not None)


def _mark(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_ino, found.st_size, found.st_ctime_ns
