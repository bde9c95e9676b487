"""The history of a daily check: one line a day, in JSON lines or CSV, appended as a whole or not at all."""

import csv
import fcntl
import io
import json
import os
from pathlib import Path

from pydantic import ValidationError

from edge.contracts.base import Count, Fraction, Sha256, Strict
from edge.contracts.errors import DataError, ProfileError
from edge.contracts.whole_file import read_whole


class QcDay(Strict):
    """One check. Shares are of known leukocytes; limits are exact, 95 %."""

    measured_at: str
    verdict: str
    minimum: Fraction
    known: Count
    found: Count
    share: Fraction
    low: Fraction
    high: Fraction
    typed_known: Count
    typed_found: Count
    false_cells: Count
    fields: Count
    fields_not_usable: Count
    off_um: float | None = None
    instrument: str
    bundle_id: Sha256
    profile_sha256: Sha256 | None = None
    reference_sha256: Sha256
    engine: str
    note: str = ""


COLUMNS = tuple(QcDay.model_fields)


def append_day(history: Path, day: QcDay) -> None:
    """Add a line and have it on the disk. When it cannot be written as a whole, the file is as it was before.

    Raises `ProfileError` when the file cannot be written, or holds another table.
    """
    try:
        history.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(history, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as problem:
        raise ProfileError(
            f"history {history} cannot be opened ({problem.strerror}); the result is not on record."
        ) from problem
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file).st_size
        start = _start(history, file, size)
        content = (start + _line(history, day)).encode()
        try:
            written = os.write(file, content)
            if written < len(content):
                raise OSError(28, "No space left on device")
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
    except OSError as problem:
        raise ProfileError(
            f"history {history} cannot be written ({problem.strerror}); it is as it was before, and the result is not on "
            "record."
        ) from problem
    finally:
        os.close(file)


def read_days(history: Path) -> tuple[list[QcDay], list[int]]:
    """All days on record, and the numbers of lines that are none. Raises `ProfileError` when the file cannot be read, and
    `DataError` when there is something in it and no day."""
    try:
        text = read_whole(history).decode("utf-8")
    except (OSError, UnicodeError) as problem:
        raise ProfileError(
            f"history {history} cannot be read ({problem}); give the file that earlier checks wrote."
        ) from problem
    lines = text.splitlines()
    skipped = 1 if history.suffix.lower() == ".csv" else 0
    days, odd = [], []
    for number, line in enumerate(lines[skipped:], start=1 + skipped):
        if not line.strip():
            continue
        try:
            days.append(_day(history, line))
        except (ValidationError, ValueError):
            odd.append(number)
    if odd and not days:
        raise DataError(f"{history} is another table: it holds no result of this check; give a new file to --history.")
    return days, odd


def _start(history: Path, file: int, size: int) -> str:
    """What must stand before the new line: a CSV's first line, or the end of a line that was cut off."""
    is_csv = history.suffix.lower() == ".csv"
    if not size:
        return ",".join(COLUMNS) + "\n" if is_csv else ""
    if is_csv and not os.pread(file, 4096, 0).decode("utf-8", "replace").startswith(",".join(COLUMNS)):
        raise DataError(f"{history} is another table; give a new file to --history.")
    return "" if os.pread(file, 1, size - 1) == b"\n" else "\n"


def _line(history: Path, day: QcDay) -> str:
    if history.suffix.lower() != ".csv":
        return day.model_dump_json() + "\n"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        "" if value is None else " ".join(str(value).split()) for value in day.model_dump().values()
    )
    return text.getvalue()


def _day(history: Path, line: str) -> QcDay:
    if history.suffix.lower() != ".csv":
        return QcDay.model_validate(json.loads(line))
    (row,) = csv.reader([line])
    values = dict(zip(COLUMNS, row, strict=True))
    return QcDay.model_validate({name: value for name, value in values.items() if value or name == "note"})
