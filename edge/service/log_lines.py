"""Lines of the log: for people on standard error, as JSON in a file that is set aside when it has grown."""

import fcntl
import json
import logging
import sys
from contextlib import suppress
from datetime import datetime, timezone
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from edge.contracts.choices import LogFormat
from edge.contracts.errors import ConfigError, first_line
from edge.contracts.log_context import LOG_CONTEXT, cut

TEXT = "%(asctime)s %(levelname)s %(threadName)s: %(message)s"


class TextLines(logging.Formatter):
    """One line for people, run and field behind it where they are known, then the traceback."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 logging's own name
        return f"{cut(super().formatMessage(record))}{ids_text(record.__dict__)}"

    def format(self, record: logging.LogRecord) -> str:
        return LOG_CONTEXT.hide(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, thread, logger, run and field where they are known, message, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "thread": record.threadName,
            "logger": record.name,
            **{
                key: value
                for key in ("run_id", "field_index", "trigger_id")
                if (value := getattr(record, key, None)) is not None
            },
            "message": LOG_CONTEXT.hide(cut(record.getMessage())),
        }
        if record.exc_info:
            line["traceback"] = LOG_CONTEXT.hide(self.formatException(record.exc_info))
        return json.dumps(line)  # ASCII: nothing that a terminal or another encoding could spoil


def ids_text(line: dict[str, object]) -> str:
    """` [run 3f8e1c0a, field 12]`, as far as they are known; of a log record's attributes or of a line that was read."""
    run_id, field_index = line.get("run_id"), line.get("field_index")
    known = [f"run {str(run_id)[:8]}"] if run_id else []
    known += [f"field {field_index}"] if field_index is not None else []
    return f" [{', '.join(known)}]" if known else ""


class LogFile(RotatingFileHandler):
    """A file of JSON lines that one process at a time writes. Raises `ConfigError` when it cannot.

    Older ones are FILE.1 (the newest of them), FILE.2, ... A disk that is full costs lines and nothing else: it is said once on
    standard error, and with the first line that fits again how many are missing.
    """

    def __init__(self, file: Path, megabytes: float, files: int) -> None:
        self._lost = 0
        try:
            self._held = file.with_name(f"{file.name}.lock").open("wb")
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            super().__init__(file, maxBytes=max(1, int(megabytes * 1e6)), backupCount=files - 1, encoding="utf-8")
        except BlockingIOError as problem:
            self._held.close()
            raise ConfigError(f"log file {file} is written by another process; give each its own.") from problem
        except OSError as problem:
            raise ConfigError(
                f"log file {file} cannot be written ({problem.strerror}); give a path in a folder that exists."
            ) from problem
        self.setFormatter(JsonLines())

    def _open(self) -> TextIOWrapper:
        """What a full disk or a crash has left of a line must not spoil the next one."""
        stream = super()._open()
        file = Path(self.baseFilename)
        if file.stat().st_size and not _ends_with_a_line(file):
            stream.write("\n")
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        lost = self._lost
        if lost:
            said = f"{lost} lines before this one could not be written"
            record.msg, record.args = f"{record.getMessage()} ({said})", None
        super().emit(record)
        if self._lost == lost:
            self._lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 logging's own name
        self._lost += 1
        problem = sys.exc_info()[1]
        if self._lost == 1 and isinstance(problem, Exception):
            with suppress(OSError):
                print(f"the log file {self.baseFilename} cannot be written ({first_line(problem)}).", file=sys.stderr)
        if self.stream is not None:
            with suppress(OSError, ValueError):
                self.stream.close()  # what it has kept would be tried again at every line, and at the end
            self.stream = None  # opened anew with the next line

    def close(self) -> None:
        with suppress(OSError, ValueError):
            super().close()
        self._held.close()


def _ends_with_a_line(file: Path) -> bool:
    with file.open("rb") as content:
        content.seek(-1, 2)
        return content.read(1) == b"\n"


def log_handlers(form: LogFormat, file: Path | None, file_mb: float, files: int) -> list[logging.Handler]:
    """Standard error, and the file if there is one. Raises `ConfigError`."""
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(TextLines() if form == "text" else JsonLines())
    handlers: list[logging.Handler] = [shown]
    if file is not None:
        handlers.append(LogFile(file, file_mb, files))
    for each in handlers:
        each.addFilter(LOG_CONTEXT)
    return handlers
