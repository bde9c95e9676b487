"""Three ways to show a run: a live table in a terminal, plain lines elsewhere, records as JSON lines."""

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.contracts.records import Advice, Event, FieldRecord, Record, RunStart, RunStop
from edge.watch import record_text
from edge.watch.fitting_table import ROOMY, Column, fitting_table

_REFRESH_S = 0.1
_LISTED = 20
"""Fields without a count that are named at the end of a run."""
_COLUMNS = (
    Column("field", justify="right"),
    Column("source", leave_out=0),
    Column("status"),
    Column("cells (class score)", "cells", least=36),
    Column("this field", leave_out=2),
    Column("WBC so far", "WBC", justify="right"),
    Column("total ms", "ms", leave_out=1, justify="right"),
)
"""In the order of `record_text.columns`. The cells keep their room: a narrow terminal shows a field's source, time and sums
only where these leave enough for it."""
_SHORT_STATUS = {"incomplete": "incompl."}
_STATUS_STYLE = {"ok": "green", "empty": "dim"}


class View(Protocol):
    """Shows records as they come; entered before the first, left after the last."""

    def show(self, record: Record) -> None: ...

    def __enter__(self) -> "View": ...

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class JsonLines:
    """Exactly one record a line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, record: Record) -> None:
        self._write(record.model_dump_json())


class Unusable:
    """Fields of a run that were not counted, to be listed at its end."""

    def __init__(self) -> None:
        self._first: list[FieldRecord] = []
        self._total = 0

    def look(self, record: FieldRecord) -> None:
        if record_text.is_unusable(record):
            self._total += 1
            if len(self._first) < _LISTED:
                self._first.append(record)

    def lines(self) -> list[str]:
        """Empty when every field was counted."""
        return record_text.unusable_lines(self._first, self._total)


class PlainLines:
    """One line per field, for logs and pipes; no control codes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.unusable = Unusable()
        self._labels: set[str] = set()

    def __enter__(self) -> "PlainLines":
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, record: Record) -> None:
        for line in self._lines(record):
            self._write(line)

    def _lines(self, record: Record) -> list[str]:
        match record:
            case RunStart():
                return record_text.header(record) + [f"*** {mark} ***" for mark in record_text.marks(record)]
            case FieldRecord():
                self.unusable.look(record)
                self._labels |= record_text.labels(record)
                return [record_text.field_line(record)]
            case Advice() | Event():
                return [record_text.note(record)]
            case RunStop():
                return record_text.result(record) + self.unusable.lines() + self._differential(record)

    def _differential(self, stop: RunStop) -> list[str]:
        lines = [f"differential over {stop.differential.wbc_total} WBC, exact binomial 95 % limits"]
        for label, count, percent, limits in record_text.differential_rows(stop.differential):
            lines.append(f"  {label:<14}{count:>6}{percent:>8} %   {limits} %")
        legend = record_text.legend(self._labels | record_text.differential_labels(stop.differential))
        return [*lines, f"per 100 WBC: {record_text.non_wbc(stop.differential)}", *([legend] if legend else [])]


class LiveTable:
    """The last fields in a table that moves, the running counts under it, the differential at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._rows: deque[tuple[str, ...]] = deque(maxlen=max(5, console.height - 14))
        self._running = Text("no field yet")
        self._drawn_s = 0.0
        self.unusable = Unusable()
        self._labels: set[str] = set()

    def __enter__(self) -> "LiveTable":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, record: Record) -> None:
        match record:
            case RunStart():
                for line in record_text.header(record):
                    self._console.print(Text(line))
                for mark in record_text.marks(record):
                    self._console.print(Text(f" {mark} ", style="bold white on red"))
            case FieldRecord():
                self.unusable.look(record)
                self._labels |= record_text.labels(record)
                self._rows.append(record_text.columns(record))
                self._running = Text(f"{record.running.wbc_total} WBC so far: {record_text.counts(record.running.cells)}")
                self._redraw()
            case Advice() | Event():
                self._console.print(Text(record_text.note(record), style="yellow"))
            case RunStop():
                self._live.update(self._table(), refresh=True)
                self._result(record)

    def _redraw(self) -> None:
        if time.monotonic() - self._drawn_s >= _REFRESH_S:
            self._drawn_s = time.monotonic()
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Group:
        """As many of the last fields as the terminal has lines for."""
        options = self._console.options.update(height=None)
        rows = [[Text(text) for text in row] for row in self._rows]
        for row in rows:
            row[2] = self._status(row[2].plain)
        while True:
            table, _ = fitting_table(_COLUMNS, rows, self._console.width, expand=True)
            group = Group(table, self._running, Text(self._legend(), style="dim"))
            over = len(self._console.render_lines(group, options)) - self._console.height
            if over <= 0 or len(rows) <= 1:
                return group
            rows = rows[min(len(rows) - 1, over) :]

    def _status(self, status: str) -> Text:
        text = status if self._console.width >= ROOMY else _SHORT_STATUS.get(status, status)
        return Text(text, style=_STATUS_STYLE.get(status, "bold red"))

    def _legend(self) -> str:
        return record_text.legend(self._labels)

    def _result(self, stop: RunStop) -> None:
        self._live.stop()
        for line in record_text.result(stop) + self.unusable.lines():
            self._console.print(Text(line))
        table = Table(title=f"differential over {stop.differential.wbc_total} WBC", title_justify="left")
        for name in ("class", "count", "%", "95 % limits"):
            table.add_column(name, justify="left" if name == "class" else "right")
        for row in record_text.differential_rows(stop.differential):
            table.add_row(*row)
        self._console.print(table, Text(f"per 100 WBC: {record_text.non_wbc(stop.differential)}"))
        self._console.print(Text(record_text.legend(self._labels | record_text.differential_labels(stop.differential))))


def choose_view(console: Console, as_json: bool) -> View:
    """JSON lines when asked for, else the live table in a terminal and plain lines anywhere else."""

    def write(line: str) -> None:
        console.file.write(line + "\n")
        console.file.flush()

    if as_json:
        return JsonLines(write)
    return LiveTable(console) if console.is_terminal else PlainLines(write)
