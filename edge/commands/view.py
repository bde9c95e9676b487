"""`leuko-edge view`: an edge in a browser."""

from pathlib import Path
from typing import Annotated

import typer


def view(
    endpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="TELEMETRY_ENDPOINT",
            help="Address of the edge's --telemetry; tcp://127.0.0.1:5571 unless a journal alone is to be shown.",
        ),
    ] = None,
    bind: Annotated[str, typer.Option(help="HOST:PORT of the page; port 0 takes a free one.")] = "127.0.0.1:8571",
    journal: Annotated[
        Path | None,
        typer.Option(help="The edge's journal, read only: boxes, positions, events, and every field that the socket missed."),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option(help="File with a secret, readable by you alone: who knows it may review cells. Read-only without."),
    ] = None,
    frames: Annotated[Path | None, typer.Option(help="Folder of --keep-frames, when it was moved.")] = None,
    crops: Annotated[Path | None, typer.Option(help="Folder of --keep-crops, when it was moved.")] = None,
    key: Annotated[Path | None, typer.Option(help="Own secret key (NAME.key_secret), for an edge with keys.")] = None,
    edge_key: Annotated[Path | None, typer.Option(help="Public key of that edge (edge.key).")] = None,
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="Allow a --bind that other machines can reach: whoever does can read.")
    ] = False,
) -> None:
    """Show an edge on one page in a browser: state, last field with its boxes, map, differential, cells, speed, alarms, gaps.

    It subscribes and reads, and commands nothing. Needs the extra `view`: pip install 'leukostream[view]'.

    leuko-edge view tcp://127.0.0.1:5571 --journal journal.sqlite
    """
    from edge.view.page_server import serve_page
    from edge.watch.follow import keys_given

    if endpoint is None and journal is None:
        endpoint = "tcp://127.0.0.1:5571"
    serve_page(
        endpoint,
        journal,
        bind,
        token=token,
        keys=keys_given(key, edge_key),
        frames=frames,
        crops=crops,
        open_to_network=open_to_network,
    )
