"""`leuko-edge watch`: the reference controller."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.records import RunOutcome, RunStop
from edge.stream.client import Controller
from edge.stream.curve_keys import ClientKeys, client_keys
from edge.watch.view import View, choose_view

_LOOK_EVERY_S = 0.25


def watch(
    endpoint: Annotated[str, typer.Argument(help="Address of the edge, such as tcp://127.0.0.1:5570.")],
    as_json: Annotated[bool, typer.Option("--json", help="One record a line on standard output.")] = False,
    run_id: Annotated[
        str | None, typer.Option(help="Name of the run to start (a new UUID unless given) or, as observer, to read.")
    ] = None,
    slide_id: Annotated[str | None, typer.Option(help="Slide the run belongs to.")] = None,
    observer: Annotated[bool, typer.Option("--observer", help="Only read: start and stop nothing.")] = False,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="How long to wait for the edge to answer.")] = 10.0,
    key: Annotated[Path | None, typer.Option(help="Own secret key (NAME.key_secret), for an edge with keys.")] = None,
    edge_key: Annotated[Path | None, typer.Option(help="Public key of that edge (edge.key).")] = None,
) -> None:
    """Start a run on an edge, show its fields as they come and the differential at the end; Ctrl-C stops the run.

    The exit code is that of the run's outcome.
    """
    keys = keys_given(key, edge_key)
    with Controller(endpoint, role="observer" if observer else "controller", keys=keys) as controller:
        welcome = controller.connect(timeout_s)
        if observer:
            run_id = run_id or (welcome.runs[-1].run_id if welcome.runs else _await_run(controller, timeout_s))
        else:
            run_id = controller.start_run(run_id=run_id, slide_id=slide_id, timeout_s=timeout_s)
        outcome = follow(controller, choose_view(Console(), as_json), run_id)
    raise typer.Exit(outcome.exit_code if outcome else 0)


def keys_given(key: Path | None, edge_key: Path | None) -> ClientKeys | None:
    """What --key and --edge-key name, if anything. Raises `ConfigError` and `StreamError`."""
    if (key is None) != (edge_key is None):
        raise ConfigError("--key and --edge-key go together: give both, or none for an edge without keys.")
    return client_keys(key, edge_key) if key and edge_key else None


def follow(controller: Controller, view: View, run_id: str) -> RunOutcome | None:
    """Show every record of a run; returns its outcome, or None when an observer was told to stop. Raises `StreamError`."""
    outcome = None
    with _stop_on_signal(controller), view:
        for record in controller.records(run_id):
            view.show(record)
            if isinstance(record, RunStop):
                outcome = record.outcome
    return outcome


def _await_run(controller: Controller, timeout_s: float) -> str:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if runs := controller.query(timeout_s=timeout_s).runs:
            return runs[-1].run_id
        time.sleep(_LOOK_EVERY_S)
    raise StreamError(f"no controller started a run within {timeout_s:g} s; start one, or wait longer with --timeout-s.")


@contextmanager
def _stop_on_signal(controller: Controller) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) asks for the end of the run and waits for `run_stop`; the second ends at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        controller.request_stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
