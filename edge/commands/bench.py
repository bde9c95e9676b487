"""`leuko-edge bench`: the speed claims, as ratios."""

import json
from typing import Annotated, Any

import numpy as np
import typer

from edge.bench.loop_bench import Measured, images_of, measure, peak_memory_mb
from edge.commands.run import only_given
from edge.pipeline import opened
from edge.service.process import set_up_logging
from edge.settings import command_line as opt
from edge.settings import resolve

_IMAGES = 16
_SOURCE = "virtual:seed=42,wbc=1.5"
GOALS = {"throughput_ratio": (">=", 0.90), "outside_engine_ms": ("<=", 1.0), "peak_memory_mb": ("<=", 400.0)}
"""The budgets of the loop, on two cores with the shipped model."""
GPU_GOALS = {"share_of_inference": (">=", 0.85), "p99_over_p50": ("<=", 1.5)}
"""Those of the loop around a GPU: against inference alone, without copies; and the engine's calls against their median."""


def bench(
    source: opt.SourceOption = _SOURCE,
    um_per_px: opt.UmPerPxOption = None,
    bundle: opt.BundleOption = None,
    engine: opt.EngineOption = None,
    engine_dir: opt.EngineDirOption = None,
    allow_ungated_engine: opt.UngatedOption = None,
    precision: opt.PrecisionOption = None,
    threads: opt.ThreadsOption = None,
    max_batch: opt.MaxBatchOption = None,
    fields: Annotated[int, typer.Option(min=1, help="Fields of one round.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each loop; they take turns.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Compare the whole pipeline with a bare loop over the same compiled model, frames already in memory.

    The two take turns in one process, so that what else the machine does meets both; only the ratio is a claim.
    """
    set_up_logging("warning", None)
    given = {
        "source": source,
        "um_per_px": um_per_px,
        "bundle": bundle,
        "engine": engine,
        "engine_dir": engine_dir,
        "allow_ungated_engine": allow_ungated_engine,
        "precision": precision,
        "threads": threads,
        "max_batch": max_batch,
    }
    setup = resolve(only_given(given))
    with opened(setup) as parts:
        images = images_of(parts.source, _IMAGES)
        result = summary(measure(setup, parts, images, fields, rounds), str(parts.engine.info))
    typer.echo(json.dumps(result) if as_json else _table(result))


def summary(measured: Measured, engine: str) -> dict[str, Any]:
    """The figures by name, and under `goals` whether each budget was kept."""
    figures: dict[str, Any] = {
        "engine": engine,
        "fields": measured.n_fields * len(measured.bare_ms),
        "throughput_ratio": measured.throughput_ratio(),
        "outside_engine_ms": float(np.median(measured.outside_ms)),
        "peak_memory_mb": peak_memory_mb(),
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


def _table(result: dict[str, Any]) -> str:
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
