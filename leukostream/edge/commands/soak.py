"""`leuko-edge soak`: whether a camera and this machine hold out together."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from leukostream.edge.commands import options as opt
from leukostream.edge.commands.logs import set_up_logging
from leukostream.edge.commands.memory import MemoryTrace
from leukostream.edge.commands.progress import field_bar
from leukostream.edge.commands.run import only_given
from leukostream.edge.commands.signals import stop_on_signals
from leukostream.edge.commands.soak_measure import Bench, NothingEngine, Rates, Soaked, against_bare, soak_run
from leukostream.edge.contracts.errors import ConfigError
from leukostream.edge.contracts.status import RunOutcome
from leukostream.edge.journal.sqlite import SqliteJournal
from leukostream.edge.pipeline import StopSwitch, opened
from leukostream.edge.settings import resolve

RATIO_GOAL = 0.95
"""Rate through the loop with the stand-in engine / that of a bare client of the same camera."""
_TIMES = ("trigger_to_frame_ms", "frame_to_record_ms", "age_ms")


def soak(
    source: opt.SourceOption = None,
    um_per_px: opt.UmPerPxOption = None,
    config: opt.ConfigOption = None,
    bundle: opt.BundleOption = None,
    engine: opt.EngineOption = None,
    engine_dir: opt.EngineDirOption = None,
    allow_ungated_engine: opt.UngatedOption = None,
    precision: opt.PrecisionOption = None,
    threads: opt.ThreadsOption = None,
    max_batch: opt.MaxBatchOption = None,
    trigger_window: opt.TriggerWindowOption = None,
    trigger_timeout_s: opt.TriggerTimeoutOption = None,
    fields: Annotated[int, typer.Option(min=2, help="Fields to expose or to read.")] = 2000,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Instead of the model an engine that takes no time and finds nothing.")
    ] = False,
    rounds: Annotated[
        int,
        typer.Option(min=0, help="Afterwards, rounds of a bare client and of the loop with the stand-in, which take turns."),
    ] = 0,
    round_fields: Annotated[int, typer.Option(min=2, help="Fields of one such round.")] = 100,
    log_level: opt.LogLevelOption = "warning",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Run a camera through the whole loop and a journal on disk, without a controller.

    Says what was lost and why, how long everything took, and how memory grew.

    A source that waits for triggers gets them as fast as there is credit. With --rounds the camera is also read by a bare
    client, so that what the loop costs can be told from what the camera gives.

    Exit code: 0 every trigger has ended and the run was complete, whatever was lost; 1 it was not; 2 a setting, 3 the bundle,
    4 the source, 5 the engine.
    """
    set_up_logging(log_level, None)
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
        "trigger_window": trigger_window,
        "trigger_timeout_s": trigger_timeout_s,
    }
    setup, stop = resolve(only_given(given), config), StopSwitch()
    with stop_on_signals(stop), opened(setup) as parts, field_bar() as progress, ExitStack() as held:
        if rounds and parts.source.info.self_paced and parts.source.info.n_fields is not None:
            raise ConfigError(f"{parts.source.info.uri} ends by itself and cannot be read in rounds; leave --rounds out.")
        if stand_in:
            info = parts.engine.info
            parts = replace(parts, engine=NothingEngine(info.frame_width_px, info.frame_height_px, info.max_batch))  # noqa: PLW2901
        memory = MemoryTrace(fields)
        task = progress.add_task("fields", total=fields + 2 * round_fields * (rounds + 1) * bool(rounds))

        def passed(n: int) -> None:
            progress.advance(task, n)

        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="leuko-soak-"))
        journal = held.enter_context(closing(SqliteJournal(Path(folder) / "journal.sqlite", setup.settings.journal_durability)))
        bench = Bench(setup, journal, stop, passed)
        soaked = soak_run(bench, parts, fields, memory)
        rates = against_bare(bench, parts, round_fields, rounds) if rounds else None
        result = summary(soaked, memory, rates, parts.source.info.uri, str(parts.engine.info))
    typer.echo(json.dumps(result) if as_json else table(result))
    raise typer.Exit(0 if result["complete"] else 1)


def summary(soaked: Soaked, memory: MemoryTrace, rates: Rates | None, source: str, engine: str) -> dict[str, Any]:
    """Every figure by name; `complete` when the run was completed and each of its triggers has ended."""
    stop = soaked.stop
    return {
        "source": source,
        "engine": engine,
        "complete": stop is not None and stop.sums_match and stop.outcome is RunOutcome.COMPLETED,
        "outcome": None if stop is None else f"{stop.outcome.value}: {stop.detail}",
        "fields": sum(soaked.statuses.values()),
        "fields_per_s": soaked.per_s(),
        "statuses": dict(soaked.statuses),
        "losses": dict(soaked.losses),
        "events": dict(soaked.events),
        "source_statistics": stop.source.model_dump() if stop and stop.source else None,
        **{name: _shares(getattr(soaked, name)) for name in _TIMES},
        "memory": asdict(memory.use()) if soaked.moments_s else None,
        "against_bare": None if rates is None or not rates.loop_per_s else {**asdict(rates), "ratio": rates.ratio()},
    }


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
        verdict = "kept" if rates["ratio"] >= RATIO_GOAL else "MISSED"
        turns = f"medians of {len(rates['loop_per_s'])} rounds in turn"
        lines.append(f"  loop with a stand-in engine {loop:.1f}/s, bare client {bare:.1f}/s ({turns})")
        lines.append(f"  ratio {rates['ratio']:.3f}   goal >= {RATIO_GOAL}: {verdict}")
        lines.append(f"  frames that were not whole: {rates['loop_lost']} of the loop's, {rates['bare_lost']} of the client's")
    return "\n".join(lines)
