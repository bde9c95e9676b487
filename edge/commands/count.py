"""`leuko-edge count`: images, folders or a video, counted here and now, without a controller."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ENGINE_SETTINGS, ConfigOption, Given, LogLevelOption, takes

_OF_THE_RUN = ("um_per_px", "profile", "objective", "signers", "correct", "thresholds", "slide_id", "sample_id")


@takes(EdgeSettings, *_OF_THE_RUN, *ENGINE_SETTINGS)
def count(
    given: Given,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Images, folders, globs, videos, recordings, or a source of a run.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for the result.")],
    config: ConfigOption = None,
    pictures: Annotated[
        Literal["all", "cells", "none"],
        typer.Option(
            help="Fields drawn with boxes and labels: all, those with cells, or none (then no cells are cut out, too)."
        ),
    ] = "all",
    fields: Annotated[int | None, typer.Option(min=1, help="Count no more than so many fields.")] = None,
    log_level: LogLevelOption = "warning",
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on standard output.")] = False,
) -> None:
    """Count the cells of images, folders or videos, and write the result into a new folder.

    The same run as a camera's, in this process: what it cannot use is a field with a reason, and never zero cells.

    In --out: report.html, cells.csv and fields.csv, summary.json with the differential and its limits,
    every field with boxes and labels (pictures), every cell cut out (crops), and the run's records (journal.sqlite).

    Exit code: 0 every field was counted; 4 one or more were not, or nothing could be read;
    1 the run failed or was stopped before its end; 2 a setting, 3 the bundle or profile, 5 the engine, 8 the journal.
    """
    from edge.local.folder_count import Wanted, count_paths
    from edge.service.process import set_up_logging

    set_up_logging(log_level, None)
    raise typer.Exit(count_paths(given, config, paths, Wanted(out, pictures, fields), as_json=as_json))
