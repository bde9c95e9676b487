"""What a run needs and what stays open from run to run: journal, bundle and profile, camera and engine.

`mend` opens what is closed, `look` only looks; both say in sentences what is wrong, and both have their pace. Everything that
can go wrong goes this one way, so that it mends by itself once its cause is gone.
"""

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from edge.camera.industrial.camera_device import CameraLost
from edge.contracts.errors import BundleError, ConfigError, EngineError, JournalError, LeukoError, sentence_of
from edge.contracts.run_order import OrderFault
from edge.contracts.user_paths import expanded
from edge.engine.base import Engine
from edge.journal.journal_file import has_room_again
from edge.journal.journal_slot import JournalSlot
from edge.pipeline import Parts, engine_for, opened
from edge.pipeline.field_correction import correction_for
from edge.pipeline.named_optics import NamedOptics
from edge.service.bundle_switch import BundleSwitch, require_parity
from edge.service.fitness import Marks, check_age, check_clock, check_room, marks_of
from edge.service.journals import opened_journal
from edge.service.serving_setup import why_it_serves
from edge.settings import IN_MEMORY, EdgeSettings, Setup

LOOK_S = 1.0
"""Between two looks while all is well."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 10.0
"""Before the next attempt to mend the same fault: twice as long from attempt to attempt."""
OF_THE_PROCESS = (
    *("bind", "keys", "telemetry", "telemetry_hz", "metrics", "ping_every_s", "silent_after_s", "ack_timeout_s"),
    *(
        "journal",
        "journal_durability",
        "journal_keep_days",
        "journal_keep_mb",
        "journal_keep_unreported",
        "journal_held_s",
        "keep_acknowledged",
    ),
)
"""Settings that hold as long as the process: with others of them it begins anew."""

TIDY_EVERY_S, IDLE_S = 86_400.0, 600.0
"""A journal is opened anew once a day, by which it forgets what it may; no run has ended for so long then."""

_log = logging.getLogger(__name__)


class Readdressed(Exception):
    """The configuration was mended, and has other addresses, keys or another journal than those that are served."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something to be opened anew while no run can begin: in words, and how."""

    what: str
    act: Callable[[], None]


@runtime_checkable
class LookedAfter(Protocol):
    """A source that can tell between runs whether it is still there, and looks for what it has lost."""

    def look_after(self) -> None:
        """Raises `SourceError` while it is not there."""
        ...


class Station:
    """Belongs to one thread, which owns the engine. `reach` are the settings that the process was reached by when it began;
    `resolve` reads all of them anew. `journal` is the place of the one that is opened here. `all_open` is called once all that
    a run needs was opened, before a run can begin."""

    def __init__(
        self,
        resolve: Callable[[], Setup],
        reach: EdgeSettings,
        journal: JournalSlot,
        boot_id: str,
        opened_parts: Callable[[Setup], AbstractContextManager[Parts]] = opened,
        switch: BundleSwitch | None = None,
        all_open: Callable[[], None] = lambda: None,
    ) -> None:
        self.setup: Setup | None = None
        self.parts: Parts | None = None
        self.optics = NamedOptics(check_age)
        self._resolve, self._reach, self._journal, self._boot_id = resolve, reach, journal, boot_id
        self._opened_parts, self._switch = opened_parts, switch
        self._all_open = all_open
        self._are_new = False
        """whether parts were opened that `all_open` was not told of"""
        self._swapped_in: Engine | None = None
        """what stands in the place of the engine that was opened with the camera"""
        self._journal_held, self._parts_held = ExitStack(), ExitStack()
        self._marks: Marks = ()
        self._spoilt = ""
        """why camera and engine must be opened anew"""
        self._journal_opened_s = self._used_s = time.monotonic()
        self._trouble = ""
        self._due_s = 0.0
        self._wait_s = FIRST_WAIT_S

    def look(self) -> str:
        """What is wrong, in sentences; empty when all that a run needs is open and fits. Opens and closes nothing."""
        if not self._spoilt and time.monotonic() < self._due_s:
            return ""
        self._trouble = self._found(mend=False)
        self._due_s, self._wait_s = (0.0, FIRST_WAIT_S) if self._trouble else (time.monotonic() + LOOK_S, FIRST_WAIT_S)
        return self._trouble

    def mend(self) -> str:
        """As `look`, with what is closed opened and what is spoilt opened anew, if it is time for an attempt."""
        if time.monotonic() < self._due_s:
            return self._trouble
        before, self._trouble = self._trouble, self._found(mend=True)
        if not self._trouble:
            if self._are_new:
                self._are_new = False
                self._all_open()
            self._due_s = time.monotonic() + LOOK_S
            return ""
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S) if self._trouble == before else FIRST_WAIT_S
        self._due_s = time.monotonic() + self._wait_s
        return self._trouble

    def spoilt(self, why: str) -> None:
        """Camera and engine may be in any state: they are opened anew before the next run."""
        self._spoilt = self._spoilt or why

    def due(self) -> Due | None:
        """What is to be opened anew although nothing is wrong, if it is time for anything."""
        now_s = time.monotonic()
        is_idle = min(now_s - self._journal_opened_s - TIDY_EVERY_S, now_s - self._used_s - IDLE_S) > 0
        if is_idle and self._reach.journal != IN_MEMORY and not self._journal.absent:
            return Due("the journal is opened anew, so that it forgets what it may.", self._tidy)
        if self._switch is not None and self.parts is not None and not self._spoilt and self._switch.changed():
            return Due("another bundle was rolled out and is opened; try again in a moment.", self._switch_bundle)
        if self.optics.wants_renewal():
            return Due("profiles that runs may name are read anew.", self.optics.renew)
        return None

    def _tidy(self) -> None:
        """Close the journal; `mend` opens it at once."""
        self._due_s = 0.0
        self._close_journal("the journal is being tidied; try again in a moment.")

    def _switch_bundle(self) -> None:
        """Open the engine of the bundle that is to serve beside the one that does, and put it in its place; the camera stays.

        When it cannot be opened, the one that serves goes on. Between runs only; what else is wrong, `mend` says."""
        switch, before, parts = self._switch, self.setup, self.parts
        if switch is None or before is None or parts is None:
            return
        self._due_s = 0.0
        try:
            setup = switch.resolve()
            if not _are_one(setup, before) and _same_camera(setup, before):
                try:
                    self._swap_engine(setup, parts)
                except Exception as problem:  # noqa: BLE001 as everywhere where something is opened
                    self._refuse(setup, problem)
                    setup = switch.resolve()
        except LeukoError as problem:
            _log.debug("the switch was not heeded", exc_info=problem)
            return
        self._take(setup)
        if self.parts is not None:
            switch.answer(setup)

    def _swap_engine(self, setup: Setup, parts: Parts) -> None:
        engine, plan = engine_for(parts.source.info, setup.bundle, setup.settings, correction_for(setup))
        with ExitStack() as undo:
            undo.callback(engine.close)
            require_parity(engine.info.parity, setup.bundle)
            new, optics = replace(parts, engine=engine, plan=plan), NamedOptics(check_age)
            undo.callback(optics.close)
            optics.open(setup, new)
            self.optics.require_no_less(optics)
            undo.pop_all()
        former, self.optics = self.optics, optics
        self.setup, self.parts, self._swapped_in, self._are_new = setup, new, engine, True
        _log.info("bundle %s serves from now on, by %s", setup.bundle.path, engine.info)
        for warning in setup.warnings:
            _log.warning("%s", warning)
        try:
            former.close()
            parts.engine.close()
        except Exception as problem:  # noqa: BLE001 what is left of it may be in any state
            self.spoilt(sentence_of(problem, "the former engine could not be closed"))

    def _refuse(self, setup: Setup, problem: Exception) -> None:
        """The bundle that was rolled out is passed over from now on."""
        why = sentence_of(problem, "opening failed")
        if self._switch is not None and self._switch.refuse(setup, why):
            _log.error("bundle %s cannot serve: %s", setup.bundle.path, why)

    def refusal(self, profile: str) -> OrderFault | None:
        """Why no run can have this profile; None when it can. For any thread."""
        return self.optics.refusal(profile)

    def used(self) -> None:
        """A run has just ended."""
        self._used_s = time.monotonic()

    def keep_warm(self) -> None:
        """Called again and again between runs."""
        if self.parts is None or self._spoilt:
            return
        try:
            self.parts.engine.keep_warm()
            self.optics.keep_warm()
        except Exception as problem:  # noqa: BLE001 whatever it is, it is opened anew
            self.spoilt(sentence_of(problem, "the engine failed between runs"))

    def close(self) -> None:
        """Let go of all. Safe to repeat."""
        self._close_parts()
        self._close_journal("this edge is ending.")

    def _found(self, *, mend: bool) -> str:
        wrong = []
        for step in (self._look_after_journal, self._look_after_setup, self._look_after_parts):
            try:
                step(mend)
            except LeukoError as problem:
                wrong.append(str(problem))
            except Readdressed:
                raise
            except Exception as problem:  # noqa: BLE001 a driver may raise anything, and the service must stay reachable
                _log.debug("where it failed", exc_info=problem)
                wrong.append(sentence_of(problem, "opening failed"))
            if wrong and step == self._look_after_setup:
                break  # what is to be opened is not known
        return " ".join(dict.fromkeys(wrong))

    def _look_after_journal(self, mend: bool) -> None:
        settings, journal = self._reach, self._journal
        path = None if settings.journal == IN_MEMORY else expanded(settings.journal)
        if not journal.absent:
            with suppress(JournalError):  # which `trouble` says from then on
                journal.settle()
            if mend and journal.trouble and path is not None:
                if not has_room_again(path):  # until then it can be read
                    raise JournalError(journal.trouble)
                self._close_journal(journal.trouble)
            elif journal.trouble:
                raise JournalError(journal.trouble)
        if journal.absent:
            if not mend:
                raise JournalError(journal.absent)
            self._open_journal()
        check_room(settings)

    def _open_journal(self) -> None:
        try:
            journal = self._journal_held.enter_context(opened_journal(self._reach, self._boot_id))
        except LeukoError as problem:
            self._journal.take(str(problem))
            raise
        self._journal.put(journal)
        self._journal_opened_s = time.monotonic()
        # What was lost with a journal that failed may be numbered again: its records are told apart by this.
        self._boot_id = str(uuid.uuid4())

    def _close_journal(self, absent: str) -> None:
        self._journal.take(absent)
        self._journal_held.close()

    def _look_after_setup(self, mend: bool) -> None:
        check_clock()
        touched = self.setup is not None and marks_of(self.setup) != self._marks
        if mend or touched or self.setup is None:
            setup = self._resolve()
            if touched and not mend and setup != self.setup:
                raise ConfigError(f"bundle or profile has changed ({setup.bundle.path}); what rests on it is opened anew.")
            self._take(setup)
        if self.setup is not None:
            check_age(self.setup)

    def _take(self, setup: Setup) -> None:
        if any(getattr(setup.settings, name) != getattr(self._reach, name) for name in OF_THE_PROCESS):
            raise Readdressed
        if self.setup is None or not _are_one(setup, self.setup):
            self._close_parts()
        if setup != self.setup:
            for warning in setup.warnings:
                _log.warning("%s", warning)
        self.setup, self._marks = setup, marks_of(setup)

    def _look_after_parts(self, mend: bool) -> None:
        if self._spoilt:
            if not mend:
                raise EngineError(self._spoilt)
            self._close_parts()
        if self.parts is None:
            if not mend or self.setup is None:
                raise EngineError("camera and engine are not open.")
            # A run keeps frames and cells in directories of its own.
            settings = self.setup.settings.model_copy(update={"keep_frames": None, "keep_crops": None})
            try:
                self.parts = self._parts_held.enter_context(self._opened_parts(replace(self.setup, settings=settings)))
                if self._switch is not None and self._switch.has_ordered(self.setup):
                    require_parity(self.parts.engine.info.parity, self.setup.bundle)
            except (EngineError, BundleError, ConfigError) as problem:
                self._close_parts()
                self._refuse(self.setup, problem)
                raise
            _log.info("%s reads %s", self.parts.engine.info, self.parts.source.info.uri)
            self._are_new = True
            self.optics.open(self.setup, self.parts)
            if self._switch is not None:
                self._switch.answer(self.setup)
                if why := why_it_serves(self._switch, self.setup):
                    _log.info("%s", why)
        source = self.parts.source
        if isinstance(source, LookedAfter):
            try:
                source.look_after()
            except CameraLost as problem:
                self.spoilt(str(problem))
                raise
            finally:
                for note in source.notes():  # nobody's run: what happens between two of them
                    _log.warning("%s", note.message)

    def _close_parts(self) -> None:
        self.parts, self._spoilt = None, ""
        self.optics.close()
        swapped_in, self._swapped_in = self._swapped_in, None
        with ExitStack() as closing_both:
            closing_both.callback(self._parts_held.close)
            if swapped_in is not None:
                closing_both.callback(swapped_in.close)


def _are_one(one: Setup, other: Setup) -> bool:
    """Whether nothing has to be opened anew between them: what is said of them may differ."""
    return replace(one, warnings=(), origins={}) == replace(other, warnings=(), origins={})


def _same_camera(one: Setup, other: Setup) -> bool:
    """Whether the source that is open for one is what the other would open."""

    def of_the_source(setup: Setup) -> tuple[object, ...]:
        settings = setup.settings
        return settings.source, settings.um_per_px, settings.objective, setup.profile_sha256, setup.profile_camera

    return of_the_source(one) == of_the_source(other)
