"""What every line of the log carries beside its sentence: the run in progress, and the field that it speaks of.

A process performs one run at a time, so the run is the process's and not a thread's. Slide and sample ids never enter the log:
the run's own are taken out of every line, wherever they come from (a path, a file's name, the message of a library).
"""

import logging

from edge.contracts.hidden_ids import HiddenIds

_MAX_CHARACTERS = 4000
"""Of a message: what is longer holds data, and the log is not the place for it."""


class LogContext(logging.Filter):
    """Gives each line its ids, and takes out what must not be in it. One for the process: `LOG_CONTEXT`."""

    def __init__(self) -> None:
        super().__init__()
        self.run_id: str | None = None
        self._hidden = HiddenIds({})

    def begin_run(self, run_id: str, slide_id: str | None, sample_id: str | None) -> None:
        """From now on lines are this run's, and without these ids."""
        self.run_id = run_id
        words = {name: word for name, word in ((slide_id, "(slide id)"), (sample_id, "(sample id)")) if name}
        self._hidden = HiddenIds(words)

    def end_run(self) -> None:
        """From now on lines are no run's; the ids stay hidden until the next run has others."""
        self.run_id = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true. A line may bring its own ids: `extra=of_field(...)`, `extra=of_run(...)`."""
        record.run_id = getattr(record, "run_id", None) or self.run_id
        record.field_index = getattr(record, "field_index", None)
        record.trigger_id = getattr(record, "trigger_id", None)
        return True

    def hide(self, text: str) -> str:
        """`text` without the ids of slide and sample."""
        return self._hidden.in_text(text)


LOG_CONTEXT = LogContext()


def of_field(field_index: int, trigger_id: str) -> dict[str, object]:
    """For a line that speaks of one field: `_log.info(..., extra=of_field(...))`."""
    return {"field_index": field_index, "trigger_id": trigger_id}


def of_run(run_id: str) -> dict[str, object]:
    """For a line about a run that is not, or no longer, in progress."""
    return {"run_id": run_id}


def cut(message: str) -> str:
    """`message`, no longer than one is."""
    n = len(message)
    return message if n <= _MAX_CHARACTERS else f"{message[:_MAX_CHARACTERS]} (cut, {n} characters)"
