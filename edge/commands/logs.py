"""`leuko-edge logs`: what to send when a run went wrong."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ConfigOption, Given, takes


@takes(EdgeSettings, "journal", "log_file")
def logs(
    given: Given,
    run: Annotated[str, typer.Argument(help="id of a run, or how it begins")],
    config: ConfigOption = None,
    out: Annotated[
        Path | None, typer.Option(help="archive to write; leukostream-support-RUN.zip in this folder when not given")
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="no archive: the run's lines of the log for people, on standard output")
    ] = False,
) -> None:
    """Pack everything about a run into one archive: records, log, configuration, versions, and what doctor says.

    The run's chain is verified before; the verdict is in the archive. Passwords and tokens are left out, ids of slides and
    samples are replaced by words, and no image is in it.

    Journal and log file are those of --config or the environment, or of the options.

    Exit code: 0 the archive is written, whatever the verdict; 2 it, or a setting, cannot be used; 8 the journal cannot be read.
    """
    from edge.doctor.run_support import as_set_now, pack_support, tell_lines

    now = as_set_now(given, config, os.environ)
    if only_print:
        tell_lines(run, now)
    else:
        pack_support(run, now, out)
