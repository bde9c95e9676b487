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
    from edge.contracts.interruption import Interrupted

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
    try:
        installation.walk(given, not yes)
    except (Interrupted, KeyboardInterrupt):
        kept = f"what was measured is in {installation.path}" if installation.path is not None else "nothing was measured"
        say(f"broken off; {kept}, and the same command goes on from there.")
        raise
    missing = installation.missing()
    for part in missing:
        state = "expired" if part.said else "missing"
        say(f"{part.step.name}: {state} (`leuko-calib {part.step.command}`), so that {part.step.costs}.")
    if missing:
        say("the same command asks for what is missing and for nothing else.")
    if installation.path is not None:
        say(
            f"the profile, for `leuko-edge run --profile`: {installation.path}; hold it against the camera with "
            f"`leuko-calib check {installation.path} --source SOURCE`"
        )
    raise typer.Exit(10 if missing else 0)
