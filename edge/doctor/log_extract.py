"""The lines of a log that belong to one run, from the file and those that were set aside before it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

_BEFORE = timedelta(minutes=10)
"""What went on before a run may be why it failed: its opening, the camera, the connection."""
_AFTER = timedelta(minutes=2)


@dataclass(slots=True)
class LogExtract:
    """`lines` as they were read; `others` counts what was no line of a log as this version writes it."""

    files: list[str]
    lines: list[dict[str, Any]]
    others: int = 0


def extract_of(file: Path, run_id: str, began: str, ended: str | None) -> LogExtract:
    """Lines that name the run, and those without a run from ten minutes before it to two after, oldest first.

    `began` and `ended` are times of day as records have them. Raises OSError for a file that cannot be read.
    """
    first, last = _moment(began), _moment(ended) if ended else None
    found = LogExtract([], [])
    for each in reversed(log_files(file)):
        found.files.append(each.name)
        for line in _lines(each):
            if line is None:
                found.others += 1
            elif line.get("run_id") == run_id or ("run_id" not in line and _within(line.get("time"), first, last)):
                found.lines.append(line)
    return found


def log_files(file: Path) -> list[Path]:
    """The file and those set aside, the newest first; none where there is no log."""
    aside = [path for path in file.parent.glob(f"{_literal(file.name)}.*") if re.fullmatch(r"\d+", path.suffix[1:])]
    found = sorted(aside, key=lambda path: int(path.suffix[1:]))
    return [each for each in (file, *found) if each.is_file()]


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _lines(file: Path) -> Iterator[dict[str, Any] | None]:
    with file.open(encoding="utf-8", errors="replace") as content:
        for text in content:
            if not text.strip():
                continue
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            yield line if isinstance(line, dict) else None


def _within(time: object, first: datetime | None, last: datetime | None) -> bool:
    moment = _moment(str(time))
    if moment is None or first is None:
        return False
    return first - _BEFORE <= moment and (last is None or moment <= last + _AFTER)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
