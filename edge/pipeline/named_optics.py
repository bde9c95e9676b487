"""What runs that name a profile need beside the open parts: the same camera with its pixels' other size, and an engine for it.

A profile that cannot be used is no fault of the process: it is the refusal of the runs that name it.
"""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from edge.camera.other_optics import OtherOptics
from edge.camera.profile_camera import require_camera
from edge.camera.uri import SCALE_FREE, scheme_of
from edge.contracts.errors import LeukoError, ProfileError, sentence_of
from edge.contracts.run_order import OrderFault
from edge.engine.base import Engine
from edge.pipeline.field_correction import correction_for
from edge.pipeline.field_work import plan_for
from edge.pipeline.gate_doubt import doubt_of_run
from edge.pipeline.latency_fit import with_latency
from edge.pipeline.parts import Parts, batch_for, open_for
from edge.settings import Setup
from edge.settings.named_profiles import profiles_of, with_profile

RETRY_S = 10.0
"""Between attempts to take up a profile that could not be used and is asked for again."""
_OWN_SCALE = 1e-3
_log = logging.getLogger(__name__)

Mark = tuple[int, int, int] | None


class NamedOptics:
    """Empty until `open`. For the thread that owns the engine; `refusal` is for any.

    `check` is asked of each profile with every run, and raises `LeukoError` for one that has expired.
    """

    def __init__(self, check: Callable[[Setup], None] = lambda setup: None) -> None:
        self._check = check
        self._setup: Setup | None = None
        self._parts: Parts | None = None
        self._held = ExitStack()
        self._engines: list[Engine] = []
        self._ready: dict[str, tuple[Setup, Parts]] = {}
        self._unfit: dict[str, str] = {}
        self._marks: dict[str, Mark] = {}
        self._is_missed = False
        """whether a run has asked for one that cannot be used"""
        self._tried_s = 0.0

    def open(self, setup: Setup, parts: Parts) -> None:
        """Everything that runs need which name one of `setup`'s profiles. What cannot be used is said in the log."""
        self.close()
        self._setup, self._parts, self._engines = setup, parts, [parts.engine]
        self._take_up()

    def renew(self) -> None:
        """What has changed or could not be used is opened anew. Not while an order could come."""
        setup, parts = self._setup, self._parts
        if setup is None or parts is None:
            return
        if self._have_changed():
            self.open(setup, parts)
        else:
            self._take_up()

    def wants_renewal(self) -> bool:
        """Whether the files of a profile have changed, or one that cannot be used is asked for."""
        is_due = self._is_missed and time.monotonic() - self._tried_s > RETRY_S
        return self._setup is not None and (is_due or self._have_changed())

    def close(self) -> None:
        """Let go of what is not the process's own. Safe to repeat."""
        self._ready, self._unfit, self._setup, self._parts, self._engines = {}, {}, None, None, []
        self._held.close()

    def keep_warm(self) -> None:
        """Called again and again between runs. Raises as the engine does."""
        for engine in self._engines[1:]:
            engine.keep_warm()

    def of(self, name: str | None) -> tuple[Setup, Parts]:
        """What the run needs that was accepted with this profile; None: the process's own. Raises LookupError."""
        if name is not None:
            return self._ready[name]
        if self._setup is None or self._parts is None:
            raise LookupError("nothing is open")
        return self._setup, self._parts

    def refusal(self, name: str) -> OrderFault | None:
        """Why no run can have this profile; None when it can."""
        ready, why = self._ready.get(name), self._unfit.get(name)
        if ready is not None:
            try:
                self._check(ready[0])
            except LeukoError as problem:
                why = str(problem)
        elif why is None:
            return unknown_profile(name, (*self._ready, *self._unfit))
        else:
            self._is_missed = True
        return OrderFault(code="state", reason=f"profile {name!r} cannot be used: {why}") if why is not None else None

    def require_no_less(self, other: "NamedOptics") -> None:
        """Raises `ProfileError` when `other`, which is to stand in this one's place, cannot use a profile that this can."""
        for name in self._ready:
            if (why := other._unfit.get(name)) is not None:
                raise ProfileError(f"no run could have profile {name!r} any more: {why}")

    def _take_up(self) -> None:
        """All that are not ready yet."""
        setup, parts = self._setup, self._parts
        if setup is None or parts is None:
            return
        self._is_missed, self._tried_s = False, time.monotonic()
        files = profiles_of(setup)
        self._marks = {name: _mark(path) for name, path in files.items()}
        setups: dict[str, Setup] = {}
        ready, unfit = dict(self._ready), dict[str, str]()
        for name in (name for name in files if name not in ready):
            try:
                setups[name] = with_latency(with_profile(setup, name))
                ready[name] = setups[name], self._parts_for(setups[name], parts)
            except LeukoError as problem:
                unfit[name] = str(problem)
            except Exception as problem:  # noqa: BLE001 a runtime may raise anything, and other runs must go on
                unfit[name] = sentence_of(problem, "its engine cannot be opened")
        for name, why in unfit.items():
            if self._unfit.get(name) != why:
                _log.warning("no run can have profile %r: %s", name, why)
        for name, each in setups.items():
            for warning in each.warnings:
                _log.warning("profile %r: %s", name, warning)
        self._ready, self._unfit = ready, unfit

    def _parts_for(self, setup: Setup, parts: Parts) -> Parts:
        """The open camera, and an engine that takes its frames at this scale."""
        settings, source = setup.settings, parts.source
        um_per_px = _scale_of(setup, parts)
        if um_per_px != source.info.um_per_px:
            source = OtherOptics(source, um_per_px)
        if setup.profile_camera is not None:
            require_camera(setup.profile_camera, source.info, settings.profile)
        plan = plan_for(source.info, setup.bundle, correction_for(setup))
        n_frames, size = batch_for(plan, settings), (plan.engine_width_px, plan.engine_height_px)
        engine = next((each for each in self._engines if _takes(each, size, n_frames)), None)
        if engine is None:
            engine = open_for(plan, setup.bundle, settings)
            self._held.callback(engine.close)
            self._engines.append(engine)
        if doubt := doubt_of_run(engine.info, plan.correction, setup.bundle, settings):
            _log.warning("%s", doubt)
        return replace(parts, source=source, engine=engine, plan=plan, most_fields=n_frames // plan.n_tiles)

    def _have_changed(self) -> bool:
        files = profiles_of(self._setup).items() if self._setup is not None else ()
        return any(_mark(path) != self._marks.get(name) for name, path in files)


def unknown_profile(name: str, known: tuple[str, ...]) -> OrderFault:
    """What is answered to a name that no profile has."""
    there = f"knows {', '.join(f'`{each[:64]}`' for each in sorted(known))}" if known else "has none that a run may name"
    do = "give one of them, or leave it out" if known else "leave it out, or name one in its setting `profiles`"
    return OrderFault(code="unsupported", reason=f"`profile` is {name[:64]!r} and this edge {there}; {do}.")


def _scale_of(setup: Setup, parts: Parts) -> float:
    """um/px of the frames. Raises `ProfileError` where nobody says it, and where the source itself says another."""
    said, own, path = setup.settings.um_per_px, parts.source.info.um_per_px, setup.settings.profile
    if scheme_of(setup.settings.source) in SCALE_FREE:
        if said is not None and abs(said - own) > _OWN_SCALE * own:
            raise ProfileError(
                f"profile {path} says {said:g} um/px and {parts.source.info.uri} is at {own:g} by itself; use it with a camera."
            )
        return own
    if said is None:
        raise ProfileError(f"profile {path} has no um/px, and nothing else says it; measure it with `leuko-calib pixel-size`.")
    return said


def _takes(engine: Engine, size: tuple[int, int], n_frames: int) -> bool:
    info = engine.info
    return (info.frame_width_px, info.frame_height_px) == size and info.max_batch >= n_frames


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_ctime_ns
