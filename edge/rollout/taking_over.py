"""The order to serve with another bundle from the next run on, and to go back; and what the service makes of it."""

import time
import uuid
from pathlib import Path

from edge.contracts.errors import ConfigError, EngineError, LeukoError
from edge.contracts.whole_file import write_whole
from edge.rollout.bundle_comparison import Comparison
from edge.service.bundle_switch import (
    NamedBundle,
    Switch,
    is_heeded,
    read_answer,
    read_switch,
    require_parity,
    switch_file,
    wall_time,
)
from edge.settings import EdgeSettings, Setup

_LOOK_EVERY_S = 0.05


def require_fit(found: Comparison, current: Setup, new: Setup, *, accept: bool) -> None:
    """Raises `ConfigError` for a bundle that serves already or a journal in memory, `CountsDifferError` for counts that are
    not accepted, and `EngineError` for an engine that must not take the current one's place."""
    _file_of(current.settings)
    if current.bundle.bundle_id == new.bundle.bundle_id:
        raise ConfigError(f"bundle {new.bundle.path} is the one that serves already ({new.bundle.bundle_id[:12]}).")
    require_parity(found.new.parity, new.bundle)  # type: ignore[arg-type] # as an engine has said it
    if found.current.engine_key is not None and found.new.engine_key is None:
        raise EngineError(
            f"bundle {new.bundle.path} would be computed by {found.new.engine}, and the current one by {found.current.engine}; "
            "build its engine for this GPU first (`leuko-build engine`)."
        )
    if found.verdict != "within" and not accept:
        why = "; ".join(found.reasons)
        raise CountsDifferError(
            f"bundle {new.bundle.path} does not take over: its counts are not shown to agree ({why}); compare on more fields, "
            "or, where another count is what is wanted, say so with --accept."
        )


class CountsDifferError(LeukoError):
    """The new bundle counts otherwise, or nobody knows whether it does."""

    code = "counts"
    exit_code = 10


def order_bundle(configured: Setup, current: Setup, new: Setup) -> str:
    """Write the switch: `new` serves from the next run on. Returns the order's id. Raises `ConfigError`."""
    return _write(
        current.settings,
        Switch(
            order_id=str(uuid.uuid4()),
            now=NamedBundle.of(new.bundle),
            before=NamedBundle.of(current.bundle),
            configured=NamedBundle.of(configured.bundle),
            wall_time=wall_time(),
        ),
    )


def former_of(settings: EdgeSettings) -> NamedBundle:
    """The bundle that served before. Raises `ConfigError` where nothing was rolled out, or the configuration was changed."""
    return _heeded(settings).before


def order_former(settings: EdgeSettings) -> str:
    """Write the switch the other way round. Returns the order's id. Raises as `former_of`."""
    was = _heeded(settings)
    turned = {"order_id": str(uuid.uuid4()), "now": was.before, "before": was.now, "wall_time": wall_time()}
    return _write(settings, was.model_copy(update=turned))


def _heeded(settings: EdgeSettings) -> Switch:
    path = _file_of(settings)
    switch = read_switch(path)
    if switch is None:
        raise ConfigError(f"nothing was rolled out ({path} is not there): there is nothing to go back to.")
    if not is_heeded(switch, settings):
        raise ConfigError("the configuration names another bundle than when one was rolled out, and that one serves.")
    return switch


def _write(settings: EdgeSettings, switch: Switch) -> str:
    path = _file_of(settings)
    try:
        write_whole(path, switch.model_dump_json(indent=1) + "\n")
    except OSError as problem:
        raise ConfigError(
            f"{path} cannot be written ({problem.strerror}), by which the service would hear of it; do this as a user who may "
            "write beside the journal."
        ) from problem
    return switch.order_id


def _file_of(settings: EdgeSettings) -> Path:
    path = switch_file(settings)
    if path is None:
        raise ConfigError("the journal of this configuration is in memory, and a switch lies beside one; give --journal.")
    return path


def outcome(settings: EdgeSettings, order_id: str, bundle: Path, within_s: float) -> str:
    """What the service says of the order within that time. Raises `EngineError` when it goes on with another bundle."""
    until_s = time.monotonic() + within_s
    while True:
        answer = read_answer(settings)
        if answer is not None and answer.order_id == order_id:
            if answer.refused:
                raise EngineError(f"the service goes on with bundle {answer.serves.path}: {answer.refused}")
            return f"bundle {answer.serves.path} ({answer.serves.bundle_id[:12]}) serves from now on"
        if time.monotonic() >= until_s:
            break
        time.sleep(_LOOK_EVERY_S)
    return f"bundle {bundle} is ordered; the service takes it when no run is in progress, or when it is started"
