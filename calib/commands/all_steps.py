"""`leuko-calib all`: every measurement of an instrument, in order, for whoever installs it."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def all_steps(
    folder: Annotated[Path, typer.Argument(help="where the profiles go, one for each step; what is there already is kept")],
    answers: Annotated[Path | None, typer.Option(help="YAML file with what would be asked")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing: a step without an answer is left out")] = False,
    bundle: Annotated[Path | None, typer.Option(help="the model; the shipped one when not given")] = None,
) -> None:
    """Walk through um/px, light, colours, focus, stage, thresholds and latency, asking for what each needs.

    It can be ended at any time and goes on where it was; no file is ever overwritten. What fails is told and asked again, an
    empty answer leaves a step out, and the end says what is missing and what that costs. Exit code 0: all is there. 10: not
    all.

    leuko-calib all bench-3/ --answers bench-3.yaml --yes
    """
    from rich.console import Console

    from calib.installation import Installation, read_answers
    from edge.contracts.errors import ConfigError

    given = read_answers(answers) if answers is not None else {}
    if not yes and not sys.stdin.isatty():
        raise ConfigError("standard input is no terminal, so nothing can be asked; give --yes, and --answers FILE.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder for the profiles.")
    console = Console(highlight=False)

    def say(sentence: str) -> None:
        console.print(sentence, soft_wrap=True, markup=False)

    def ask(question: str) -> str:
        try:
            return console.input(f"{question}: ", markup=False)
        except EOFError:
            return ""

    installation = Installation(folder, ask, say, bundle)
    if installation.path is not None:
        say(f"going on from {installation.path}")
    installation.walk(given, not yes)
    missing = installation.missing()
    for part in missing:
        state = "has expired" if part.said else "is missing"
        say(f"{part.step.name} {state} (`leuko-calib {part.step.command}`): {part.step.costs}.")
    if installation.path is not None:
        say(f"the profile: {installation.path}; hold it against the camera with `leuko-calib check {installation.path}`")
    raise typer.Exit(10 if missing else 0)
