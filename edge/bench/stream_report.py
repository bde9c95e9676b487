"""The tables that `leuko-edge bench-stream` prints."""

from collections.abc import Mapping
from typing import Any

_ROW = ("durability", "encoding", "records")
_TIMES = ("p50_ms", "p99_ms", "max_ms")
_BARE = ("bare_sync_p50_ms", "bare_sync_p99_ms", "over_sync_ms", "bare_hop_p50_ms")
_MEMORY = ("first_quarter_mb", "end_mb", "peak_mb", "growth_bytes_per_record")


def table(result: Mapping[str, Any], goals: Mapping[str, tuple[str, float]]) -> str:
    """Every figure beside its goal, then one line for each row measured."""
    lines = [f"{result['folder']} ({result['filesystem']}); from the journal to a controller in another process"]
    if result["in_memory"]:
        lines.append("  this folder lies in memory, where a sync costs nothing: name one on a disk with --dir")
    for name, (sign, limit) in goals.items():
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
