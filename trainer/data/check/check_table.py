"""A check's report for people."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from trainer.data.annotation import SPLITS
from trainer.data.check.accounting import Account
from trainer.data.check.check_data import CheckReport
from trainer.data.readers.class_map import LABEL_NAMES

SHOWN = 10
"""Sentences of one kind; the JSON document has them all."""


def show(report: CheckReport, as_json: bool) -> None:
    """Print it: as one JSON document, or as tables and sentences."""
    if as_json:
        print(report.model_dump_json(indent=1))
        return
    console = Console()
    for part in rendered(report):
        console.print(part, soft_wrap=isinstance(part, str), highlight=False)


def rendered(report: CheckReport) -> Iterator[RenderableType]:
    """Images and cells by source, cells by class, then what was found, errors first."""
    yield _images(report)
    yield _cells(report)
    for account in report.accounts:
        yield from _accounted(account)
    if report.repeated:
        yield f"{report.repeated} images are in several data sets and are used once"
    for severity in ("error", "warning"):
        found = [finding for finding in report.findings if finding.severity == severity]
        shown: Counter[str] = Counter()
        for finding in found:
            shown[finding.kind] += 1
            if shown[finding.kind] <= SHOWN:
                yield f"{severity} ({finding.kind}): {escape(finding.sentence)}"
        for kind, count in shown.items():
            if count > SHOWN:
                yield f"{severity} ({kind}): {count - SHOWN} more; --json lists all"
    yield f"{report.count('error')} errors, {report.count('warning')} warnings"


def _accounted(account: Account) -> Iterator[str]:
    """What became of everything in one folder, a line each for images, label files and boxes."""
    for what, one in (("images", account.images), ("label files", account.label_files), ("boxes", account.boxes)):
        if one.found or what == "images":
            rest = "".join(f" + {count} {reason}" for reason, count in one.not_used.items())
            yield escape(f"{account.folder}: {one.found} {what} = {one.used} used{rest}")


def _images(report: CheckReport) -> Table:
    table = Table("source", "split", "images", "without cells", "cells", title=f"{report.description}, {report.split_by}")
    for part in report.parts:
        numbers = (part.images, part.images_without_cells, sum(part.cells.values()))
        table.add_row(part.source, part.split, *map(str, numbers))
    return table


def _cells(report: CheckReport) -> Table:
    sources = sorted({part.source for part in report.parts})
    table = Table("cells, train/val/test", *sources)
    for column in table.columns:
        column.overflow = "fold"
    counts = {(part.source, part.split): part.cells for part in report.parts}
    for name in LABEL_NAMES.values():
        rows = [[counts.get((source, split), {}).get(name, 0) for split in SPLITS] for source in sources]
        if any(map(any, rows)):
            table.add_row(name, *("/".join(map(str, row)) if any(row) else "" for row in rows))
    return table
