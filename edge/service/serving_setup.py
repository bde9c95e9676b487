"""The settings with the bundle that really serves: the configuration's, or the one that was rolled out in its place.

Every command that serves, explains or diagnoses reads them here, so that all of them say the same of it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contracts.errors import BundleError, ConfigError, EngineError
from edge.contracts.user_paths import expanded
from edge.pipeline import Parts, opened
from edge.pipeline.latency_fit import with_latency
from edge.service.bundle_switch import BundleSwitch, NamedBundle, read_answer, read_switch, require_parity, switch_file
from edge.settings import EdgeSettings, Setup
from edge.settings.reachable import reachable
from edge.settings.resolution import resolve


@dataclass(frozen=True, slots=True)
class Serving:
    """`why` says which bundle serves and why; empty where nothing was ever rolled out and the configuration's does."""

    setup: Setup
    why: str = ""


class Stated:
    """Settings, as they are stated where this is called. `instead_of_none` stands for a source that is not."""

    def __init__(
        self,
        given: Mapping[str, Any],
        config: Path | None,
        environment: Mapping[str, str],
        instead_of_none: str | None = None,
    ) -> None:
        self._given, self._config, self._environment = given, config, environment
        self._instead_of_none = instead_of_none

    def reach(self) -> EdgeSettings:
        """As far as they can be had without any bundle."""
        return reachable(self._given, self._config, self._environment)

    def with_bundle(self, bundle: Path | None) -> Setup:
        """All of them, with the configuration's bundle (None) or another. Raises `BundleError` for one that cannot be used."""
        given = self._given if bundle is None else {**self._given, "bundle": expanded(bundle)}
        return resolve(given, self._config, self._environment, instead_of_none=self._instead_of_none)

    def switch(self) -> BundleSwitch:
        """For a process that serves: batch and deadline are those of the profile, where they are of this engine."""
        return BundleSwitch(self.reach, lambda bundle: with_latency(self.with_bundle(bundle)))

    def serving(self) -> Serving:
        """With the bundle that serves now, as far as order and answer beside the journal tell. Raises as `resolve`."""
        switch = BundleSwitch(self.reach, self.with_bundle)
        setup, instead = switch.resolve(), serves_instead(settings := self.reach())
        if instead is not None and (answer := read_answer(settings)) is not None and switch.order is not None:
            for _ in ("now", "before"):
                if setup.bundle.bundle_id == instead.bundle_id or not switch.refuse(setup, answer.refused):
                    break
                setup = switch.resolve()
        return Serving(setup, why_it_serves(switch, setup))


def why_it_serves(switch: BundleSwitch, setup: Setup) -> str:
    """A sentence on `setup`, which `switch` has just resolved; empty where nothing was rolled out."""
    order, settings = switch.order, setup.settings
    if switch.said or order is None:
        return switch.said
    answer = read_answer(settings)
    taken = answer is not None and answer.order_id == order.order_id
    until = f" No service has said yet that it took it: one that is running goes on with {order.before.path} until then."
    if setup.bundle.bundle_id == order.configured.bundle_id:
        how = f"it was ordered back at {order.wall_time}, and the configuration names it ({switch_file(settings)})."
    else:
        how = (
            f"it was rolled out at {order.wall_time} ({switch_file(settings)}), in the place of {order.configured.path} "
            f"({order.configured.bundle_id[:12]}), which the configuration names; `leuko-edge rollout --back` goes back."
        )
    return f"bundle {setup.bundle.path} ({setup.bundle.bundle_id[:12]}) serves: {how}{'' if taken else until}"


def serves_instead(settings: EdgeSettings) -> NamedBundle | None:
    """The bundle that serves although another was ordered: what was ordered could not. None else, as far as is known."""
    answer = read_answer(settings)
    if answer is None or not answer.refused:
        return None
    return answer.serves if answer.order_id == _order_id(settings) else None


def warnings_of(switch: BundleSwitch, setup: Setup) -> tuple[str, ...]:
    """Of `setup`, which `switch` has just resolved; first, that another bundle serves than was named, if one does."""
    return tuple(dict.fromkeys((*filter(None, [why_it_serves(switch, setup)]), *setup.warnings)))


@contextmanager
def opened_as_ordered(
    switch: BundleSwitch,
    tell: Callable[[Setup], None],
    opened_parts: Callable[[Setup], AbstractContextManager[Parts]] = opened,
) -> Iterator[tuple[Setup, Parts]]:
    """Camera and engine of one run, with the bundle that is to serve; one that was rolled out and cannot is passed over as by
    a service, with a warning among the setup's. `tell` is called with each setup before it is opened.

    Raises as `opened` for the configuration's bundle.
    """
    with ExitStack() as held:
        while True:
            tell(setup := switch.resolve())
            try:
                parts = held.enter_context(opened_parts(setup))
                if switch.has_ordered(setup):
                    require_parity(parts.engine.info.parity, setup.bundle)
            except (EngineError, BundleError, ConfigError) as problem:
                held.close()
                if not switch.has_ordered(setup) or not switch.refuse(setup, str(problem)):
                    raise
                continue
            break
        yield setup, parts


def _order_id(settings: EdgeSettings) -> str | None:
    try:
        switch = read_switch(switch_file(settings))
    except ConfigError:  # which is said where it is heeded
        return None
    return switch.order_id if switch is not None else None
