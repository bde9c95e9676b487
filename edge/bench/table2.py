"""The reference's Table 2 on this machine: seven systems beside its own figures, and what share of the machine each uses."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.bench.bare_graphs import bare_contestants
from edge.bench.bench_table import aligned, conditions_lines
from edge.bench.conditions import conditions, doubt_of, of_case
from edge.bench.figures import spread
from edge.bench.graph_work import gflop_per_frame, machine_limit
from edge.bench.loop_bench import engine_contestant
from edge.bench.rounds import take_turns
from edge.camera.memory_source import images_of
from edge.contracts.bundle import MANIFEST, load_bundle
from edge.contracts.errors import ConfigError
from edge.engine.openvino import hint_of
from edge.pipeline import opened
from edge.settings import Setup
from edge.watch.work_progress import field_bar

SCHEMA = "leukostream-table2-1"
_EXPORT = "from trainer.cli import main; main()"
_REPEATS = 20
_LEAST_FIELDS, _ROUND_MS = 4, 1500.0
"""Of a round of one contestant: a slow system is given fewer fields than were asked for, and not fewer than these."""
_IMAGES = 4
_ON_A_GPU = "GTX 1080 Ti (a GPU)"


@dataclass(frozen=True, slots=True)
class System:
    """One of the reference's: its recipe here, and the milliseconds per image that it reports."""

    recipe: str
    reference_ms: float
    target_ms: float | None = None
    """for the two systems that a target was set by"""
    network: tuple[str, int] | None = None
    """architecture and side in pixels of the network: what a bundle of this name has to be"""


SYSTEMS = (
    System("ssd300-smin0.1", 53, 53, ("ssd300", 300)),
    System("ssd300-smin0.2", 53, 53, ("ssd300", 300)),
    System("ssd512-smin0.2", 100, None, ("ssd512", 512)),
    System("yolov3-320", 14, 14, ("yolov3", 320)),
    System("yolov3-416", 23, None, ("yolov3", 416)),
    System("yolov3-608", 43, None, ("yolov3", 608)),
    System("yolov3-tiny-416", 14, None, ("yolov3-tiny", 416)),
)
"""Wang et al., PLoS ONE 14(6): e0218808, 2019, Table 2, on a GTX 1080 Ti."""


def bench_table2(setup: Setup, folder: Path | None, n_fields: int, rounds: int) -> dict[str, Any]:
    """Measure all seven, whose bundles lie in `folder` by the recipe's name; what is missing is exported with random weights.

    Raises `ConfigError` where one is missing and cannot be exported, and what opening raises.
    """
    begun = conditions()
    found = []
    with _bundles(folder) as (bundle_of, note), field_bar() as progress:
        task = progress.add_task("Table 2", total=len(SYSTEMS))
        for system in SYSTEMS:
            progress.update(task, description=f"Table 2, {system.recipe}")
            found.append(_measured(setup, system, bundle_of(system.recipe), n_fields, rounds))
            progress.advance(task, 1)
    on_cpu = found[0]["runtime"] == "OpenVINO"
    threads, precision = setup.settings.threads, hint_of(str(found[0]["precision"]))
    limit = machine_limit(precision, threads, _REPEATS) if on_cpu else {}
    best = max(limit.values(), default=None)
    for row in found:
        share = row["gflop"] / row["bare_ms"] * 1e3 / best if best and row["gflop"] and row["bare_ms"] else None
        row["share_of_limit"] = share
    return {
        "schema": SCHEMA,
        "conditions": begun,
        "doubt": doubt_of(begun),
        "exported": note,
        "limit": limit,
        "systems": found,
    }


def _measured(setup: Setup, system: System, path: Path, n_fields: int, rounds: int) -> dict[str, Any]:
    bundle = load_bundle(path)
    here = bundle.manifest.architecture, bundle.manifest.network_width_px
    if system.network is not None and here != system.network:
        raise ConfigError(
            f"{path} is {here[0]} at {here[1]} px and {system.recipe} is {system.network[0]} at {system.network[1]} px; give "
            "each bundle's folder the name of its own recipe."
        )
    settings = setup.settings.model_copy(update={"bundle": path, "thresholds": bundle.manifest.thresholds})
    own = replace(setup, settings=settings, bundle=bundle, probability=())
    with opened(own) as parts:
        images, info = images_of(parts.source, _IMAGES), parts.engine.info
        contestants = [engine_contestant(parts, images)]
        on_cpu = info.runtime == "OpenVINO"
        if on_cpu:
            frames = [np.ascontiguousarray(image) for image in images]
            contestants += bare_contestants(bundle, frames, info.precision, settings.threads, outside=False)
        took_ms = contestants[0].run(1).ms_per_field
        n_fields = min(n_fields, max(_LEAST_FIELDS, round(_ROUND_MS / took_ms)))  # else the slow ones take half an hour
        turns = take_turns(contestants, n_fields, rounds, lambda _: None)
        engine_ms = float(np.median(turns["engine_with_copies"].ms_per_field))
        bare = [float(np.median(each.ms_per_field)) for name, each in turns.items() if name.startswith("bare")]
        gflop = gflop_per_frame(bundle, info.frame_width_px, info.frame_height_px) if on_cpu else None
        return of_case(bundle, info, settings.threads) | {
            "system": system.recipe,
            "reference_ms": system.reference_ms,
            "target_ms": system.target_ms,
            "ms": engine_ms,
            "time_ms": spread(turns["engine_with_copies"].times_ms),
            "fields": n_fields,
            "rounds_ms_per_field": turns["engine_with_copies"].ms_per_field,
            "bare_ms": min(bare, default=None),
            "gflop": gflop,
            "on_gpu": not on_cpu,
            "verdict": verdict(engine_ms, system.target_ms, on_gpu=not on_cpu),
        }


def verdict(ms: float, target_ms: float | None, *, on_gpu: bool) -> str:
    """Of a figure and the reference's target, which was set on a GPU."""
    if target_ms is None:
        return ""
    kept = "kept" if ms <= target_ms else "missed"
    return f"{target_ms:g} ms: {kept}" + ("" if on_gpu else " (a CPU beside a GPU's target)")


def table2_text(result: Mapping[str, Any]) -> str:
    """For people."""
    systems = result["systems"]
    lines = [*conditions_lines(result["conditions"])]
    if result["doubt"]:
        lines.append(f"  beware: {result['doubt']}")
    if result["exported"]:
        lines.append(f"  {result['exported']}")
    here = systems[0]
    lines += ["", f"{here['engine']}: milliseconds per image, beside the reference's on a {_ON_A_GPU}"]
    rows = [("system", "weights", "here", "p99", "bare graph", "reference", "GFLOP", "of the limit", "target")]
    for row in systems:
        rows.append(
            (
                row["system"],
                "trained" if row["weights_are_trained"] else "random",
                f"{row['ms']:.1f}",
                f"{row['time_ms']['p99']:.1f}",
                "-" if row["bare_ms"] is None else f"{row['bare_ms']:.1f}",
                f"{row['reference_ms']:g}",
                "-" if row["gflop"] is None else f"{row['gflop']:.1f}",
                "-" if row["share_of_limit"] is None else f"{row['share_of_limit']:.0%}",
                row["verdict"],
            )
        )
    lines += aligned(rows)
    if result["limit"]:
        told = ", ".join(
            f"{name.removesuffix('_gflop_per_s').replace('_', ' ')} {value:.0f}" for name, value in result["limit"].items()
        )
        lines.append(f"  limit in {here['precision']}, GFLOP/s: {told}; the share is the bare graph's, of the larger")
    return "\n".join(lines)


@contextmanager
def _bundles(folder: Path | None) -> Iterator[tuple[Callable[[str], Path], str]]:
    """Where each system's bundle is. Without a folder they are exported into one that is removed afterwards."""
    if folder is not None:
        missing = [system.recipe for system in SYSTEMS if not (folder / system.recipe / MANIFEST).is_file()]
        for recipe in missing:
            _export(recipe, folder / recipe)
        note = f"exported with random weights, which no speed depends on: {', '.join(missing)}" if missing else ""
        yield (lambda recipe: folder / recipe), note
        return
    with tempfile.TemporaryDirectory(prefix="leuko-table2-") as place:

        def exported(recipe: str) -> Path:
            _export(recipe, Path(place) / recipe)
            return Path(place) / recipe

        yield exported, "all seven exported with random weights, which no speed depends on"


def _export(recipe: str, out: Path) -> None:
    """By the trainer, in a process of its own: an edge has no torch. Raises `ConfigError`."""
    words = ["export", "--random-weights", "--recipe", recipe, "--out", str(out)]
    command = [sys.executable, "-c", _EXPORT, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(
            f"{recipe} could not be exported ({last}); install the trainer, or name a folder with all seven bundles with "
            f"--systems (each as `leuko-train export --random-weights --recipe {recipe} --out DIR/{recipe}` writes it)."
        )
