"""`leuko-edge bench-stream`: the stream's speed, from the journal to a controller in another process."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from edge.bench.bare_peers import IN_MEMORY, check_room, filesystem_of
from edge.bench.stream_bench import Passed, Singles, Sustained, measure_singles, measure_sustained
from edge.bench.stream_report import table
from edge.contracts.choices import Durability
from edge.contracts.errors import ConfigError
from edge.contracts.messages import Encoding
from edge.service.process import set_up_logging

GOALS = {"single_over_sync_ms": ("<=", 0.5), "records_per_s": (">=", 2000.0), "memory_growth_mb": ("<=", 5.0)}
"""Of the worst row: median of a single record beyond that of a bare sync; records in batches; what either process grows by
after the first quarter of the records."""
MEMORY_FROM_RECORDS = 20_000
"""With fewer the growth is the warming up of two processes, and is not judged."""

_DURABILITIES: tuple[Durability, ...] = ("full", "normal")
_ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")

Begin = Callable[[str, int], Passed]


def bench_stream(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="folder on the disk to measure; the system's folder for temporary files when not given"),
    ] = None,
    records: Annotated[int, typer.Option(min=1000, help="records of each row that go in batches")] = MEMORY_FROM_RECORDS,
    singles: Annotated[int, typer.Option(min=10, help="records of each row that come one at a time")] = 100,
    durability: Annotated[Literal["both", "full", "normal"], typer.Option(help="of the journal")] = "both",
    encoding: Annotated[Literal["both", "json", "msgpack"], typer.Option(help="of the records on the wire")] = "json",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Send records through a journal on disk and a socket on loopback to the reference client in another process.

    The records are the pipeline's own, made without camera and engine. First they come one at a time, in turn with a bare sync
    of the same disk (one page, written over and synchronised) and a bare ZeroMQ message; then as fast as they go, in batches.
    `--records 1000000` is the long version; its journal takes more than a gigabyte, which is given back.
    """
    set_up_logging("warning", None)
    place = folder or Path(tempfile.gettempdir())
    if not place.is_dir():
        raise ConfigError(f"there is no folder {place}; make it, or give another with --dir.")
    check_room(place, records)
    rows = [(one, other) for one in _DURABILITIES for other in _ENCODINGS]
    rows = [(one, other) for one, other in rows if durability in {"both", one} and encoding in {"both", other}]
    with _progress() as begin:
        alone = [measure_singles(place, *row, singles, begin(f"one at a time, {' '.join(row)}", singles)) for row in rows]
        batches = [measure_sustained(place, *row, records, begin(f"in batches, {' '.join(row)}", records)) for row in rows]
    result = summary(place, filesystem_of(place), alone, batches)
    typer.echo(json.dumps(result) if as_json else table(result, GOALS))


def summary(folder: Path, filesystem: str, alone: Sequence[Singles], batches: Sequence[Sustained]) -> dict[str, Any]:
    """The figures of the worst rows by name, under `goals` whether each budget was kept, and every row."""
    growth = [use.end_mb - use.first_quarter_mb for row in batches for use in (row.edge_memory, row.client_memory)]
    figures: dict[str, Any] = {
        "folder": str(folder),
        "filesystem": filesystem,
        "in_memory": filesystem in IN_MEMORY,
        "single_over_sync_ms": max(row.over_sync_ms for row in alone),
        "records_per_s": min(row.records_per_s for row in batches),
        "memory_growth_mb": max(growth),
        "singles": [{**asdict(row), "over_sync_ms": row.over_sync_ms} for row in alone],
        "batches": [asdict(row) for row in batches],
    }
    goals = dict(GOALS)
    if any(row.records < MEMORY_FROM_RECORDS for row in batches):
        del goals["memory_growth_mb"]
    figures["goals"] = {
        name: figures[name] >= limit if sign == ">=" else figures[name] <= limit for name, (sign, limit) in goals.items()
    }
    return figures


@contextmanager
def _progress() -> Iterator[Begin]:
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def begin(what: str, total: int) -> Passed:
            task = bars.add_task(what, total=total)
            return lambda n: bars.advance(task, n)

        yield begin
