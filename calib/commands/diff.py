"""`leuko-calib diff`: what changed between two profiles, and by how much."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def diff(
    before: Annotated[Path, typer.Argument(help="one profile")],
    after: Annotated[Path, typer.Argument(help="the other one")],
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Say what changed between two profiles, by how much, in units that matter: per cents, grey levels, micrometres, pixels.

    Exit code 0: they hold the same. 10: they do not.

    leuko-calib diff profile.json profile-2.json
    """
    from rich.console import Console
    from rich.table import Table

    from calib.profile_difference import differences
    from edge.contracts.profile import load_profile

    (one, one_sha256), (other, other_sha256) = load_profile(before), load_profile(after)
    found = differences(one, other)
    if as_json:
        told = {
            "before": str(before),
            "before_sha256": one_sha256,
            "after": str(after),
            "after_sha256": other_sha256,
            "differences": [asdict(each) for each in found],
        }
        print(json.dumps(told))
        raise typer.Exit(10 if found else 0)
    console = Console(highlight=False)
    if not found:
        console.print("they hold the same")
        raise typer.Exit(0)
    table = Table(title=f"{before} -> {after}")
    for heading in ("part", "before", "after", "by"):
        table.add_column(heading, overflow="fold")
    for each in found:
        table.add_row(each.part, each.before or "-", each.after or "-", each.sentence)
    console.print(table)
    raise typer.Exit(10)
