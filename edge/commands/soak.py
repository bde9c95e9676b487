"""`leuko-edge soak`: whether a camera and this machine hold out together."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from edge.bench.camera_soak import Bench, Rates, Soaked, against_bare, finds_nothing, soak_run
from edge.bench.memory import MemoryTrace
from edge.camera.frame import SourceInfo
from edge.commands.run import only_given
from edge.contracts.errors import ConfigError
from edge.contracts.records import RunOutcome
from edge.journal.sqlite_journal import SqliteJournal
from edge.pipeline import StopSwitch, opened
from edge.service.process import set_up_logging, stop_on_signals
from edge.settings import command_line as opt
from edge.settings import resolve
from edge.watch.progress import field_bar

RATIO_GOAL = 0.95
"""Rate through the loop with the stand-in engine / that of a bare client of the same camera."""
_log = logging.getLogger(__name__)
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
    strict: Annotated[bool, typer.Option("--strict", help="A missed goal of --rounds is exit code 1, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Run a camera through the whole loop and a journal on disk, without a controller.

    Says what was lost and why, how long everything took, and how memory grew.

    A source that waits for triggers gets them as fast as there is credit.
    One that waits for pulses on a line gets them from the scanner, not from here.

    With --rounds a bare client reads the camera, too, in turn with the loop.
    The ratio of the two tells what the loop costs from what the camera gives.

    Exit code: 0 every trigger has ended, and the run and its rounds were complete, whatever was lost;
    1 they were not, or not one frame was delivered, or with --strict a goal was missed;
    2 a setting, 3 the bundle, 4 the source, 5 the engine.
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
    if strict and not rounds:
        raise ConfigError("--strict judges what --rounds measures and there are none; give --rounds, or leave --strict out.")
    setup, stop = resolve(only_given(given), config), StopSwitch()
    with stop_on_signals(stop), opened(setup) as parts, ExitStack() as held:
        info = parts.source.info
        if rounds and info.self_paced and info.n_fields is not None:
            raise ConfigError(f"{info.uri} ends by itself and cannot be read in rounds; leave --rounds out.")
        if waits_for_pulses(info):
            _log.warning("the scanner must pulse the trigger line of %s for every field; this command only waits.", info.uri)
        if stand_in:
            parts = finds_nothing(parts)  # noqa: PLW2901
        progress = held.enter_context(field_bar())  # after what is said above: it draws over its line
        memory = MemoryTrace(fields)
        due = min(fields, info.n_fields) if info.self_paced and info.n_fields is not None else fields
        task = progress.add_task("fields", total=due + 2 * round_fields * (rounds + 1) * bool(rounds))

        def passed(n: int) -> None:
            progress.advance(task, n)

        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="leuko-soak-"))
        journal = held.enter_context(closing(SqliteJournal(Path(folder) / "journal.sqlite", setup.settings.journal_durability)))
        bench = Bench(setup, journal, stop, passed)
        soaked = soak_run(bench, parts, fields, memory)
        rates = against_bare(bench, parts, round_fields, rounds) if rounds else None
        result = summary(soaked, memory, rates, info, str(parts.engine.info))
    typer.echo(json.dumps(result) if as_json else table(result))
    well = result["complete"] and result["delivered"] and not (strict and False in result["goals"].values())
    raise typer.Exit(0 if well else 1)


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
