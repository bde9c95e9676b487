"""What `leuko-edge soak` measured, as figures with their goal and as text."""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from edge.bench.memory import MemoryTrace
from edge.camera.frame import SourceInfo
from edge.contracts.records import FieldRecord, RunOutcome, RunStop

RATIO_GOAL = 0.95
"""Rate through the loop with the stand-in engine / that of a bare client of the same camera."""

_TIMES = ("trigger_to_frame_ms", "frame_to_record_ms", "age_ms")


@dataclass
class Soaked:
    """What became of the fields of one run. Times in ms of those that were processed; `losses` by status and cause."""

    statuses: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    trigger_to_frame_ms: list[float] = field(default_factory=list)
    frame_to_record_ms: list[float] = field(default_factory=list)
    age_ms: list[float] = field(default_factory=list)
    moments_s: list[float] = field(default_factory=list)
    """when each field's record was handed over"""
    stop: RunStop | None = None

    def per_s(self) -> float:
        """Fields per second from the first record to the last."""
        return rate_of(self.moments_s)

    def add(self, record: FieldRecord) -> None:
        self.moments_s.append(time.monotonic())
        self.statuses[record.status.value] += 1
        if record.times is not None:
            self.trigger_to_frame_ms.append(record.times.acquire_ms)
            self.frame_to_record_ms.append(record.times.total_ms)
        else:
            # Causes are told apart by their words, not by the numbers in them.
            self.losses[re.sub(r"\d+", "N", f"{record.status.value}: {record.detail}")] += 1
        if record.age_ms is not None:
            self.age_ms.append(record.age_ms)


@dataclass
class Rates:
    """Fields per second of the bare client and of the loop, one per round; the two of a round ran one after the other."""

    bare_per_s: list[float] = field(default_factory=list)
    loop_per_s: list[float] = field(default_factory=list)
    loop_lost: int = 0
    bare_lost: int = 0
    ended_early: str = ""
    """Why there were fewer rounds than asked for; empty when there were not."""

    def ratio(self) -> float:
        """Median over the rounds of loop / bare."""
        return float(np.median(np.array(self.loop_per_s) / np.array(self.bare_per_s)))


def rate_of(moments_s: list[float]) -> float:
    """Steps per second between the first and the last of these moments; 0 for fewer than two."""
    return (len(moments_s) - 1) / (moments_s[-1] - moments_s[0]) if len(moments_s) > 1 else 0.0


def waits_for_pulses(info: SourceInfo) -> bool:
    """Whether somebody else must fire this source: by software only one exposure is under way at a time."""
    return not info.self_paced and info.exposures_at_once > 1


def summary(soaked: Soaked, memory: MemoryTrace, rates: Rates | None, info: SourceInfo, engine: str) -> dict[str, Any]:
    """Every figure by name; `complete` when each trigger of the run has ended and all was done that was asked for.

    `goals` says of each goal that was measured whether it was kept.
    """
    stop = soaked.stop
    was_completed = stop is not None and stop.sums_match and stop.outcome is RunOutcome.COMPLETED
    measured = rates is not None and bool(rates.loop_per_s)
    return {
        "source": info.uri,
        "engine": engine,
        "complete": was_completed and not (rates and rates.ended_early),
        "outcome": None if stop is None else f"{stop.outcome.value}: {stop.detail}",
        "fields": sum(soaked.statuses.values()),
        "delivered": _delivered(soaked),
        "waits_for_pulses": waits_for_pulses(info),
        "fields_per_s": soaked.per_s(),
        "statuses": dict(soaked.statuses),
        "losses": dict(soaked.losses),
        "events": dict(soaked.events),
        "source_statistics": stop.source.model_dump() if stop and stop.source else None,
        **{name: _shares(getattr(soaked, name)) for name in _TIMES},
        "memory": asdict(memory.use()) if soaked.moments_s else None,
        "against_bare": {**asdict(rates), "ratio": rates.ratio()} if rates and measured else None,
        "goals": {"ratio": rates.ratio() >= RATIO_GOAL} if rates and measured else {},
        "rounds_ended_early": rates.ended_early if rates else "",
    }


def _delivered(soaked: Soaked) -> int:
    """Whole frames, as the source counts them; where it cannot say, fields that had one."""
    if soaked.stop is not None and soaked.stop.source is not None:
        return soaked.stop.source.delivered
    return sum(soaked.statuses[status] for status in ("ok", "empty", "failed"))


def _shares(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"p50": float(np.percentile(values, 50)), "p99": float(np.percentile(values, 99)), "max": float(max(values))}


def table(result: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"{result['source']} through {result['engine']}"]
    ends = ", ".join(f"{n} {status}" for status, n in result["statuses"].items())
    lines.append(f"  {result['fields']} fields, {result['fields_per_s']:.1f}/s: {ends}; run {result['outcome']}")
    lines += [f"  {n:>6} x {cause}" for cause, n in result["losses"].items()] or ["  nothing was lost"]
    if not result["delivered"]:
        pulses, alone = "check that the scanner pulses its trigger line", "`leuko-edge cameras SOURCE` asks the camera alone"
        lines.append(f"  NOT ONE whole frame came; {pulses if result['waits_for_pulses'] else alone}.")
    lines += [f"  {n:>6} x event {code}" for code, n in result["events"].items()]
    if (counted := result["source_statistics"]) is not None:
        driver = counted.pop("driver")
        lines.append("  source: " + ", ".join(f"{n} {name}" for name, n in {**counted, **driver}.items()))
    for name in _TIMES:
        if (shares := result[name]) is not None:
            lines.append(f"  {name:<22}" + "  ".join(f"{key} {value:.2f}" for key, value in shares.items()))
    if (use := result["memory"]) is not None:
        lines.append(
            f"  memory {use['first_quarter_mb']:.1f} MB in the first quarter, {use['end_mb']:.1f} MB at the end, "
            f"{use['growth_bytes_per_record']:.0f} bytes per field"
        )
    if (rates := result["against_bare"]) is not None:
        bare, loop = (float(np.median(rates[f"{who}_per_s"])) for who in ("bare", "loop"))
        verdict = "kept" if result["goals"]["ratio"] else "MISSED"
        turns = f"medians of {len(rates['loop_per_s'])} rounds in turn"
        lines.append(f"  loop with a stand-in engine {loop:.1f}/s, bare client {bare:.1f}/s ({turns})")
        lines.append(f"  ratio {rates['ratio']:.3f}   goal >= {RATIO_GOAL}: {verdict}")
        lines.append(f"  frames that were not whole: {rates['loop_lost']} of the loop's, {rates['bare_lost']} of the client's")
    if result["rounds_ended_early"]:
        lines.append(f"  the rounds ended early: {result['rounds_ended_early']}")
    return "\n".join(lines)
