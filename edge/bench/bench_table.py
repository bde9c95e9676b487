"""A measurement as text for people: what it was measured on, every figure beside its goal, who took how long."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge.bench.loop_report import goal_text

PACED_GOAL = (25.0, 1.5)
"""Fields per second at which p99 is to be at most so many times p50."""
_TIMES = ("p50", "p90", "p95", "p99", "max")


def text_of(result: Mapping[str, Any]) -> str:
    """All of it."""
    lines = [*conditions_lines(result["conditions"])]
    if result["doubt"]:
        lines.append(f"  beware: {result['doubt']}")
    for case in result["cases"]:
        lines += ["", *_case(case)]
    return "\n".join(lines)


def conditions_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Two lines on machine and versions."""
    clock = f", {found['cpu_mhz']:.0f} MHz now" if found["cpu_mhz"] else ""
    gpu = f"; {found['gpu']['name']}, driver {found['gpu']['driver']}" if found["gpu"] else ""
    yield f"{found['cpu']}, {found['cores']} cores{clock}{gpu}; load {found['load_before']:.2f}; {found['measured_at']}"
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    yield f"  leukostream {found['leukostream']}, Python {found['python']}, {packages}"


def ratio_text(ratio: Mapping[str, Any]) -> str:
    """Such as `0.97 (0.95 to 0.99)`."""
    interval = ratio["interval"]
    return f"{ratio['ratio']:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else " (too few rounds)")


def _case(case: Mapping[str, Any]) -> Iterator[str]:
    untrained = "" if case["weights_are_trained"] else ", random weights"
    hint = f", {case['hint']} hint" if case["hint"] else ""
    yield f"{case['bundle']}{untrained}, {case['engine']}{hint}, batch {case['batch']}"
    yield f"  {case['fields']} fields in each of {case['rounds']} rounds, in turn"
    loop = case["loop"]
    for name, kept in loop["goals"].items():
        yield f"  {name:<28}{loop[name]:9.3f}   goal {goal_text(name)}: {'kept' if kept else 'MISSED'}"
    yield ""
    rows: list[tuple[str, ...]] = [("ms per field", "median", "fields/s", "CPU %", "MB", "jitter", *_TIMES)]
    for name, found in case["contestants"].items():
        jitter = "-" if found["jitter_ms"] is None else f"{found['jitter_ms']:.2f}"
        head = (f"{found['ms_per_field']:.3f}", f"{found['fields_per_s']:.1f}", f"{found['cpu_percent']:.0f}")
        times = [f"{found['time_ms'][share]:.2f}" for share in _TIMES]
        rows.append((name, *head, f"{found['memory_mb']:.0f}", jitter, *times))
    yield from aligned(rows)
    yield "  (p50 to max: a call of graph or engine, else a field from memory to its record; CPU without the controller)"
    yield ""
    for name, ratio in case["ratios"].items():
        above, below = ratio["of"]
        yield f"  {name:<28}{ratio_text(ratio):>26}   time of {above} / time of {below}"
    idle = case["first_after_idle_ms"]
    yield f"  first field after {idle['idle_s']:g} s of rest: {idle['p50']:.2f} ms, at most {idle['max']:.2f} ms"
    yield from _stages(case["contestants"])
    yield from _paced(case["paced"])


def _stages(contestants: Mapping[str, Any]) -> Iterator[str]:
    staged = {name: found["stages_ms"] for name, found in contestants.items() if found["stages_ms"]}
    if not staged:
        return
    yield ""
    rows: list[tuple[str, ...]] = [("stage, ms p50 / p99", *staged)]
    for stage in dict.fromkeys(stage for stages in staged.values() for stage in stages):
        cells = [
            f"{stages[stage]['p50']:.2f} / {stages[stage]['p99']:.2f}" if stage in stages else "-" for stages in staged.values()
        ]
        rows.append((stage.removesuffix("_ms"), *cells))
    yield from aligned(rows)


def _paced(runs: list[dict[str, Any]]) -> Iterator[str]:
    if not runs:
        return
    yield ""
    rows: list[tuple[str, ...]] = [
        ("ms from the intended trigger", "deadline", "reached/s", "p50", "p95", "p99", "max", "p99/p50", "overshoot")
    ]
    for run in runs:
        rate = f"{run['rate_per_s']:g} per second" if run["rate_per_s"] else "full speed"
        beyond = run["overshoot_fields"]
        over = "-" if beyond is None else f"{beyond['mean']:.1f}/{beyond['max']:.0f}"
        times = [f"{run['latency_ms'][share]:.1f}" for share in ("p50", "p95", "p99", "max")]
        reached = "-" if run["reached_per_s"] is None else f"{run['reached_per_s']:.1f}"
        kept = "" if run["kept"] else ", NOT KEPT"
        rows.append((rate + kept, f"{run['deadline_ms']:g} ms", reached, *times, f"{run['p99_over_p50']:.2f}", over))
    yield from aligned(rows)
    for run in runs:
        if run["rate_per_s"] == PACED_GOAL[0]:
            said = "kept" if run["kept"] and run["p99_over_p50"] <= PACED_GOAL[1] else "MISSED"
            goal = f"p99/p50 at {PACED_GOAL[0]:g} per second, deadline {run['deadline_ms']:g} ms"
            yield f"  {goal}: {run['p99_over_p50']:.2f}   goal <= {PACED_GOAL[1]:g}: {said}"
    yield "  (overshoot, mean/max: fields triggered past the 200th leukocyte's until its record is known, whichever it is in)"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table: the first column to the left, the others to the right; rows are equally long."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield (
            "  "
            + row[0].ljust(widths[0])
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        )
