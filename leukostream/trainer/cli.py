"""`leuko-train`: fit, evaluate, export."""

import typer

from leukostream.edge.contracts.exits import run_command_line
from leukostream.trainer.commands.evaluate import evaluate
from leukostream.trainer.commands.export import export
from leukostream.trainer.commands.fit import fit

app = typer.Typer(
    help="Annotated images in, a bundle out.\n\nfit trains, evaluate measures a bundle, export writes one.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(fit)
app.command()(evaluate)
app.command()(export)


def main() -> None:
    """Entry point."""
    run_command_line(app)
