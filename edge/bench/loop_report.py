"""What the rounds of one engine mean: the loop's figures beside their goals, and who is how many times as fast as whom."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.bench.figures import paired_ratio
from edge.bench.rounds import Rounds

GOALS = {
    "throughput_ratio": (">=", 0.90),
    "share_of_best_bare": (">=", 0.95),
    "outside_engine_ms": ("<=", 1.2),
    "corrected_fit_ms": ("<=", 0.6),
    "field_quality_ms": ("<=", 0.3),
    "memory_mb": ("<=", 400.0),
}
"""The budgets of the loop, on two cores with the shipped model. `throughput_ratio` is against the engine alone, one slot after
the other; `share_of_best_bare` is of the faster of both hints against the fastest way to run the bare graph."""
GPU_GOALS = {"share_of_inference": (">=", 0.85), "p99_over_p50": ("<=", 1.5)}
"""Those of the loop around a GPU: against inference alone, without copies; and the engine's calls against their median."""
_LIMITS = GOALS | GPU_GOALS

PIPELINES = ("pipeline", "pipeline_throughput", "pipeline_latency")
"""As it was asked for, and with OpenVINO's other hint."""

RATIOS = (
    ("throughput_ratio", "engine", "pipeline"),
    ("share_of_best_bare", "best bare", "best pipeline"),
    ("pipeline_share_of_best_bare", "best bare", "pipeline"),
    ("edge_share_of_best_bare", "best bare", "edge_full"),
    ("share_of_inference", "inference_alone", "pipeline"),
    ("journal_full_over_normal", "edge_full", "edge_normal"),
    ("correction", "fit_corrected", "fit"),
    ("copies", "engine_with_copies", "engine"),
    ("resize_outside", "bare_throughput", "bare_throughput_resize_outside"),
)
"""Name, and two contestants: time per field of the first / that of the second."""


def best_bare(found: Mapping[str, Rounds]) -> str | None:
    """The name of the bare graph that is fastest at the median, the resize inside: the loop, too, takes whole fields."""
    return _fastest(found, ("bare_throughput", "bare_latency"))


def _fastest(found: Mapping[str, Rounds], names: Sequence[str]) -> str | None:
    there = [name for name in names if name in found]
    return min(there, key=lambda name: float(np.median(found[name].ms_per_field)), default=None)


def ratios_of(found: Mapping[str, Rounds]) -> dict[str, dict[str, Any]]:
    """Every ratio whose two contestants are there, with its interval."""
    best = {"best bare": best_bare(found), "best pipeline": _fastest(found, PIPELINES)}
    ratios = {}
    for name, *pair in RATIOS:
        above, below = (best.get(each, each) or "" for each in pair)
        if above in found and below in found:
            ratios[name] = paired_ratio(found[above].ms_per_field, found[below].ms_per_field) | {"of": [above, below]}
    return ratios


def loop_figures(found: Mapping[str, Rounds], n_fields: int, memory_mb: float) -> dict[str, Any]:
    """The figures by name, and under `goals` whether each budget that could be judged was kept."""
    ratios = ratios_of(found)
    engine, pipeline = found["engine"], found["pipeline"]
    figures: dict[str, Any] = {
        "fields": n_fields * len(pipeline.ms_per_field),
        "outside_engine_ms": float(np.median(found["without_inference"].ms_per_field)),
        "corrected_fit_ms": float(np.median(found["fit_corrected"].ms_per_field)),
        "field_quality_ms": float(np.median(found["quality"].ms_per_field)),
        "memory_mb": memory_mb,
        "bare_ms_per_field": float(np.median(engine.ms_per_field)),
        "pipeline_ms_per_field": float(np.median(pipeline.ms_per_field)),
    }
    for name in ("throughput_ratio", "share_of_best_bare", "share_of_inference"):
        if name in ratios:
            figures[name] = ratios[name]["ratio"]
    for name, values in (("engine_call_ms", engine.times_ms), ("field_total_ms", pipeline.times_ms)):
        figures[name] = {f"p{share}": float(np.percentile(values, share)) for share in (50, 95, 99)}
    if "inference_alone" in found:
        calls = figures["engine_call_ms"]
        figures["inference_only_ms_per_field"] = float(np.median(found["inference_alone"].ms_per_field))
        figures["p99_over_p50"] = calls["p99"] / calls["p50"]
    # A CUDA context alone takes more memory, and the GPU's own goals are no CPU's.
    on_gpu = "inference_alone" in found
    judged = [name for name in _LIMITS if name in figures and (on_gpu or name not in GPU_GOALS)]
    judged = [name for name in judged if not (on_gpu and name == "memory_mb")]
    figures["goals"] = {name: kept(name, figures[name]) for name in judged}
    return figures


def kept(name: str, value: float) -> bool:
    """Whether a figure keeps its goal."""
    sign, limit = _LIMITS[name]
    return value >= limit if sign == ">=" else value <= limit


def goal_text(name: str) -> str:
    """Such as `>= 0.95`."""
    sign, limit = _LIMITS[name]
    return f"{sign} {limit:g}"
