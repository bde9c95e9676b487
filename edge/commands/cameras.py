"""`leuko-edge cameras`: which cameras there are, and how a run names them."""

from typing import Annotated

import typer


def cameras(
    source: Annotated[
        str | None, typer.Argument(help="A source as `run` takes it, options included: open it and say what it can do.")
    ] = None,
    network: Annotated[
        bool, typer.Option("--network", help="Also ask the network: sends a broadcast on every interface.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List cameras as `leuko-edge run --source` takes them.

    Video devices of this machine are listed by their device files, none is opened.
    GenTL producers are listed by their files, none is loaded.
    Cameras on the network are looked for only with --network.
    That sends broadcasts into networks that may not be yours.

    With SOURCE that one is opened instead and told: its size, its settings as it has them, and what it can do.
    If it paces itself, its first frame is waited for, too.

    Exit code: 0 something was found; 2 a mistake in SOURCE;
    4 nothing was found, or SOURCE cannot be opened, or paces itself and gives no frame.
    """
    from edge.doctor.camera_facts import tell_of_one
    from edge.doctor.camera_search import tell_of_all

    if source is not None:
        tell_of_one(source, as_json)
    else:
        tell_of_all(network, as_json)
