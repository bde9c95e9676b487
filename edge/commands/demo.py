"""`leuko-edge demo`: an edge process and its controller, both real, over a loopback socket."""

from typing import Annotated

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import Given, takes


@takes(EdgeSettings, "source", "um_per_px", "bundle")
def demo(
    given: Given,
    fields: Annotated[int, typer.Option(min=1, help="How many fields.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="One record a line on standard output.")] = False,
) -> None:
    """Run an edge process over a drawn (synthetic) slide and watch it as a controller would; ends by itself.

    With --source it reads your own fields instead of the drawn ones.
    """
    from edge.watch.demonstration import demonstrate

    raise typer.Exit(demonstrate(given, fields, as_json))
