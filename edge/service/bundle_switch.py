"""With which bundle a service serves: the configuration's, or the one that `leuko-edge rollout` has put in its place.

The switch is one small file beside the journal. It is heeded as long as the configuration names the bundle that it named then:
who changes the configuration has the last word. A bundle that cannot serve is passed over for the one before it, with a
sentence.
"""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from edge.contracts.base import Sha256, Strict, parse_json
from edge.contracts.bundle import MANIFEST, Bundle
from edge.contracts.errors import BundleError, ConfigError, EngineError
from edge.contracts.user_paths import expanded
from edge.contracts.whole_file import SMALL_BYTES, read_whole, write_whole
from edge.engine.base import Parity
from edge.settings import IN_MEMORY, EdgeSettings, Setup
from edge.settings.edge_settings import Origin

_log = logging.getLogger(__name__)


class NamedBundle(Strict):
    """A bundle by its directory and by what must be in it."""

    path: str
    bundle_id: Sha256

    @classmethod
    def of(cls, bundle: Bundle) -> "NamedBundle":
        return cls(path=str(bundle.path.resolve()), bundle_id=bundle.bundle_id)


class Switch(Strict):
    """The content of the file. `order_id` is anew with every order."""

    bundle_switch: Literal[1] = 1
    order_id: str
    now: NamedBundle
    before: NamedBundle
    configured: NamedBundle
    """what the configuration named when this was ordered"""
    wall_time: str


class Answer(Strict):
    """What the service has made of an order, in a file beside the switch; `refused` is why another bundle serves."""

    order_id: str
    serves: NamedBundle
    refused: str = ""
    wall_time: str


def switch_file(settings: EdgeSettings) -> Path | None:
    """None for a journal in memory: there is no place beside it."""
    path = None if settings.journal == IN_MEMORY else expanded(settings.journal)
    return path and path.with_name(f"{path.name}.bundle.json")


def answer_file(settings: EdgeSettings) -> Path | None:
    """Where the service says what it has made of the switch."""
    path = switch_file(settings)
    return path and path.with_name(path.name.replace(".bundle.json", ".serves.json"))


def read_switch(path: Path | None) -> Switch | None:
    """None where nothing was rolled out. Raises `ConfigError` for a file that is none of this version."""
    try:
        content = read_whole(path, SMALL_BYTES) if path is not None else None
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read ({problem.strerror}); `leuko-edge rollout` writes it anew.") from problem
    return None if content is None or path is None else parse_json(Switch, content, path, ConfigError)


def read_answer(settings: EdgeSettings) -> Answer | None:
    """The last one; None where there is none that can be read."""
    path = answer_file(settings)
    with suppress(OSError, ValidationError):
        return Answer.model_validate_json(read_whole(path, SMALL_BYTES)) if path is not None else None
    return None


def wall_time() -> str:
    """ISO 8601 UTC; a label."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class BundleSwitch:
    """Reads settings with the bundle that is to serve. `reach` has them as far as they can be had without any bundle;
    `resolve_with` all of them, with the configuration's bundle (None) or another. For one thread."""

    def __init__(self, reach: Callable[[], EdgeSettings], resolve_with: Callable[[Path | None], Setup]) -> None:
        self._reach, self._resolve_with = reach, resolve_with
        self._switch: Switch | None = None
        self._mark: tuple[int, int] | None = None
        self._refused: dict[str, str] = {}
        self._said = self._instead = ""

    @property
    def order(self) -> Switch | None:
        """What was ordered and is heeded, by the last `resolve`."""
        return self._switch

    @property
    def said(self) -> str:
        """Why what was ordered does not serve, by the last `resolve`; empty where it does, or nothing was ordered."""
        return self._instead

    def changed(self) -> bool:
        """Whether there is another order than when the settings were read last."""
        return _mark(switch_file(self._reach())) != self._mark

    def resolve(self) -> Setup:
        """All settings. Raises what `resolve_with` raises for the configuration's bundle."""
        path = switch_file(settings := self._reach())
        self._mark, self._said, void = _mark(path), "", ""
        try:
            switch = read_switch(path)
            if switch is not None and not is_heeded(switch, settings):
                void = f"the configuration names another bundle than when {path} was written, and that one serves."
        except ConfigError as problem:
            switch, void = None, f"{problem} Meanwhile the configuration's bundle serves."
        self._instead = void
        if switch is None or void:
            self._switch = None
            setup = self._resolve_with(None)
            return replace(setup, warnings=(void, *setup.warnings)) if void else setup
        if self._switch is None or switch.order_id != self._switch.order_id:
            self._refused.clear()
        self._switch = switch
        return self._of(switch, path)

    def _of(self, switch: Switch, path: Path | None) -> Setup:
        for named in dict.fromkeys((switch.now, switch.before, switch.configured)):
            if why := self._refused.get(named.bundle_id):
                self._said = self._said or why
                continue
            is_configured = named == switch.configured
            try:
                setup = self._resolve_with(None if is_configured else Path(named.path))
                if setup.bundle.bundle_id != named.bundle_id:
                    raise BundleError(f"{named.path} holds another bundle than the one that was rolled out; roll that one out.")
            except BundleError as problem:
                if is_configured:
                    raise
                self._said = self._said or str(problem)
                continue
            if not is_configured:
                setup = replace(setup, origins={**setup.origins, "bundle": Origin("rollout", str(path))})
            if not self._said:
                return setup
            said = f"bundle {switch.now.path} was rolled out and cannot serve: {self._said} Bundle {setup.bundle.path} goes on."
            self._instead = said
            return replace(setup, warnings=(said, *setup.warnings))
        self._refused.clear()  # not even the oldest could be opened: the cause is none of the bundles'
        return self._of(switch, path)

    def refuse(self, setup: Setup, why: str) -> bool:
        """Its engine could not be opened: the bundle before it serves, until there is another order. False where none is."""
        if self._switch is not None:
            self._refused[setup.bundle.bundle_id] = why
        return self._switch is not None

    def has_ordered(self, setup: Setup) -> bool:
        """Whether its bundle serves by an order and not by the configuration."""
        return self._switch is not None and setup.bundle.bundle_id != self._switch.configured.bundle_id

    def answer(self, setup: Setup) -> None:
        """`setup` is open now: say so to who has ordered it."""
        path = answer_file(self._reach())
        if self._switch is None or path is None:
            return
        order_id, serves = self._switch.order_id, NamedBundle.of(setup.bundle)
        said = Answer(order_id=order_id, serves=serves, refused=self._said, wall_time=wall_time())
        try:
            write_whole(path, said.model_dump_json(indent=1) + "\n")
        except OSError as problem:
            _log.warning("%s cannot be written (%s); who rolled a bundle out is not told", path, problem.strerror)


def is_heeded(switch: Switch, settings: EdgeSettings) -> bool:
    """Whether the configuration names the bundle that it named then; one that has gone since is taken for that."""
    folder = expanded(settings.bundle)
    try:
        found = hashlib.sha256(read_whole(folder / MANIFEST)).hexdigest()
    except OSError:
        return str(folder.resolve()) == switch.configured.path
    return found == switch.configured.bundle_id


def _mark(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return found and (found.st_ino, found.st_ctime_ns)


def require_parity(parity: Parity, bundle: Bundle) -> None:
    """A bundle whose engine has failed its parity gate takes nobody's place, also where such engines may be started.

    Raises `EngineError`."""
    if parity == "failed":
        raise EngineError(
            f"the engine of bundle {bundle.path} has failed its parity gate; build it anew, and roll the bundle out then."
        )
