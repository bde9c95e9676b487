"""`leuko-edge config`: the file that says what an edge is told."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ConfigOption, Given, takes

config = typer.Typer(
    help="Write a commented configuration, look through one, and say where each value in effect comes from.",
    no_args_is_help=True,
    add_completion=False,
)

FileArgument = Annotated[Path, typer.Argument(help="configuration: TOML (*.toml), or YAML")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output")]


@config.command("init")
@takes(EdgeSettings)
def init(
    given: Given,
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option(help="file to write; it must not be there yet")] = Path("edge.toml"),
) -> None:
    """Write a commented file with every setting: those given here in effect, all others behind a # with their defaults.

    With --config what that file states is in effect, too: so a YAML file of an older version becomes a TOML one.
    """
    from edge.doctor.configuration_check import write_configuration

    write_configuration(given, config, out)
    print(f"written  {out}")


@config.command("check")
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Look through a file as a run would before it opens camera and engine, and say everything that is wrong with it.

    Keys and values, the hashes of bundle and profile and who signed them, addresses, whether journal and log can be written.
    Nothing is opened or bound, so an edge may be running. The environment is not looked at: it is another process's.

    Exit code: 0 a run would take it, perhaps with warnings; 2 it would not.
    """
    from edge.doctor.configuration_check import tell_check

    tell_check(file, as_json)


@config.command("show")
@takes(EdgeSettings)
def show(given: Given, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every value that a run with this command line, environment and file would use, and where it comes from."""
    from edge.watch.settings_text import tell_settings

    tell_settings(given, config, os.environ, as_json)
