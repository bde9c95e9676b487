"""`leuko-train`: data, fit, evaluate, crossvalidate, learning-curve, export, colours, second-look, report."""

import typer

from trainer.commands.colours import colours
from trainer.commands.crossvalidate import crossvalidate
from trainer.commands.data import data
from trainer.commands.evaluate import evaluate
from trainer.commands.export import export
from trainer.commands.fit import fit
from trainer.commands.learning_curve import learning_curve
from trainer.commands.report import report
from trainer.commands.second_look import second_look

app = typer.Typer(
    help="Annotated images in, a bundle out.\n\ndata looks at the images, fit trains, evaluate measures a model, "
    "crossvalidate does both for every part of the images, learning-curve for more and more of them, export writes a bundle, "
    "colours adds the colours it knows, second-look a network that looks at each cell again, report sets the figures "
    "beside the reference's.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(fit)
app.command()(evaluate)
app.command()(crossvalidate)
app.command()(learning_curve)
app.command()(export)
app.command()(colours)
app.command()(second_look)
app.command()(report)
app.add_typer(data, name="data")
