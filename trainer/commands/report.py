"""`leuko-train report`."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    summaries: Annotated[list[Path], typer.Argument(help="what leuko-train evaluate --json printed; one file per model")],
    out: Annotated[Path, typer.Option(help="folder for report.html and report.md")],
    root: Annotated[Path | None, typer.Option(help="folder of the images, for pictures of the worst errors")] = None,
) -> None:
    """Write one page and Markdown tables from measured figures, with the reference's beside them.

    leuko-train evaluate bundles/tiny --data datasets.yaml --root DIR --json > tiny.json
    leuko-train report tiny.json --out report --root DIR
    """
    from trainer.reporting.report_sources import load_runs  # noqa: PLC0415 - no other command needs them
    from trainer.reporting.report_writer import write_report  # noqa: PLC0415

    for path in write_report(load_runs(summaries), out, root):
        print(path)
