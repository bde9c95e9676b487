"""What the controller of the letter has on disk: its own file, in its own form, synchronised before anything rests on it."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Message = dict[str, Any]


@dataclass(slots=True)
class LetterRun:
    """One run. `commands` holds every command that was ever about to be sent, in that order, `answered` the codes of
    their answers by their ids, nothing for ACCEPTED, and `refused` the trigger ids of those that do not exist because of it."""

    run_id: str
    commands: dict[str, Message] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    records: list[Message] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.records) and self.records[-1]["type"] == "run_stop"

    @property
    def unanswered(self) -> list[Message]:
        return [command for cmd_id, command in self.commands.items() if cmd_id not in self.answered]

    @property
    def announced(self) -> list[Message]:
        """TRIGGERs that were not refused."""
        return [c for c in self.commands.values() if c["type"] == "TRIGGER" and c["trigger_id"] not in self.refused]

    @property
    def continues(self) -> str | None:
        return next((c.get("continues_run_id") for c in self.commands.values() if c["type"] == "RUN_START"), None)

    def has(self, kind: str) -> bool:
        return any(command["type"] == kind for command in self.commands.values())


class LetterNotebook:
    """A file of JSON lines. What a kill has left of a last line is cut off."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.runs: list[LetterRun] = []
        self.complaints: list[str] = []
        self.attempts = 0
        whole = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            if not line.endswith(b"\n"):
                break
            self._take(json.loads(line))
            whole += len(line)
        self._file = None
        if not read_only:
            self._file = path.open("ab")
            self._file.truncate(whole)

    def write(self, *lines: Message) -> None:
        """On disk when this returns, all of them."""
        assert self._file is not None
        self._file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self._file.flush()
        os.fsync(self._file.fileno())
        for line in lines:
            self._take(line)

    def complain(self, what: str) -> None:
        """What the edge did and the document does not allow."""
        if what not in self.complaints:
            self.write({"complaint": what})

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _take(self, line: Message) -> None:
        match line:
            case {"run": run_id}:
                self.runs.append(LetterRun(run_id))
            case {"send": command}:
                self.runs[-1].commands[command["cmd_id"]] = command
            case {"answered": cmd_id, "code": code}:
                run = self.runs[-1]
                run.answered[cmd_id] = code
                if code and "trigger_id" in run.commands[cmd_id]:
                    run.refused.add(run.commands[cmd_id]["trigger_id"])
            case {"never arrived": cmd_id}:
                self.runs[-1].answered.pop(cmd_id, None)
            case {"record": record}:
                self.runs[-1].records.append(record)
            case {"attempt": number}:
                self.attempts = number
            case {"complaint": what}:
                self.complaints.append(what)
