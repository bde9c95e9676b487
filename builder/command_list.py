"""`leuko-build`: inspect, engine, quantize, verify, serve-repository."""

import typer

from builder.commands.engine import engine
from builder.commands.inspect import inspect
from builder.commands.quantize import quantize
from builder.commands.serve_repository import serve_repository
from builder.commands.verify import verify

app = typer.Typer(
    help="From a bundle to an FP16 engine for the GPU of a scanner, or to an int8 bundle for its CPU.\n\n"
    "inspect looks into a bundle and at its engines, engine builds one, quantize writes an int8 bundle, verify holds either "
    "against the bundle's graph, "
    "serve-repository writes it as inference servers load it.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(inspect)
app.command()(engine)
app.command()(quantize)
app.command()(verify)
app.command()(serve_repository)
