"""`leuko-calib check`: what is in a profile, what has expired, and whether it is for this camera and bundle."""

import json
from pathlib import Path
from typing import Annotated

import typer


def check(
    profile: Annotated[Path, typer.Argument(help="the profile")],
    bundle: Annotated[Path | None, typer.Option(help="the model it is to serve; the shipped one when not given")] = None,
    source: Annotated[str | None, typer.Option(help="camera, folder or any source of the edge that it is to be for")] = None,
    objective: Annotated[str | None, typer.Option(help="in use, for example 50x/0.95")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Show a profile, and hold it against the day, a bundle and a camera. Nothing is written and no field is read.

    Exit code 0: it stands. 3: the edge would refuse it. 10: it would be used, but a part has expired, is for another bundle, or
    is in doubt. Parts that were never measured are named with what their lack costs, and change no exit code but for um/px.

    leuko-calib check profile.json --source opencv:0
    """
    from rich.console import Console
    from rich.table import Table

    from calib.profile_check import check_profile
    from calib.profile_contents import say_camera
    from edge.contracts.bundle import load_bundle
    from edge.contracts.profile import load_profile
    from edge.settings import SHIPPED_BUNDLE

    read, digest = load_profile(profile)
    model = load_bundle(bundle or SHIPPED_BUNDLE)
    checked = check_profile(read, profile, model, source, objective)
    if as_json:
        told = {
            "profile": str(profile),
            "profile_sha256": digest,
            "instrument": read.instrument,
            "camera": read.camera.model_dump(mode="json"),
            "bundle_id": model.bundle_id,
            "parts": {
                each.step.part: {
                    "measured": bool(each.said),
                    "said": each.said,
                    "measured_at": each.measured_at,
                    "expires_at": each.expires_at,
                    "expired": each.expired,
                }
                for each in checked.parts
            },
            "findings": [{"kind": found.kind, "sentence": found.sentence} for found in checked.findings],
            "exit_code": checked.exit_code,
        }
        print(json.dumps(told))
        raise typer.Exit(checked.exit_code)
    console = Console(highlight=False)
    table = Table(title=f"{read.instrument}: {say_camera(read.camera)}")
    for heading in ("part", "what", "measured", "stands until"):
        table.add_column(heading, overflow="fold")
    for each in checked.parts:
        until = "-" if each.expires_at is None else each.expires_at[:10] + (" (expired)" if each.expired else "")
        what = each.said or f"not measured (`leuko-calib {each.step.command}`): {each.step.costs}"
        table.add_row(each.step.name, what, (each.measured_at or "-")[:10], until)
    console.print(table)
    for found in checked.findings:
        console.print(f"{found.kind}: {found.sentence}", soft_wrap=True)
    console.print({0: "it stands", 3: "the edge would refuse it", 10: "usable, with the doubts above"}[checked.exit_code])
    raise typer.Exit(checked.exit_code)
