"""Tables that go with a folder of images: CSV, a column `image` and columns of numbers, in the order that people gave them."""

import csv
import hashlib
import math
from collections.abc import Iterable
from pathlib import Path

from edge.camera.image_listing import list_images, name_below
from edge.contracts.bundle import sha256_of
from edge.contracts.errors import DataError
from edge.contracts.whole_file import read_whole

Row = tuple[str, Path, tuple[float, ...]]


def read_image_table(source: str, table: Path, columns: tuple[str, ...], what: str) -> list[Row]:
    """Name, file and numbers of each line of `table`, whose images are in `source` (a folder, a glob or one file).

    `what` names the numbers in sentences ("height"). Raises `SourceError` when there is no image, `DataError` when the table
    cannot be read, has other columns or no number where one has to be, names an image twice or one that is not there, or
    leaves one out: what was forgotten would move the result.
    """
    root, files, _ = list_images(source.removeprefix("folder:"))
    by_name = {name_below(root, file): file for file in files}
    rows = read_rows(table, columns, what)
    names = [name for name, _ in rows]
    if missing := [name for name in names if name not in by_name]:
        raise DataError(f"{table} names {missing[0]}, which is not in {source}; write the names as they are in the folder.")
    if unnamed := sorted(set(by_name) - set(names)):
        raise DataError(
            f"{table} has no {what} for {unnamed[0]} of {source}; add its line, or take the image out of the folder."
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{table} names {twice[0]} twice; every image once, please.")
    return [(name, by_name[name], values) for name, values in rows]


def sha256_of_files(files: Iterable[Path]) -> str:
    """The hash of the files' hashes, in this order; a file that comes again counts once."""
    each = "".join(sha256_of(path) for path in dict.fromkeys(files))
    return hashlib.sha256(each.encode()).hexdigest()


def read_rows(table: Path, columns: tuple[str, ...], what: str) -> list[tuple[str, tuple[float, ...]]]:
    """Name and numbers of each line. Raises `DataError` for what is no such table."""
    known = ("image", *columns)
    try:
        text = read_whole(table).decode("utf-8-sig")
    except (OSError, UnicodeError) as problem:
        raise DataError(
            f"{table} cannot be read as UTF-8 text ({problem}); give a CSV file with {_listed(known)}."
        ) from problem
    reader = csv.DictReader(text.splitlines())
    try:
        rows = list(reader)
    except csv.Error as problem:
        raise DataError(f"{table} cannot be read as CSV ({problem}); write {_listed(known)}, separated by commas.") from problem
    if twice := [name for name in known if (reader.fieldnames or []).count(name) > 1]:
        raise DataError(f"{table} has the column {twice[0]} twice; one of each, please.")
    if missing := [name for name in known if name not in (reader.fieldnames or ())]:
        raise DataError(
            f"{table} has not the columns {_listed(known)} (it has no column {missing[0]}); its first line names them, "
            "separated by commas."
        )
    if not rows:
        raise DataError(f"{table} names no image; write a line for each, under {','.join(known)}.")
    found = []
    for line, row in enumerate(rows, start=2):
        if None in row:  # what csv calls the values behind the last column, such as what follows a decimal comma
            raise DataError(
                f"line {line} of {table} has more values than its first line has columns; write numbers with a point, not a "
                "comma, and separate them by commas."
            )
        try:
            values = tuple(float(row[column]) for column in columns)
        except (TypeError, ValueError):
            values = (math.nan,)
        if not all(map(math.isfinite, values)) or not row["image"]:
            raise DataError(f"line {line} of {table} has no {what} in um; write it as a plain number, with a point.")
        found.append((row["image"], values))
    return found


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
