"""The reference controller: starts a run or looks on, shows every record, and stops the run on the first signal."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from edge.contracts.base import complaint_of, explain
from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.interruption import FurtherSignals
from edge.contracts.names import checked_name
from edge.contracts.records import Advice, RunOutcome, RunStart, RunStop
from edge.contracts.run_order import OrderSetting, RunOrder
from edge.service.process import hang_up
from edge.stream.client import Controller
from edge.stream.curve_keys import ClientKeys, client_keys
from edge.watch.view import View, choose_view

_LOOK_EVERY_S = 0.25


def watch_run(
    endpoint: str,
    run_id: str | None,
    slide_id: str | None,
    *,
    observer: bool,
    timeout_s: float,
    keys: ClientKeys | None,
    as_json: bool,
    order: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> int:
    """Start a run at `endpoint`, or as observer find one, and show it to its end.

    With an `order` the run is stopped once its end is advised for good, and at once when it has another profile than `profile`
    (an edge that is older than profiles by name passes over them). Returns the exit code of its outcome; 0 for an observer
    that was told to stop. Raises `StreamError`, and `ConfigError` for a name or an order that cannot be one.
    """
    ordered = _order_of(order) if order else None
    if ordered is not None and observer:
        raise ConfigError("an observer orders nothing; leave the order away, or watch as the controller.")
    if profile is not None and observer:
        raise ConfigError("an observer chooses no profile; leave --profile away, or watch as the controller.")
    for what, name in (("--run-id", run_id), ("--slide-id", slide_id), ("--profile", profile)):
        if name is not None:
            checked_name(what, name)  # before there is a session
    with Controller(endpoint, role="observer" if observer else "controller", keys=keys) as controller:
        welcome = controller.connect(timeout_s)
        if observer:
            run_id = run_id or (welcome.runs[-1].run_id if welcome.runs else _await_run(controller, timeout_s))
        else:
            run_id = controller.start_run(run_id=run_id, slide_id=slide_id, order=ordered, profile=profile, timeout_s=timeout_s)
        view = choose_view(Console(), as_json)
        outcome = follow(controller, view, run_id, heed_stop=ordered is not None, profile=profile)
    return outcome.exit_code if outcome else 0


def follow(
    controller: Controller, view: View, run_id: str, *, heed_stop: bool = False, profile: str | None = None
) -> RunOutcome | None:
    """Show every record of a run; returns its outcome, or None when an observer was told to stop. Raises `StreamError`.

    `heed_stop`: ask for the end of the run once `stop` is advised for good. `profile`: abort a run that has begun without it.
    """
    outcome = None
    with _stop_on_signal(controller), view:
        for record in controller.records(run_id):
            view.show(record)
            if isinstance(record, RunStart) and profile is not None and record.provenance.profile_name != profile:
                controller.abort_run(run_id)
                raise StreamError(
                    f"the edge knows no profiles by name and has begun run {run_id} without {profile!r}, which is aborted: its "
                    "um/px may be another one; leave --profile away, or install a newer leukostream on the edge."
                )
            if isinstance(record, RunStop):
                outcome = record.outcome
            elif heed_stop and isinstance(record, Advice) and record.advice == "stop" and record.final:
                controller.request_stop()
    return outcome


def widths_given(given: Sequence[str]) -> dict[str, dict[str, float]]:
    """What --limit-width CLASS=POINTS asks for, as a part of an order. Raises `ConfigError`."""
    widths: dict[str, float] = {}
    for text in given:
        label, _, points = text.partition("=")
        try:
            widths[label.strip()] = float(points)
        except ValueError as problem:
            raise ConfigError(f"--limit-width {text!r} is not CLASS=POINTS, such as lymphocyte=8.") from problem
    return {"limit_width_percent": widths} if widths else {}


def _order_of(given: Mapping[str, Any]) -> RunOrder:
    """Raises `ConfigError` for an order that cannot be kept."""
    try:
        return OrderSetting.model_validate(given)
    except ValidationError as problem:
        first = problem.errors()[0]
        said = complaint_of(first["msg"]) if first["type"] == "value_error" else explain(problem)
        raise ConfigError(f"this cannot be ordered: {said}; see `leuko-edge watch --help`.") from problem


def keys_given(key: Path | None, edge_key: Path | None) -> ClientKeys | None:
    """What --key and --edge-key name, if anything. Raises `ConfigError` and `StreamError`."""
    if (key is None) != (edge_key is None):
        raise ConfigError("--key and --edge-key go together: give both, or none for an edge without keys.")
    return client_keys(key, edge_key) if key and edge_key else None


def _await_run(controller: Controller, timeout_s: float) -> str:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if runs := controller.query(timeout_s=timeout_s).runs:
            return runs[-1].run_id
        time.sleep(_LOOK_EVERY_S)
    raise StreamError(f"no controller started a run within {timeout_s:g} s; start one, or wait longer with --timeout-s.")


@contextmanager
def _stop_on_signal(controller: Controller) -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or SIGHUP asks for the end of the run and waits for `run_stop`; a further one ends at once."""
    further = FurtherSignals()

    def handle(_number: int, _frame: FrameType | None) -> None:
        further.end_the_process()
        controller.request_stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, *hang_up())}
    try:
        yield
    finally:
        further.close()
        for number, handler in before.items():
            signal.signal(number, handler)
