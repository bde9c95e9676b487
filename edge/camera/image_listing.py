"""Which files of a folder or a glob are fields, in natural order; everything else is accounted for in a note."""

import glob
import os
import re
from pathlib import Path

from edge.camera.decode import IMAGE_SUFFIXES, NOT_READ
from edge.camera.frame import SourceNote
from edge.contracts.errors import SourceError

_KINDS = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
_BESIDE_FILES = "._"
"""macOS puts what another file system cannot hold of FILE into ._FILE: no image, whatever its suffix."""


def natural_key(path: Path) -> tuple[list[int | str], str]:
    """Sort key that puts `field_9` before `field_10`; the plain path settles ties such as `a1` and `a01`."""
    parts = re.split(r"([0-9]+)", str(path).lower())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], str(path)


def list_images(pattern: str) -> tuple[Path, list[Path], list[SourceNote]]:
    """The folder that names are relative to, the files of `pattern` (a folder, one image file, or a glob), and notes on others.

    A pipe, a device or a broken link with an image's name is listed: it is a field that fails, not one that is not there.
    Raises `SourceError` when there is no such path, it may not be looked into, or it holds none.
    """
    try:
        root, found, notes = _find(pattern)
        images = [file for file in found if _is_image(file)]
    except (OSError, ValueError, RuntimeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise SourceError(
            f"{shortened(pattern)} cannot be looked into ({why}); check the path and its permissions."
        ) from problem
    if not images:
        raise SourceError(f"{pattern} holds no image file ({_KINDS}); give the folder that holds the fields.")
    beside = [file for file in found if file.name.startswith(_BESIDE_FILES)]
    if beside:
        n = len(beside)
        what = f"{n} file{'' if n == 1 else 's'} of {pattern} skipped that macOS puts beside others (such as {beside[0].name})."
        notes.append(SourceNote("files_ignored", what, "info"))
    if ignored := len(found) - len(images) - len(beside):
        what = f"{ignored} entr{'y' if ignored == 1 else 'ies'} of {pattern} ignored: not an image file ({_KINDS})."
        notes.append(SourceNote("files_ignored", what, "warning"))
    return root, sorted(images, key=natural_key), notes


def name_below(root: Path, file: Path) -> str:
    """How a file is called in records and sentences."""
    name = Path(os.path.relpath(file, root)).as_posix()
    # A file name need not be UTF-8, but a record is: bytes that are not are shown escaped.
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_image(file: Path) -> bool:
    named = file.suffix.lower() in IMAGE_SUFFIXES | NOT_READ and not file.name.startswith(_BESIDE_FILES)
    return named and not file.is_dir()


def _find(pattern: str) -> tuple[Path, list[Path], list[SourceNote]]:
    path = Path(pattern)
    if path.is_dir():
        return path, list(path.iterdir()), []
    if path.exists() or path.is_symlink():
        return path.parent, [path], []
    root, found, closed = _expand(path)
    if closed:
        what = (
            f"{len(closed)} folder{'' if len(closed) == 1 else 's'} of {pattern} may not be looked into (such as {closed[0]}): "
        )
        if not found:
            raise PermissionError(0, f"{what}its fields are not known")
        return root, found, [SourceNote("folders_closed", f"{what}their fields are missing; check the permissions.", "warning")]
    if not found:
        raise SourceError(f"{pattern} does not exist; give a folder of images, an image file or a glob such as 'run1/*.png'.")
    return root, found, []


def _expand(path: Path) -> tuple[Path, list[Path], list[Path]]:
    """The folder above a glob's first wildcard, its matches, and folders on their way that a glob passes over in silence."""
    fixed = [part for part in path.parts]
    wild = next((at for at, part in enumerate(fixed) if glob.has_magic(part)), len(fixed))
    root = Path(*fixed[:wild]) if wild else Path()
    closed = []
    for depth in range(wild, len(fixed)):
        above = [root] if depth == wild else _matches(Path(*fixed[:depth]))
        closed += [folder for folder in above if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK)]
    return root, _matches(path), list(dict.fromkeys(closed))


def _matches(path: Path) -> list[Path]:
    return [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - accepts absolute patterns


def shortened(pattern: str) -> str:
    """A path as a sentence has room for it."""
    return pattern if len(pattern) <= 120 else f"{pattern[:117]}..."
