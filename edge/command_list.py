"""`leuko-edge`: its commands. Each is a file of `edge.commands`, and is imported when it is asked for."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

COMMANDS = {
    "serve": "Serve run after run, as a service: says how it is, and mends what it can.",
    "run": "Serve one run to a controller.",
    "runs": "Look into a journal: list, show, export, verify and review its runs.",
    "rollout": "Compare a new bundle with the one that serves, on the same fields, take over, go back.",
    "report": "Say what a run has found: on the terminal, as JSON, as a page to keep.",
    "export": "Write a run's result for other programs: tables, QuPath, training data, HL7, LIS2.",
    "logs": "Pack what a run left behind into one archive to send: records, log, configuration, versions.",
    "config": "Write, check and show the configuration: one commented file.",
    "keys": "Say who may connect: make keys, let clients in, shut them out.",
    "sign": "Say whose models an edge loads: sign bundles, engines and profiles, and check who signed them.",
    "view": "Show an edge in a browser: state, last field, map, differential, cells, latency, gaps.",
    "watch": "Start a run on an edge and show it: the reference controller.",
    "simulate": "Play a scanner that triggers, and to which things happen.",
    "count": "Count images, a folder or a video here and now, into tables and pictures.",
    "replay": "Count a run once more from its records, and prove its result.",
    "scan": "Scan a drawn slide with an emulated scanner through a real edge; truth against count.",
    "score": "Score an archive: many slides into Parquet tables, in shards, resumed where it was killed.",
    "demo": "Run edge and controller in one, over a drawn (synthetic) slide.",
    "bench": "Measure graph, engine, loop and whole edge; `bench compare` holds two measurements against each other.",
    "bench-stream": "Measure the way to the controller: records through a journal on disk and a socket.",
    "bench-runs": "Measure the way from run to run: how soon a service is at the next one's first field.",
    "cameras": "List cameras as `run --source` takes them, or say what one can do.",
    "record": "Write a camera's frames to disk, losslessly.",
    "soak": "Run a camera through the whole loop, without a controller: what is lost, and how long it takes.",
    "doctor": "Say what is installed, and which engine a run would open.",
}


BELOW = {("bench", "compare"): "bench_compare"}
"""Words after a command's name that make it another command, and that one's name in the same file."""


class Command(TyperCommand):
    """A command by its name and its line in the list; the rest of it is imported when it is asked for."""

    @property
    def whole(self) -> Any:  # noqa: ANN401 see below
        """The command with its options, or the group with its commands."""
        name = str(self.name)
        return _loaded(name, name.replace("-", "_"))

    # Where the types of these are defined differs between the releases of Typer.
    def make_context(self, info_name: Any, args: list[str], *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        if args and (function := BELOW.get((str(self.name), args[0]))) is not None:
            return _loaded(args[0], str(self.name), function).make_context(f"{info_name} {args[0]}", args[1:], *rest, **more)
        return self.whole.make_context(info_name, args, *rest, **more)


def _loaded(name: str, module: str, function: str = "") -> Any:  # noqa: ANN401 as above
    found = getattr(import_module(f"edge.commands.{module}"), function or module)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        found = alone
    return typer.main.get_command(found)


app = typer.Typer(
    help="Camera fields in, live counts out.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
for _name, _says in COMMANDS.items():
    app.command(_name, cls=Command, help=_says)(lambda: None)
