"""From summaries to the files of a report."""

from collections.abc import Sequence
from pathlib import Path

from edge.contracts.errors import ConfigError
from edge.contracts.whole_file import write_whole
from trainer.reporting.accuracy import beside_reference, own_accuracy
from trainer.reporting.confusion_tables import confusion, confusion_beside_reference
from trainer.reporting.document import Section, html_page, markdown
from trainer.reporting.error_gallery import worst_errors_section
from trainer.reporting.formatting import listed
from trainer.reporting.operating_tables import leukocytes, operating, subsets
from trainer.reporting.precision_drawings import abnormal, curves
from trainer.reporting.report_sources import MeasuredRun, load_reference
from trainer.reporting.speed import speed
from trainer.reporting.what_was_measured import what_was_measured

MAX_NAMED = 3
"""Models in the title; more are counted."""


def sections_of(runs: Sequence[MeasuredRun], root: Path | None) -> tuple[Section, ...]:
    """The whole report in reading order: one's own figures and pictures, then what the reference published, beside them.

    Raises `DataError` for a picture that cannot be cut from under `root`.
    """
    reference = load_reference()
    return (
        what_was_measured(runs),
        leukocytes(runs),
        own_accuracy(runs),
        operating(runs),
        curves(runs),
        confusion(runs),
        subsets(runs),
        worst_errors_section(runs, root),
        beside_reference(runs, reference),
        speed(runs, reference),
        confusion_beside_reference(runs, reference),
        abnormal(runs, reference),
    )


def write_report(runs: Sequence[MeasuredRun], folder: Path, root: Path | None) -> tuple[Path, Path]:
    """`report.html` and `report.md` in `folder`, which is made; older ones are replaced. Raises `ConfigError` when they cannot
    be written there."""
    names = listed([run.name for run in runs]) if len(runs) <= MAX_NAMED else f"{len(runs)} models"
    title = f"What {names} can and cannot do"
    sections = sections_of(runs, root)
    html, text = folder / "report.html", folder / "report.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(html, html_page(title, sections))
        write_whole(text, markdown(title, sections))
    except OSError as problem:
        raise ConfigError(f"the report cannot be written to {folder} ({problem.strerror}); choose another --out.") from problem
    return html, text
