"""`leuko-edge export`: a run's result for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.commands.runs import JournalOption, RunArgument
from edge.settings import DEFAULT_JOURNAL


def export(
    run: RunArgument,
    how: Annotated[Literal["csv", "geojson", "coco", "yolo", "hl7", "astm"], typer.Option("--as", help="what to write")],
    out: Annotated[Path, typer.Option(help="csv, coco, yolo: a new folder; else a file")],
    journal: JournalOption = DEFAULT_JOURNAL,
    frames: Annotated[
        Path | None, typer.Option(help="coco, yolo: recording or folder of images, where the run's own was moved")
    ] = None,
    unit: Annotated[Literal["px", "um"], typer.Option(help="geojson: pixels of the slide, or micrometres")] = "px",
    field: Annotated[int | None, typer.Option(min=0, help="geojson: this field alone, in its own pixels")] = None,
    specimen: Annotated[
        Literal["unknown", "blood"], typer.Option(help="hl7, astm: blood adds LOINC codes, which are for blood alone")
    ] = "unknown",
    reviewed: Annotated[bool, typer.Option("--reviewed", help="coco, yolo: fields whose every cell was reviewed")] = False,
) -> None:
    """Write a run's result for other programs: tables, outlines for QuPath, training data, messages for a laboratory's system.

    leuko-edge export RUN --as geojson --out cells.geojson

    Cells that were reviewed are called as the reviews say. Messages are files: how they are sent is the host's.
    """
    from edge.reports.export_files import Wish, export_result

    export_result(journal, run, Wish(how, out, frames, unit, field, specimen, reviewed))
