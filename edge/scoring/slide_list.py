"""Which slides there are: the sub-folders of a folder, or the lines of a table; and which of them fall to one shard."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.camera.image_listing import natural_key
from edge.contracts.errors import ConfigError
from edge.contracts.names import printable
from edge.scoring.slide_table import TABLE_SUFFIXES, TableLine, read_lines

_MORE_THAN_DRIVE = re.compile(r"[a-z]{2,}:")


@dataclass(frozen=True, slots=True)
class SlideEntry:
    """One slide as it was asked for. `location` is as it was written and names the slide in results; `opened` is where it lies
    seen from here. What a table leaves out is None; `problem` is a sentence when its line cannot be used.
    """

    slide_id: str
    location: str
    opened: str
    um_per_px: float | None = None
    profile: str | None = None
    problem: str = ""

    def plain(self) -> dict[str, Any]:
        """Its values by name, for another process."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SlideList:
    """`notes` are sentences for the operator: what of the folder or table was not used."""

    entries: list[SlideEntry]
    notes: tuple[str, ...] = ()


def list_slides(slides: Path, out: Path) -> SlideList:
    """The slides of `slides`, in natural order of a folder and in the order of a table.

    Raises `ConfigError` when there are none, when two have one name, or when the results would lie among them.
    """
    if slides.is_dir():
        found = _of_folder(slides, out)
    elif slides.suffix.lower() in TABLE_SUFFIXES or slides.is_file():
        found = _of_table(slides)
    else:
        raise ConfigError(
            f"{printable(str(slides))} does not exist; give a folder whose sub-folders are slides, or a table (CSV, Parquet)."
        )
    twice = [slide_id for slide_id, n in Counter(entry.slide_id for entry in found.entries).items() if n > 1]
    if twice:
        more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
        raise ConfigError(f"slide {twice[0]!r}{more} is in {slides} twice; each slide needs a name of its own.")
    return found


def of_shard(entries: Sequence[SlideEntry], index: int, shards: int) -> list[SlideEntry]:
    """Every `shards`-th slide from `index` on: each slide falls to exactly one of them."""
    return list(entries[index::shards])


def shard_of(text: str) -> tuple[int, int]:
    """`0/8` as (0, 8). Raises `ConfigError` for anything that names no shard."""
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    index, shards = (int(found[1]), int(found[2])) if found else (0, 0)
    if not index < shards:
        raise ConfigError(f"--shard {text!r} names no shard; write INDEX/COUNT with the index from 0, such as 0/8 to 7/8.")
    return index, shards


def _of_folder(folder: Path, out: Path) -> SlideList:
    try:
        inside = sorted(folder.iterdir(), key=natural_key)
        slides = [each for each in inside if each.is_dir() and not each.name.startswith(".")]
    except OSError as problem:
        raise ConfigError(f"{folder} cannot be looked into ({problem.strerror}); check its permissions.") from problem
    beside = [each for each in inside if not each.is_dir() and not each.name.startswith(".")]
    if not slides:
        what = "holds files and no folders" if beside else "is empty"
        raise ConfigError(
            f"{folder} {what}: each slide is a sub-folder; give the folder above it, or count one with `leuko-edge count`."
        )
    if any(out.resolve().is_relative_to(each.resolve()) for each in slides) or out.resolve() == folder.resolve():
        raise ConfigError(f"--out {out} lies among the slides of {folder}, and would be taken for one; give another place.")
    notes = (f"{len(beside)} of {folder} passed over that {'is' if len(beside) == 1 else 'are'} no folder.",) if beside else ()
    names = [(printable(each.name), str(each)) for each in slides]
    return SlideList([SlideEntry(name, name, path) for name, path in names], notes)


def _of_table(table: Path) -> SlideList:
    lines, notes = read_lines(table)
    if not lines:
        raise ConfigError(f"table {table} has no slides; it needs a line for each.")
    return SlideList([_entry(line, table.parent) for line in lines], notes)


def _entry(line: TableLine, folder: Path) -> SlideEntry:
    """Paths of a table are seen from the table; sources such as `recording:PATH` stay as they are."""
    opened = line.location
    if not _MORE_THAN_DRIVE.match(opened) or (folder / opened).exists():
        opened = str(folder / Path(opened).expanduser())
    profile = str(folder / Path(line.profile).expanduser()) if line.profile else None
    return SlideEntry(line.slide_id, line.location, opened, line.um_per_px, profile, line.problem)
