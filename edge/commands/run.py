"""`leuko-edge run`: one run for the controller that connects."""

import logging
from collections.abc import Mapping
from typing import Any

import typer

from edge.pipeline import StopSwitch, opened
from edge.service.process import set_up_logging, stop_on_signals
from edge.service.serve import serve_one_run
from edge.settings import command_line as opt
from edge.settings import resolve

_log = logging.getLogger(__name__)


def run(
    source: opt.SourceOption = None,
    um_per_px: opt.UmPerPxOption = None,
    config: opt.ConfigOption = None,
    profile: opt.ProfileOption = None,
    signers: opt.SignersOption = None,
    bind: opt.BindOption = None,
    keys: opt.KeysOption = None,
    telemetry: opt.TelemetryOption = None,
    metrics: opt.MetricsOption = None,
    policy: opt.PolicyOption = None,
    max_fields: opt.MaxFieldsOption = None,
    keep_frames: opt.KeepFramesOption = None,
    keep_crops: opt.KeepCropsOption = None,
    trigger_window: opt.TriggerWindowOption = None,
    trigger_timeout_s: opt.TriggerTimeoutOption = None,
    journal: opt.JournalOption = None,
    journal_durability: opt.DurabilityOption = None,
    bundle: opt.BundleOption = None,
    engine: opt.EngineOption = None,
    engine_dir: opt.EngineDirOption = None,
    allow_ungated_engine: opt.UngatedOption = None,
    precision: opt.PrecisionOption = None,
    threads: opt.ThreadsOption = None,
    max_batch: opt.MaxBatchOption = None,
    max_delay_ms: opt.MaxDelayOption = None,
    queue_fields: opt.QueueOption = None,
    detect: opt.DetectOption = None,
    identify: opt.IdentifyOption = None,
    slide_id: opt.SlideOption = None,
    sample_id: opt.SampleOption = None,
    log_level: opt.LogLevelOption = "info",
    log_file: opt.LogFileOption = None,
) -> None:
    """Open a source and a model, wait for a controller, perform one run for it, and exit with the run's outcome.

    Source and model are opened first, so that a mistake is told before anyone waits. Then the controller connects
    (`leuko-edge watch tcp://127.0.0.1:5570` is one), starts the run, receives every record and acknowledges it.

    Every record is on disk before it is sent: a controller can read the run from another edge process with the same journal,
    also when this one was killed. `leuko-edge runs` lists, exports and verifies what is in it.

    Every setting may stand in the file of --config, too; the command line wins over the file, the file over the profile,
    the profile over the bundle. SIGINT and SIGTERM finish the fields taken in and end the run with run_stop.

    Exit code: 0 the run completed or was stopped; 1 it failed; 2 a setting, 3 the bundle or profile, 4 the source,
    5 the engine, 6 the connection (also when the controller did not acknowledge everything), 8 the journal.
    """
    set_up_logging(log_level, log_file)
    given = {
        "source": source,
        "um_per_px": um_per_px,
        "profile": profile,
        "signers": signers,
        "bind": bind,
        "keys": keys,
        "telemetry": telemetry,
        "metrics": metrics,
        "policy": policy,
        "max_fields": max_fields,
        "keep_frames": keep_frames,
        "keep_crops": keep_crops,
        "trigger_window": trigger_window,
        "trigger_timeout_s": trigger_timeout_s,
        "journal": journal,
        "journal_durability": journal_durability,
        "bundle": bundle,
        "engine": engine,
        "engine_dir": engine_dir,
        "allow_ungated_engine": allow_ungated_engine,
        "precision": precision,
        "threads": threads,
        "max_batch": max_batch,
        "max_delay_ms": max_delay_ms,
        "queue_fields": queue_fields,
        "slide_id": slide_id,
        "sample_id": sample_id,
        "thresholds": {key: value for key, value in (("detect", detect), ("identify", identify)) if value is not None} or None,
    }
    setup = resolve(only_given(given), config)
    for warning in setup.warnings:
        _log.warning("%s", warning)
    stop = StopSwitch()
    with stop_on_signals(stop), opened(setup) as parts:
        outcome = serve_one_run(setup, parts, stop)
    raise typer.Exit(outcome.exit_code)


def only_given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were stated on the command line."""
    return {key: value for key, value in settings.items() if value is not None}
