"""`leuko-build inspect`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def inspect(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    engine_dir: Annotated[Path | None, typer.Option(help="where its engines are; beside the bundle, else the user's")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Verify a bundle's hashes, hold its graph against the contract, and list the engines that were built from it.

    Of each engine: what it was built for, how much of it is FP16, the parity gate, and whether it fits this machine.

    Exit code: 0 the bundle is good, whatever its engines are; 3 a hash or the contract does not hold.
    """
    from rich.console import Console

    from builder.display import bundle_rows, engine_rows, grid
    from builder.inspection import inspect_bundle
    from edge.contracts.errors import BundleError
    from edge.engine.engine_places import engine_places
    from edge.engine.machine import look_at_machine
    from edge.engine.survey import survey, verdict_as_json

    found = inspect_bundle(bundle)
    engines = survey(found.bundle, look_at_machine(), None, engine_dir)
    if as_json:
        print(json.dumps({**found.as_json(), "engines": [verdict_as_json(each) for each in engines]}))
    else:
        rows = [*bundle_rows(found), *engine_rows(engines, engine_places(found.bundle, engine_dir))]
        Console(highlight=False, markup=False).print(grid(rows))
    if found.problems:
        raise BundleError(
            f"the graph of bundle {bundle} breaks the contract: {'; '.join(found.problems)}; "
            "export it again with `leuko-train export`."
        )
