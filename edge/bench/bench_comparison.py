"""Two measurements held against each other: what became faster or slower, and by how much at least."""

from collections.abc import Iterator, Mapping
from typing import Any

from edge.bench.bench_files import case_name
from edge.bench.bench_table import aligned, ratio_text
from edge.bench.figures import unpaired_ratio

_SAME_MACHINE = ("cpu", "cores", "system")
_SAME_CASE = ("model_sha256", "plan_sha256", "threads", "slots", "frame_px", "fields", "rounds")


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Ratio of times per field, after / before, of every contestant that both have; and what differs in their conditions."""
    cases = {case_name(case): case for case in before["cases"]}
    found, only_after = [], []
    for case in after["cases"]:
        name = case_name(case)
        if (other := cases.pop(name, None)) is None:
            only_after.append(name)
            continue
        rows = {
            contestant: _row(other["contestants"][contestant], figures)
            for contestant, figures in case["contestants"].items()
            if contestant in other["contestants"]
        }
        differs = [f"{key}: {other[key]} and {case[key]}" for key in _SAME_CASE if other.get(key) != case.get(key)]
        found.append({"case": name, "differs": differs, "contestants": rows, "paced": list(_paced(other, case))})
    return {
        "differs": list(_conditions(before["conditions"], after["conditions"])),
        "doubts": [each["doubt"] for each in (before, after) if each["doubt"]],
        "cases": found,
        "only_before": list(cases),
        "only_after": only_after,
    }


def _row(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    ratio = unpaired_ratio(after["rounds_ms_per_field"], before["rounds_ms_per_field"])
    return {"before_ms": before["ms_per_field"], "after_ms": after["ms_per_field"], **ratio, "verdict": verdict(ratio)}


def verdict(ratio: Mapping[str, Any]) -> str:
    """What may be said of a ratio of times."""
    if ratio["interval"] is None:
        return "too few rounds to say"
    low, high = ratio["interval"]
    return "faster" if high < 1 else "slower" if low > 1 else "no difference seen"


def _paced(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One run each: their percentiles side by side, without a verdict."""
    runs = {(run["rate_per_s"], run["deadline_ms"]): run for run in before["paced"]}
    for run in after["paced"]:
        if (other := runs.get((run["rate_per_s"], run["deadline_ms"]))) is not None:
            yield {
                "rate_per_s": run["rate_per_s"],
                "deadline_ms": run["deadline_ms"],
                "before_ms": other["latency_ms"],
                "after_ms": run["latency_ms"],
            }


def _conditions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key in (*_SAME_MACHINE, "python", "leukostream"):
        if before[key] != after[key]:
            yield f"{key}: {before[key]} and {after[key]}" + (
                " (another machine: what follows compares machines)" if key in _SAME_MACHINE else ""
            )
    names = sorted(set(before["packages"]) | set(after["packages"]))
    for name in names:
        one, other = before["packages"].get(name), after["packages"].get(name)
        if one != other:
            yield f"{name}: {one or 'none'} and {other or 'none'}"
    gpus = [(each["gpu"] or {}).get("name", "none") for each in (before, after)]
    if gpus[0] != gpus[1]:
        yield f"GPU: {gpus[0]} and {gpus[1]} (another machine: what follows compares machines)"


def comparison_text(found: Mapping[str, Any]) -> str:
    """For people."""
    lines = [f"differs: {each}" for each in found["differs"]] + [f"beware: {each}" for each in found["doubts"]]
    for case in found["cases"]:
        lines += ["", case["case"], *(f"  differs: {each}" for each in case["differs"])]
        rows: list[tuple[str, ...]] = [("ms per field", "before", "after", "after / before (95 %)", "")]
        for name, row in case["contestants"].items():
            rows.append((name, f"{row['before_ms']:.3f}", f"{row['after_ms']:.3f}", ratio_text(row), row["verdict"]))
        lines += aligned(rows)
        paced: list[tuple[str, ...]] = [("latency, p50 / p99 ms", "before", "after")]
        for run in case["paced"]:
            name = f"{run['rate_per_s']:g} per second" if run["rate_per_s"] else "full speed"
            cells = [f"{run[key]['p50']:.1f} / {run[key]['p99']:.1f}" for key in ("before_ms", "after_ms")]
            paced.append((f"{name}, {run['deadline_ms']:g} ms", *cells))
        lines += aligned(paced) if len(paced) > 1 else ()
    lines += [f"only before: {name}" for name in found["only_before"]]
    lines += [f"only after: {name}" for name in found["only_after"]]
    return "\n".join(lines)
