"""`leuko-edge sign`: whose models and calibrations an edge loads."""

from pathlib import Path
from typing import Annotated

import typer

sign = typer.Typer(
    help="Sign bundles, engines and profiles, and check who signed them.\n\n"
    "Where models are approved: `sign new lab-1 --out keys`, then `sign put BUNDLE --key keys/lab-1.pem`. On the edge: a "
    "directory with lab-1.pub in it, and `run --signers` with that directory. Who may write there decides what the edge loads.",
    no_args_is_help=True,
    add_completion=False,
)

TargetArgument = Annotated[
    Path, typer.Argument(help="directory of a bundle or of a compiled engine, or a profile's file", metavar="WHAT")
]


@sign.command()
def new(
    name: Annotated[str, typer.Argument(help="whose keys: what an edge will call the signer")],
    out: Annotated[Path, typer.Option(help="directory to write them to")],
) -> None:
    """Make a pair of keys: NAME.pub, which every edge may have, and NAME.pem, which nobody else may.

    Exit code: 0 written; 2 the name, or a file that is in the way.
    """
    from edge.signing.signing_keys import new_pair

    public, secret = new_pair(out, name)
    print(f"public  {public}\nsecret  {secret}")


@sign.command()
def put(
    what: TargetArgument,
    key: Annotated[Path, typer.Option(help="secret key (NAME.pem) of who signs")],
) -> None:
    """Check a bundle, engine or profile as an edge would, and write its signature beside it, in the place of an older one.

    Exit code: 0 signed; 2 the key or the path, 3 the bundle or profile, 5 the engine cannot be used.
    """
    from edge.signing.signable import find_signables, put_signature
    from edge.signing.signing_keys import read_secret

    signing_key = read_secret(key)
    for each in find_signables(what):
        print(f"signed  {each.text}  by {signing_key.name}  {put_signature(each, signing_key)}")


@sign.command()
def check(
    what: TargetArgument,
    signers: Annotated[Path, typer.Option(help="directory of public keys (*.pub), as for `run`")],
) -> None:
    """Say who signed a bundle, engine or profile, by the rules by which `leuko-edge run --signers` loads it.

    Exit code: 0 signed by one of these keys; 3 a bundle or profile, 5 an engine that is not; 2 the directory or the path.
    """
    from edge.signing import Signers
    from edge.signing.signable import find_signables

    known = Signers(signers)
    for each in find_signables(what):
        print(f"valid  {each.text}  signed by {known.require(each.kind, each.file, each.sha256)}")
