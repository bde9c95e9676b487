"""`leuko-edge keys`: who may talk to this edge."""

from pathlib import Path
from typing import Annotated

import typer

keys = typer.Typer(
    help="Make keys for an edge and its clients, and say which clients it lets in.\n\n"
    "On the edge: `keys new edge --out keys`, then `run --keys keys`. On the controller: `keys new scanner-1 --out keys`. "
    "Carry scanner-1.key to the edge and edge.key to the controller; on the edge: `keys allow scanner-1.key --keys keys`.",
    no_args_is_help=True,
    add_completion=False,
)

KeysOption = Annotated[Path, typer.Option("--keys", help="directory with the edge's keys")]


@keys.command()
def new(
    name: Annotated[str, typer.Argument(help="whose keys: `edge` for an edge, any other name for a client")],
    out: Annotated[Path, typer.Option(help="directory to write them to")],
) -> None:
    """Make a pair of keys: NAME.key, which others may have, and NAME.key_secret, which nobody else may."""
    from edge.stream.curve_keys import new_pair

    public, secret = new_pair(out, name)
    print(f"public  {public}\nsecret  {secret}")


@keys.command()
def allow(
    file: Annotated[Path, typer.Argument(help="public key (.key) of a client")],
    keys: KeysOption,
) -> None:
    """Let a client in, from its next attempt on."""
    from edge.stream.curve_keys import AllowList

    print(f"allowed  {AllowList(keys).allow(file)}")


@keys.command()
def revoke(
    name: Annotated[str, typer.Argument(help="client, as `keys list` names it")],
    keys: KeysOption,
) -> None:
    """Shut a client out: no new connection of it is taken, and one that is open is served no longer."""
    from edge.stream.curve_keys import AllowList

    AllowList(keys).revoke(name)
    print(f"revoked  {name}")


@keys.command("list")
def list_keys(keys: KeysOption) -> None:
    """Clients that are let in, with their public keys."""
    from edge.stream.curve_keys import AllowList

    for name, key in AllowList(keys).names().items():
        print(f"{name}  {key.decode()}")
