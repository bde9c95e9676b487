"""What `leuko-edge rollout` does: compare a new bundle with the one that serves, beside it and on the same fields."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console

from edge.contracts.errors import BundleError, ConfigError, EngineError, FrameError, SourceError
from edge.contracts.user_paths import expanded
from edge.rollout.bundle_comparison import Comparing, Comparison
from edge.rollout.bundle_side import BundleSide, opened_side
from edge.rollout.comparison_text import show_comparison, write_comparison_page
from edge.rollout.fields_to_compare import FieldToCompare, next_fields, of_place, of_run
from edge.rollout.taking_over import former_of, order_bundle, order_former, outcome, require_fit
from edge.service.serving_setup import Stated
from edge.settings import Setup

OUTSIDE = 10
"""Exit code: the counts do not agree, or too little was compared to say."""
NO_SOURCE = "none:"
"""for settings that state none: nothing is opened by it"""
_NICER = 10


@dataclass(frozen=True, slots=True)
class Fields:
    """On which fields: of a run, of a place, or the next so many of the service; at most `most`."""

    run_id: str | None = None
    frames: str | None = None
    next_fields: int | None = None
    most: int | None = None
    within_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Shown:
    """How the comparison is told."""

    as_json: bool = False
    html: Path | None = None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Whether the new bundle is to serve, whatever the counts say (`accept`), and how long to wait for the service's answer."""

    is_wanted: bool = False
    accept: bool = False
    within_s: float = 30.0


def compare_bundles(stated: Stated, new_bundle: Path, fields: Fields, shown: Shown, take_over: TakeOver) -> int:
    """Compare, print it, and order the new one where that is wanted. Returns the exit code: 0 within the limits, or ordered;
    `OUTSIDE` outside of them, or undecided.

    Raises any `LeukoError` that says why the new bundle could not serve, or why nothing can be compared.
    """
    current, new = stated.serving().setup, stated.with_bundle(new_bundle)
    found = compared(current, new, fields)
    tell_comparison(found, shown)
    if not take_over.is_wanted:
        return 0 if found.verdict == "within" else OUTSIDE
    require_fit(found, current, new, accept=take_over.accept)
    order_id = order_bundle(_configured(stated, current), current, new)
    _tell(outcome(current.settings, order_id, new.bundle.path, take_over.within_s))
    return 0


def _configured(stated: Stated, current: Setup) -> Setup:
    """Where the configuration's own bundle has gone, the one that serves stands for it."""
    try:
        return stated.with_bundle(None)
    except BundleError:
        return current


def go_back(stated: Stated, within_s: float) -> int:
    """Order the bundle that served before the last order. Raises `ConfigError`, and `BundleError` when that is damaged."""
    settings = stated.reach()
    former = former_of(settings)
    if (found := stated.with_bundle(Path(former.path)).bundle).bundle_id != former.bundle_id:
        raise BundleError(f"{found.path} is not the bundle that served before; the one that serves goes on.")
    order_id = order_former(settings)
    _tell(outcome(settings, order_id, found.path, within_s))
    return 0


def compared(current: Setup, new: Setup, fields: Fields) -> Comparison:
    """Both bundles on the same fields, one field after the other. Raises `SourceError` when there was none."""
    with suppress(OSError):
        os.nice(_NICER)  # the service comes first
    comparing = Comparing()
    with ExitStack() as held:
        sides: tuple[BundleSide, BundleSide] | None = None
        for one in _fields_of(current, fields):
            image = one.frame.image
            if image is None:
                comparing.leave_out(one.frame.status)
                continue
            if sides is None:
                with _named("new", new):
                    new_side = held.enter_context(opened_side(new, one.info))
                with _named("current", current):
                    sides = new_side, held.enter_context(opened_side(current, one.info))
            _add(comparing, one, sides)
        if sides is None or comparing.fields == 0:
            raise SourceError("no field could be compared: there was none with a picture that fits; give others.")
        return comparing.result((current, sides[1].engine), (new, sides[0].engine))


def _fields_of(current: Setup, fields: Fields) -> Iterator[FieldToCompare]:
    settings = current.settings
    if fields.run_id is not None:
        found = of_run(settings.journal, fields.run_id, fields.frames, settings.um_per_px)
    elif fields.frames is not None:
        found = of_place(fields.frames, settings.um_per_px)
    elif fields.next_fields is not None:
        found = next_fields(settings, fields.within_s, _tell)
        return islice(found, fields.next_fields)
    else:
        raise ConfigError(
            "nothing says on which fields to compare; give --run RUN (of --journal), --frames PLACE, or --next N of the "
            "service's next fields."
        )
    return islice(found, fields.most)


def _add(comparing: Comparing, one: FieldToCompare, sides: tuple[BundleSide, BundleSide]) -> None:
    """Which of the two comes first changes from field to field, so that neither always finds the pixels warm."""
    image = one.frame.image
    if image is None:
        return
    order = sides if comparing.fields % 2 else sides[::-1]
    try:
        found = {}
        for side in order:
            is_new = side is sides[0]
            with _named("new" if is_new else "current", side.setup):
                found[is_new] = side.compute(one.frame, image)
    except FrameError as problem:
        comparing.leave_out(str(problem))
        return
    is_first = comparing.fields == 0
    new, current = ((findings, None if is_first else took_ms) for findings, took_ms in (found[True], found[False]))
    comparing.add(current, new, one.record)


@contextmanager
def _named(which: str, setup: Setup) -> Iterator[None]:
    """What an engine says of a bundle says of which."""
    try:
        yield
    except EngineError as problem:
        raise EngineError(f"the {which} bundle {setup.bundle.path} cannot serve here: {problem}") from problem


def tell_comparison(found: Comparison, shown: Shown) -> None:
    """On standard output, and as a page."""
    if shown.html is not None:
        write_comparison_page(found, expanded(shown.html))
    if shown.as_json:
        print(json.dumps(found.model_dump(mode="json")))
    else:
        show_comparison(found, Console(highlight=False))


_tell: Callable[[str], None] = Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print
