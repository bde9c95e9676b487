"""`leuko-build`: inspect, engine, verify, serve-repository."""

import typer

from builder.commands.engine import engine
from builder.commands.inspect import inspect
from builder.commands.serve_repository import serve_repository
from builder.commands.verify import verify

app = typer.Typer(
    help="From a bundle to an FP16 engine for the GPU of a scanner.\n\n"
    "inspect looks into a bundle and at its engines, engine builds one, verify holds it against the bundle's graph, "
    "serve-repository writes it as inference servers load it.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(inspect)
app.command()(engine)
app.command()(verify)
app.command()(serve_repository)
