"""`leuko-edge rollout`: a new bundle beside the one that serves."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ENGINE_SETTINGS, ConfigOption, Given, LogLevelOption, takes

_OF_THE_SERVICE = ("journal", "keep_frames", "um_per_px", "profile", "objective", "signers", "correct", "thresholds")


@takes(EdgeSettings, *_OF_THE_SERVICE, *ENGINE_SETTINGS)
def rollout(
    given: Given,
    new: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory with the new model.")],
    config: ConfigOption = None,
    run: Annotated[str | None, typer.Option(help="Compare on a recorded run of --journal: its id, or how it begins.")] = None,
    frames: Annotated[
        str | None, typer.Option(help="Compare on these: a recording, images, a video; with --run, where its frames are now.")
    ] = None,
    next_fields: Annotated[
        int | None, typer.Option("--next", min=1, help="Compare on the service's next so many fields, as it keeps them.")
    ] = None,
    fields: Annotated[int | None, typer.Option(min=1, help="Of --run and --frames no more than so many fields.")] = None,
    within_s: Annotated[float, typer.Option(min=1, help="Wait for --next no longer than this.")] = 3600.0,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as a page, too.")] = None,
    log_level: LogLevelOption = "warning",
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as one JSON object on standard output.")] = False,
) -> None:
    """Hold a new bundle against the one that serves, on the same fields, in a process beside the service.

    The settings are the service's (--config), and the new bundle's engine is opened as the service would open it. Cells are
    matched by their boxes; shares of classes and the number of leukocytes are held against binomial limits of the current
    bundle's counts; times are of this process, which stands back behind the service.

    Exit code: 0 the counts agree within the limits; 10 they do not, or too little was compared; 2 a setting, 3 the new bundle
    or the profile, 4 no fields to compare, 5 an engine that may not be opened, 8 the journal.
    """
    from edge.rollout.rolling_out import Fields, Shown, compare_bundles
    from edge.service.process import set_up_logging

    set_up_logging(log_level, None)
    on = Fields(run, frames, next_fields, fields, within_s)
    raise typer.Exit(compare_bundles(given, config, os.environ, new, on, Shown(as_json, html)))
