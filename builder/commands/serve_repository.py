"""`leuko-build serve-repository`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def serve_repository(
    bundle: Annotated[Path, typer.Argument(help="directory with bundle.json")],
    out: Annotated[Path, typer.Option(help="folder for the repositories; other bundles may be in it")],
    max_batch: Annotated[int, typer.Option(min=1, max=256, help="frames of one inference, of all edges together")] = 16,
    queue_delay_us: Annotated[int, typer.Option(min=0, help="a frame waits no longer than this for others")] = 500,
    gpu: Annotated[bool, typer.Option("--gpu", help="Triton computes on its GPU, else on processors")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Write a bundle as inference servers load it: for Triton and for OpenVINO Model Server.

    Model name and version are the bundle's id. Then start one of the servers as is printed, verify it with
    `leuko-build verify BUNDLE --server HOST:PORT --images DIR --um-per-px SCALE`, and give edges `--server HOST:PORT`.
    """
    from builder.serving import write_repository
    from edge.contracts.bundle import load_bundle

    written = write_repository(load_bundle(bundle), out, max_batch=max_batch, queue_delay_us=queue_delay_us, gpu=gpu)
    if as_json:
        folders = {kind: str(folder) for kind, folder in written.folders.items()}
        print(
            json.dumps({"model": written.model, "version": written.version, "folders": folders, "commands": written.commands})
        )
        return
    print(f"model    {written.model}\nversion  {written.version}")
    for kind, command in written.commands.items():
        print(f"{kind:<8} {command}")
