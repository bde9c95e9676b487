"""What `leuko-edge bench` measured, as figures with their goals and as text."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.bench.memory import peak_bytes

GOALS = {"throughput_ratio": (">=", 0.90), "outside_engine_ms": ("<=", 1.0), "peak_memory_mb": ("<=", 400.0)}
"""The budgets of the loop, on two cores with the shipped model."""
GPU_GOALS = {"share_of_inference": (">=", 0.85), "p99_over_p50": ("<=", 1.5)}
"""Those of the loop around a GPU: against inference alone, without copies; and the engine's calls against their median."""


@dataclass
class Measured:
    """ms per field of the bare loop, the pipeline, and the pipeline without inference, one per round of `n_fields`; then the ms
    of every single call of the engine and of every field."""

    n_fields: int
    bare_ms: list[float] = field(default_factory=list)
    pipeline_ms: list[float] = field(default_factory=list)
    outside_ms: list[float] = field(default_factory=list)
    engine_ms: list[float] = field(default_factory=list)
    total_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    """ms per field of a GPU's inference alone, without copies, one per round; empty on a CPU"""

    def throughput_ratio(self) -> float:
        """Median over the rounds of pipeline throughput / bare throughput; the two of one pair ran one after the other."""
        return float(np.median(np.array(self.bare_ms) / np.array(self.pipeline_ms)))

    def share_of_inference(self) -> float | None:
        """Median of pipeline throughput / that of inference alone; None on a CPU."""
        return float(np.median(np.array(self.alone_ms) / np.array(self.pipeline_ms))) if self.alone_ms else None


def summary(measured: Measured, engine: str) -> dict[str, Any]:
    """The figures by name, and under `goals` whether each budget was kept."""
    figures: dict[str, Any] = {
        "engine": engine,
        "fields": measured.n_fields * len(measured.bare_ms),
        "throughput_ratio": measured.throughput_ratio(),
        "outside_engine_ms": float(np.median(measured.outside_ms)),
        "peak_memory_mb": peak_bytes() / 1e6,
        "bare_ms_per_field": float(np.median(measured.bare_ms)),
        "pipeline_ms_per_field": float(np.median(measured.pipeline_ms)),
    }
    for name, values in (("engine_call_ms", measured.engine_ms), ("field_total_ms", measured.total_ms)):
        figures[name] = {f"p{share}": float(np.percentile(values, share)) for share in (50, 95, 99)}
    goals = dict(GOALS)
    if (share := measured.share_of_inference()) is not None:
        calls = figures["engine_call_ms"]
        figures["inference_only_ms_per_field"] = float(np.median(measured.alone_ms))
        figures |= {"share_of_inference": share, "p99_over_p50": calls["p99"] / calls["p50"]}
        goals |= GPU_GOALS
        del goals["peak_memory_mb"]  # a CUDA context alone takes more
    figures["goals"] = {
        name: figures[name] >= limit if sign == ">=" else figures[name] <= limit for name, (sign, limit) in goals.items()
    }
    return figures


def table(result: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{result['engine']}; {result['fields']} fields in each loop, in turn"]
    for name, kept in result["goals"].items():
        sign, limit = (GOALS | GPU_GOALS)[name]
        verdict = "kept" if kept else "MISSED"
        lines.append(f"  {name:<28}{result[name]:9.3f}   goal {sign} {limit:g}: {verdict}")
    times = ("inference_only_ms_per_field", "bare_ms_per_field", "pipeline_ms_per_field")
    lines += [f"  {name:<28}{result[name]:9.3f}" for name in times if name in result]
    for name in ("engine_call_ms", "field_total_ms"):
        lines.append(f"  {name:<28}" + "  ".join(f"{key} {value:.2f}" for key, value in result[name].items()))
    return "\n".join(lines)
