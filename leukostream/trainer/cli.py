"""`leuko-train`: fit, evaluate, export, report."""

import typer

from leukostream.edge.contracts.exits import run_command_line
from leukostream.trainer.commands.evaluate import evaluate
from leukostream.trainer.commands.export import export
from leukostream.trainer.commands.fit import fit
from leukostream.trainer.commands.report import report

app = typer.Typer(
    help="Annotated images in, a bundle out.\n\nfit trains, evaluate measures a bundle, export writes one, "
    "report sets the figures beside the reference's.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(fit)
app.command()(evaluate)
app.command()(export)
app.command()(report)


def main() -> None:
    """Entry point."""
    run_command_line(app)
