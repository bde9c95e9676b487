"""What a scanner must remember over its own crash, as one JSON object a line: runs, announcements, pulses, records."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.contracts.errors import StreamError
from edge.contracts.whole_file import read_whole


@dataclass(slots=True)
class Announced:
    """A trigger of a run, and whether its pulse was given."""

    trigger_id: str
    cmd_id: str
    field_index: int
    pulsed: bool = False


@dataclass(slots=True)
class ScannedRun:
    """A run as the scanner knows it. `records` are the JSON objects received, `records[seq]` having that seq."""

    run_id: str
    cmd_id: str
    continues: str | None
    triggers: dict[str, Announced] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    """ids of triggers without a field so far"""
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.records) and self.records[-1]["type"] == "run_stop"


_BEGINS = b'{"run": '


class Notebook:
    """Appends each line to `path` and synchronises it before the scanner acts on it; in memory only without one.

    A last line that a crash has cut short is dropped. Raises `StreamError` for a file that is none.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.runs: list[ScannedRun] = []
        self._path = path
        if path is not None and path.exists():
            whole = self._replay(path)
            os.truncate(path, whole)
        self._file = path.open("ab") if path is not None else None

    def run(self, run_id: str, cmd_id: str, continues: str | None) -> None:
        """A run is about to be started."""
        self._write({"run": run_id, "cmd": cmd_id, "continues": continues})

    def announce(self, trigger_id: str, cmd_id: str, field_index: int) -> None:
        """A trigger is about to be announced."""
        self._write({"announce": trigger_id, "cmd": cmd_id, "field": field_index})

    def pulse(self, trigger_id: str) -> None:
        """The edge has accepted the trigger; the camera is about to be pulsed."""
        self._write({"pulse": trigger_id})

    def refused(self, trigger_id: str) -> None:
        """The edge has refused the announcement: there is no such trigger."""
        self._write({"refused": trigger_id})

    def record(self, record: dict[str, Any]) -> None:
        """A record has come; it may be acknowledged once this returns."""
        self._write({"record": record})

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        match line:
            case {"run": run_id, "cmd": cmd_id, "continues": continues}:
                self.runs.append(ScannedRun(run_id, cmd_id, continues))
            case {"announce": trigger_id, "cmd": cmd_id, "field": index}:
                self.runs[-1].triggers[trigger_id] = Announced(trigger_id, cmd_id, index)
                self.runs[-1].open.add(trigger_id)
            case {"pulse": trigger_id}:
                self.runs[-1].triggers[trigger_id].pulsed = True
            case {"refused": trigger_id}:
                del self.runs[-1].triggers[trigger_id]
                self.runs[-1].open.discard(trigger_id)
            case {"record": record}:
                self.runs[-1].records.append(record)
                if record["type"] == "field":
                    self.runs[-1].open.discard(record["trigger_id"])
            case _:
                raise StreamError(f"{self._path} holds a line that is none of a scanner's notebook; give another file.")

    def _replay(self, path: Path) -> int:
        """Take every whole line in; returns how many bytes they have."""
        content, whole = read_whole(path), 0
        if not content.startswith(_BEGINS[: len(content)]):  # a text of one line would be taken for one that was cut short
            raise StreamError(f"{path} is no notebook of a scanner; give another file.")
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            try:
                self._take(json.loads(line))
            except (ValueError, LookupError, AttributeError) as problem:
                raise StreamError(f"{path} is no notebook of a scanner ({problem}); give another file.") from problem
            whole += len(line)
        return whole
