"""What `leuko-edge bench` measures: for every bundle and batch size the graph, the engine, the loop and the whole edge."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from edge.bench.bare_graphs import bare_contestants
from edge.bench.bench_files import SCHEMA
from edge.bench.conditions import conditions, doubt_of, of_case
from edge.bench.loop_bench import first_after_idle_ms, loop_contestants, pipeline_contestant
from edge.bench.loop_report import best_bare, loop_figures, ratios_of
from edge.bench.memory import resident_bytes
from edge.bench.rounds import Contestant, Rounds, take_turns
from edge.bench.whole_edge import at_rate, edge_contestants
from edge.camera.memory_source import images_of
from edge.contracts.bundle import load_bundle
from edge.contracts.detections import Image
from edge.pipeline import Parts, opened
from edge.pipeline.parts import open_for
from edge.settings import Setup
from edge.watch.work_progress import field_bar

RATES_PER_S = (5.0, 10.0, 25.0, 50.0, 100.0)
_IMAGES = 16
_IDLE_REPEATS = 3
_LONGEST_S = 8.0
"""Of one run at a fixed rate, unless that would be fewer than `_FEWEST` fields."""
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. `rates_per_s` empty: no fixed rates; `folder`: where journals are written while they are measured;
    without `whole_edge` no controller is started."""

    fields: int
    rounds: int
    batches: tuple[int, ...]
    deadlines_ms: tuple[float, ...]
    rates_per_s: tuple[float, ...]
    idle_s: float
    folder: Path | None = None
    whole_edge: bool = True


def bench_edge(setup: Setup, bundles: Sequence[Path], plan: Plan) -> dict[str, Any]:
    """Measure each bundle at each batch size; without bundles that of `setup`. Raises what opening does, and `EngineError`."""
    setups = [_with_bundle(setup, path) for path in bundles] or [setup]
    begun = conditions()
    with field_bar() as progress:
        cases = [_case(each, batch, plan, progress) for each, batch in product(setups, plan.batches)]
    return {"schema": SCHEMA, "conditions": begun, "doubt": doubt_of(begun), "cases": cases}


def _case(setup: Setup, batch: int, plan: Plan, progress: Progress) -> dict[str, Any]:
    settings = setup.settings.model_copy(update={"max_batch": batch})
    setup = replace(setup, settings=settings)
    with ExitStack() as held:
        parts = held.enter_context(opened(setup))
        images, info = images_of(parts.source, _IMAGES), parts.engine.info
        contestants = loop_contestants(setup, parts, images)
        next(each for each in contestants if each.name == "pipeline").run(plan.fields)
        memory_mb = resident_bytes() / 1e6  # before the bare graphs, which a run has not
        if info.runtime == "OpenVINO":
            frames = _as_the_engine_gets_them(parts, images)
            bare = bare_contestants(setup.bundle, frames, info.precision, settings.threads)
            contestants = [*bare, *contestants, held.enter_context(_other_hint(setup, parts, images))]
        if plan.whole_edge:
            contestants += edge_contestants(setup, parts, images, plan.folder)
        rates = (None, *plan.rates_per_s) if plan.rates_per_s and plan.whole_edge else ()
        runs = list(product(plan.deadlines_ms, rates))
        task = progress.add_task(
            f"{setup.bundle.manifest.name}, batch {batch}", total=(plan.rounds + 1) * len(contestants) + len(runs)
        )

        def passed(n: int) -> None:
            progress.advance(task, n)

        found = take_turns(contestants, plan.fields, plan.rounds, passed)
        paced = [_paced(setup, parts, images, plan, *run, passed) for run in runs]
        idle_ms = first_after_idle_ms(parts, images, plan.idle_s, _IDLE_REPEATS)
        return of_case(setup.bundle, info, settings.threads) | _figures(found, batch, paced, idle_ms, memory_mb, plan)


@contextmanager
def _other_hint(setup: Setup, parts: Parts, images: Sequence[Image]) -> Iterator[Contestant]:
    """The pipeline over a second engine, with the hint that was not asked for."""
    hint = "latency" if parts.engine.info.hint == "throughput" else "throughput"
    own = replace(setup, settings=setup.settings.model_copy(update={"hint": hint}))
    with closing(open_for(parts.plan, setup.bundle, own.settings)) as engine:
        yield pipeline_contestant(f"pipeline_{hint}", own, replace(parts, engine=engine), images)


def _figures(
    found: dict[str, Rounds], batch: int, paced: list[dict[str, Any]], idle_ms: list[float], memory_mb: float, plan: Plan
) -> dict[str, Any]:
    return {
        "batch": batch,
        "fields": plan.fields,
        "rounds": plan.rounds,
        "best_bare": best_bare(found),
        "loop": loop_figures(found, plan.fields, memory_mb),
        "ratios": ratios_of(found),
        "contestants": {name: rounds.as_json() for name, rounds in found.items()},
        "paced": paced,
        "first_after_idle_ms": {"idle_s": plan.idle_s, "p50": float(np.median(idle_ms)), "max": max(idle_ms)},
    }


def _paced(
    setup: Setup,
    parts: Parts,
    images: Sequence[Image],
    plan: Plan,
    deadline_ms: float,
    rate_per_s: float | None,
    passed: Callable[[int], None],
) -> dict[str, Any]:
    own = replace(setup, settings=setup.settings.model_copy(update={"max_delay_ms": deadline_ms}))
    n_fields = plan.fields if rate_per_s is None else min(plan.fields, max(_FEWEST, int(_LONGEST_S * rate_per_s)))
    found = at_rate(own, parts, images, n_fields, rate_per_s, plan.folder)
    passed(1)
    return found


def _with_bundle(setup: Setup, path: Path) -> Setup:
    """The same with another bundle and its own thresholds: a profile's are of one bundle."""
    bundle = load_bundle(path)
    settings = setup.settings.model_copy(update={"bundle": path, "thresholds": bundle.manifest.thresholds})
    return replace(setup, settings=settings, bundle=bundle, probability=())


def _as_the_engine_gets_them(parts: Parts, images: Sequence[Image]) -> list[Image]:
    """The first tile of each image, fitted: what is compared computes on the same pixels."""
    shape, found = parts.engine.slot(0).shape[1:], []
    for image in images:
        tiles = [np.empty(shape, np.uint8) for _ in range(parts.plan.n_tiles)]
        parts.plan.write(image, tiles)
        found.append(tiles[0])
    return found
