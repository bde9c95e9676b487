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
    new: Annotated[Path | None, typer.Argument(metavar="BUNDLE", help="Directory with the new model.")] = None,
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
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Let the new bundle serve from the next run on, if its counts agree.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="With --take-over: also if they do not, or nothing is decided.")
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Let the bundle serve that served before, from the next run on.")
    ] = False,
    wait_s: Annotated[float, typer.Option(min=0, help="Wait so long for what the service says of that.")] = 30.0,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as a page, too.")] = None,
    log_level: LogLevelOption = "warning",
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as one JSON object on standard output.")] = False,
) -> None:
    """Hold a new bundle against the one that serves, on the same fields, in a process beside the service.

    The settings are the service's (--config), and the new bundle's engine is opened as the service would open it. Cells are
    matched by their boxes; shares of classes and the number of leukocytes are held against binomial limits of the current
    bundle's counts; times are of this process, which stands back behind the service.

    --take-over writes the switch, one small file beside the journal. The service opens the new engine beside the old one as
    soon as no run is in progress, and only then lets the old one go; when it cannot, the old one goes on, and this says why.
    `run_start` names the bundle of every run. --back turns the switch round. It is void once the configuration names another
    bundle.

    Exit code: 0 the counts agree within the limits, or what was ordered is done; 10 they do not, or too little was compared;
    2 a setting, 3 the new bundle or the profile, 4 no fields to compare, 5 an engine that may not be opened, 8 the journal.
    """
    from edge.contracts.errors import ConfigError
    from edge.rollout.rolling_out import NO_SOURCE, Fields, Shown, TakeOver, compare_bundles, go_back
    from edge.service.process import set_up_logging
    from edge.service.serving_setup import Stated

    set_up_logging(log_level, None)
    stated = Stated(given, config, os.environ, NO_SOURCE)
    if back:
        if new is not None or take_over:
            raise ConfigError("--back names no bundle: it is the one that served before; leave BUNDLE and --take-over out.")
        raise typer.Exit(go_back(stated, wait_s))
    if new is None:
        raise ConfigError("no bundle is named; give the directory of the new one, or --back.")
    on = Fields(run, frames, next_fields, fields, within_s)
    raise typer.Exit(compare_bundles(stated, new, on, Shown(as_json, html), TakeOver(take_over, accept, wait_s)))
