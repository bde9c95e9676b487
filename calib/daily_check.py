"""One day's check of a reference slide: run, judged, put on record, drawn; and what is told of it."""

from dataclasses import dataclass
from datetime import datetime, timezone
from os.path import realpath  # a loop of links is an error of Path.resolve
from pathlib import Path

import numpy as np

from calib.plots import require_suffix
from calib.qc_history import QcDay, append_day, read_days
from calib.qc_trend import write_trend
from calib.reference_slide import SlideCount, count_slide
from edge.contracts.bundle import sha256_of
from edge.contracts.choices import EngineChoice
from edge.contracts.errors import ConfigError, DataError
from edge.contracts.label_lines import LabelledImage, read_label_lines
from edge.contracts.profile import load_profile
from edge.settings.resolution import resolve

EXIT_CODES = {"pass": 0, "fail": 12, "not decided": 10}


@dataclass(frozen=True, slots=True)
class Slide:
    """Known cells (JSON lines), today's images, and where they are known the images that were annotated."""

    known: Path
    fields: Path
    reference: Path | None


@dataclass(frozen=True, slots=True)
class DayChecked:
    """The result, and what the history holds now: `days` with it, and the numbers of lines that are no results."""

    day: QcDay
    count: SlideCount
    warnings: tuple[str, ...]
    days: list[QcDay]
    odd_lines: list[int]
    is_laid_over: bool
    """whether today's fields were laid over the annotated ones"""


def check_day(
    slide: Slide,
    history: Path,
    trend: Path,
    profile: Path | None,
    bundle: Path | None,
    minimum: float,
    engine: EngineChoice,
    note: str,
) -> DayChecked:
    """Run the slide, append the result to `history` and draw `trend` anew; a trend that cannot be drawn is a warning.

    Raises any `LeukoError` that keeps it from being a result; nothing is on record then.
    """
    for what, file in (("history", history), ("list of known cells", slide.known)):
        if realpath(trend) == realpath(file):
            raise ConfigError(f"the picture of the trend would overwrite the {what} {file}; name another file with --picture.")
    require_suffix(trend)
    if history.exists():
        read_days(history)  # what cannot be appended to is said before a minute is spent
    lines = read_label_lines(slide.known)
    if len({line.path for line in lines}) < len(lines):
        raise DataError(f"{slide.known} names an image twice; a reference slide is a list of fields, every one once.")
    instrument, given = _given(slide, lines, profile, bundle, engine)
    setup = resolve(given)
    count = count_slide(setup, lines, slide.fields, slide.reference)
    if not count.known:
        raise DataError(f"{slide.known} names no leukocyte that lies in a field of today; nothing can be looked for.")
    low, high = count.limits
    day = QcDay(
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        verdict=count.verdict(minimum),
        minimum=minimum,
        known=count.known,
        found=count.found,
        share=count.share,
        low=low,
        high=high,
        typed_known=count.typed_known,
        typed_found=count.typed_found,
        false_cells=count.false_cells,
        fields=count.fields,
        fields_not_usable=len(count.complaints),
        off_um=float(np.median(count.off_um)) if count.off_um else None,
        instrument=instrument,
        bundle_id=setup.bundle.bundle_id,
        profile_sha256=setup.profile_sha256,
        reference_sha256=sha256_of(slide.known),
        engine=engine,
        note=note,
    )
    append_day(history, day)
    days, odd = read_days(history)
    try:
        write_trend(trend, days)
    except ConfigError as problem:  # the result is on record, and its verdict stands
        return DayChecked(day, count, (*setup.warnings, str(problem)), days, odd, slide.reference is not None)
    return DayChecked(day, count, setup.warnings, days, odd, slide.reference is not None)


def _given(
    slide: Slide, lines: list[LabelledImage], profile: Path | None, bundle: Path | None, engine: EngineChoice
) -> tuple[str, dict[str, object]]:
    """The instrument's name, and settings as a run would be given them."""
    given: dict[str, object] = {"source": f"folder:{slide.fields}", "engine": engine}
    if bundle is not None:
        given["bundle"] = bundle
    if profile is None:
        return "unnamed", given | {"um_per_px": lines[0].um_per_px}
    read, _ = load_profile(profile)
    if read.pixel_size is None:
        given["um_per_px"] = lines[0].um_per_px
    return read.instrument, given | {"profile": profile}


def as_lines(checked: DayChecked, history: Path, trend: Path) -> list[str]:
    """What is told to people."""
    day, count = checked.day, checked.count
    typed = f"{day.typed_found} of {day.typed_known} under their type, " if day.typed_known else ""
    off = f"{day.off_um:.2f} um off (median), " if day.off_um is not None else ""
    lines = [
        f"{day.found} of {day.known} known leukocytes found: {day.share:.1%} (95 % limits {day.low:.1%} to {day.high:.1%}), "
        f"minimum {day.minimum:.1%}",
        f"{typed}{off}{day.false_cells} cells where none is known, {day.fields} fields",
        *checked.warnings,
        *count.complaints,
    ]
    if checked.odd_lines:
        lines.append(f"line {checked.odd_lines[0]} of {history} is no result and was left out")
    if not checked.is_laid_over and day.verdict != "pass":
        lines.append(
            "today's fields were taken as they lie: a slide that lies otherwise than it did counts as cells not found; give "
            "the images that were annotated with --reference"
        )
    if day.verdict == "not decided":
        needed = count.enough(day.minimum)
        more = f"about {needed} would at this share" if needed else "the share is too close to the minimum for any number"
        lines.append(f"too few known cells to decide: {more}")
    return [*lines, f"{day.verdict}; {len(checked.days)} results in {history}, the trend: {trend}"]
