"""A table of slides, CSV or Parquet: slide_id, location, um_per_px, profile.

What makes the table as a whole unusable (a column that is missing or misspelt, a slide without a name) is said before anything
is scored. What is wrong with one slide alone (no location, a um/px that is no number) is that slide's failure.
"""

import csv
import difflib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contracts.errors import ConfigError
from edge.contracts.whole_file import read_whole

TABLE_SUFFIXES = frozenset({".csv", ".parquet", ".pq"})
COLUMNS = ("slide_id", "location", "um_per_px", "profile")
_NEEDED = COLUMNS[:2]
_LARGEST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class TableLine:
    """One line; `problem` says what of it cannot be used, as a sentence."""

    slide_id: str
    location: str
    um_per_px: float | None
    profile: str | None
    problem: str = ""


def read_lines(table: Path) -> tuple[list[TableLine], tuple[str, ...]]:
    """Every line of a table, and sentences on what of it was not used. Raises `ConfigError` for one that cannot be read."""
    try:
        header, rows = _read_parquet(table) if table.suffix.lower() in {".parquet", ".pq"} else _read_csv(table)
    except OSError as problem:
        raise ConfigError(f"table {table} cannot be read ({problem.strerror or problem}); check the path.") from problem
    notes = _check_header(header, table)
    return [_line(row, number, table) for number, row in rows], notes


def _read_csv(table: Path) -> tuple[Sequence[str], Iterable[tuple[int, Mapping[str, Any]]]]:
    """A table that a spreadsheet wrote where the comma is the decimal sign is separated by semicolons."""
    try:
        text = read_whole(table, _LARGEST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ConfigError(f"table {table} is not UTF-8 at byte {problem.start}; save it as UTF-8.") from problem
    first = text.partition("\n")[0]
    separator = ";" if first.count(";") > first.count(",") else "\t" if "\t" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, Mapping[str, Any]]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise ConfigError(
                    f"table {table} has {len(cells)} values in line {reader.line_num} and {len(header)} columns; "
                    "put values that hold a separator in quotes."
                )
            rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as problem:
        raise ConfigError(f"table {table} cannot be read in line {reader.line_num} ({problem}); save it as CSV.") from problem
    return header, rows


def _read_parquet(table: Path) -> tuple[Sequence[str], Iterable[tuple[int, Mapping[str, Any]]]]:
    import pyarrow.parquet  # noqa: PLC0415 a CSV needs no Arrow
    from pyarrow.lib import ArrowException  # noqa: PLC0415

    try:
        with pyarrow.parquet.ParquetFile(table) as file:
            header = list(file.schema_arrow.names)
            known = [name for name in header if name in COLUMNS]
            rows = file.read(columns=known).to_pylist()
    except (ArrowException, ValueError) as problem:
        raise ConfigError(f"table {table} is no Parquet file that can be read; write it anew.") from problem
    return header, list(enumerate(rows, start=1))


def _check_header(header: Sequence[str], table: Path) -> tuple[str, ...]:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ConfigError(f"table {table} has the column {repeated[0]!r} twice; one of the two was meant.")
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in COLUMNS if name not in header]
    for name in unknown:  # a slip, which would leave a column out without a word
        plain = name.lower().replace(" ", "_").replace("/", "_per_").replace("-", "_")
        near = difflib.get_close_matches(plain, missing, n=1, cutoff=0.75)
        if near:
            raise ConfigError(f"table {table} has the column {name!r}; did you mean `{near[0]}`?")
    if lacking := [name for name in _NEEDED if name in missing]:
        raise ConfigError(
            f"table {table} has no column {lacking[0]}; it needs slide_id and location, and may have um_per_px and profile."
        )
    return (f"columns of {table} that are not used: {', '.join(unknown)}.",) if unknown else ()


def _line(row: Mapping[str, Any], number: int, table: Path) -> TableLine:
    slide_id, location, profile = (_text(row.get(name)) for name in ("slide_id", "location", "profile"))
    if not slide_id:
        raise ConfigError(f"table {table} has no slide_id in line {number}; every slide needs a name.")
    um_per_px, problem = _scale(row.get("um_per_px"))
    if not location:
        problem = "the table does not say where this slide lies; fill in its location."
    return TableLine(slide_id, location, um_per_px, profile or None, problem)


def _text(value: object) -> str:
    """A column of whole numbers that a data frame has made floating stays what it was: 17, not 17.0."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.0f}" if value.is_integer() else str(value)
    return "" if value is None else str(value).strip()


def _scale(value: object) -> tuple[float | None, str]:
    text = _text(value) if isinstance(value, str) else value
    if text is None or text == "" or (isinstance(text, float) and math.isnan(text)):
        return None, ""
    try:
        scale = float(str(text).replace(",", "."))
    except ValueError:
        return None, f"the table's um_per_px {value!r} is no number; write for example 0.13."
    if not 0 < scale <= 10:
        return None, f"the table's um_per_px {scale:g} is out of range; a microscope camera has between 0 and 10."
    return scale, ""
