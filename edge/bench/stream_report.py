"""What `leuko-edge bench-stream` measured, as figures with their goals and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.bench.bare_peers import IN_MEMORY
from edge.bench.memory import MemoryUse
from edge.contracts.choices import Durability
from edge.contracts.messages import Encoding

GOALS = {"single_over_sync_ms": ("<=", 0.5), "records_per_s": (">=", 2000.0), "memory_growth_mb": ("<=", 5.0)}
"""Of the worst row: median of a single record beyond that of a bare sync; records in batches; what either process grows by
after the first quarter of the records."""
MEMORY_FROM_RECORDS = 20_000
"""With fewer the growth is the warming up of two processes, and is not judged."""

_ROW = ("durability", "encoding", "records")
_TIMES = ("p50_ms", "p99_ms", "max_ms")
_BARE = ("bare_sync_p50_ms", "bare_sync_p99_ms", "over_sync_ms", "bare_hop_p50_ms")
_MEMORY = ("first_quarter_mb", "end_mb", "peak_mb", "growth_bytes_per_record")


@dataclass(frozen=True, slots=True)
class Latency:
    """ms from the call of `append` to the moment at which the controller's caller holds the record, by one monotonic clock."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Singles:
    """Records that came one at a time, and between every two of them a bare sync of the disk and a bare message, in ms."""

    durability: Durability
    encoding: Encoding
    records: int
    latency: Latency
    bare_sync_p50_ms: float
    bare_sync_p99_ms: float
    bare_hop_p50_ms: float
    pause_ms: float
    """before each of the three, and after a record"""

    @property
    def over_sync_ms(self) -> float:
        """What a record takes at the median beyond one bare sync of the same disk."""
        return self.latency.p50_ms - self.bare_sync_p50_ms


@dataclass(frozen=True, slots=True)
class Sustained:
    """Records as fast as they go. The rate counts until the last is acknowledged; `journal_mb` (10^6 bytes) is file and log."""

    durability: Durability
    encoding: Encoding
    records: int
    records_per_s: float
    latency: Latency
    edge_memory: MemoryUse
    client_memory: MemoryUse
    journal_mb: float


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


def table(result: Mapping[str, Any]) -> str:
    """Every figure beside its goal, then one line for each row measured."""
    lines = [f"{result['folder']} ({result['filesystem']}); from the journal to a controller in another process"]
    if result["in_memory"]:
        lines.append("  this folder lies in memory, where a sync costs nothing: name one on a disk with --dir")
    for name, (sign, limit) in GOALS.items():
        verdict = {True: "kept", False: "MISSED", None: "not judged with so few records"}[result["goals"].get(name)]
        lines.append(f"  {name:<22}{result[name]:11.3f}   goal {sign} {limit:g}: {verdict}")
    lines.append("one at a time, ms")
    lines.append(_line(*_ROW, "p50", "p99", "max", "bare sync p50", "p99", "over sync", "bare hop p50"))
    for row in result["singles"]:
        lines.append(_line(*(row[key] for key in _ROW), *(row["latency"][key] for key in _TIMES), *(row[key] for key in _BARE)))
    pauses = {f"{row['pause_ms']:.0f}" for row in result["singles"]}
    lines.append(f"  with pauses of {' and '.join(sorted(pauses))} ms")
    lines.append("in batches")
    lines.append(_line(*_ROW, "records/s", "p50 ms", "p99 ms", "max ms", "journal MB"))
    for row in result["batches"]:
        times = (row["latency"][key] for key in _TIMES)
        lines.append(_line(*(row[key] for key in _ROW), row["records_per_s"], *times, row["journal_mb"]))
    lines.append("memory, MB")
    lines.append(_line(*_ROW, "process", "first quarter", "end", "peak", "bytes/record"))
    for row in result["batches"]:
        for process in ("edge", "client"):
            use = row[f"{process}_memory"]
            lines.append(_line(*(row[key] for key in _ROW), process, *(use[key] for key in _MEMORY)))
    return "\n".join(lines)


def _line(durability: str, encoding: str, *cells: object) -> str:
    texts = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)
    return f"  {durability:<12}{encoding:<9}" + "".join(f"{text:>14}" for text in texts)
