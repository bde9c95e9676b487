"""`leuko-edge cameras`: which cameras there are, and how a run names them."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from edge.camera.aravis.library import discovered_aravis
from edge.camera.pylon.library import discovered_pylon
from edge.contracts.errors import SourceError
from edge.doctor.camera_facts import NO_FRAME, facts_of, text_of


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
    if source is not None:
        facts = facts_of(source)
        print(json.dumps(facts) if as_json else text_of(facts))
        if facts["frame"] is not None and facts["frame"]["status"] == NO_FRAME:
            raise SourceError(f"{facts['source']} {facts['frame']['detail']}")
        return
    found = _found(network)
    if as_json:
        print(json.dumps(found))
    else:
        for camera in found:
            print(f"{camera['source']}  {camera['what']}")
    if not found:
        raise SourceError(
            "no camera was found; check that it is on and that this user may open it"
            + (", and that it is in this network." if network else "; --network asks for GigE Vision cameras, too.")
        )


def _found(network: bool) -> list[dict[str, str]]:
    """What the drivers find. Of one that cannot look, the reason goes to standard error, and the others look all the same."""
    looks: list[Callable[[], list[dict[str, str]]]] = [_video_devices, lambda: discovered_pylon(network), _producers]
    if network:
        looks.append(discovered_aravis)
    found = []
    for look in looks:
        try:
            found += look()
        except SourceError as problem:
            print(problem, file=sys.stderr)
    return found


def _video_devices() -> list[dict[str, str]]:
    paths = sorted(Path("/dev").glob("video*"))
    return [{"source": f"opencv:{path.name.removeprefix('video')}", "what": path.as_posix()} for path in paths]


def _producers() -> list[dict[str, str]]:
    """Where the makers' installers have put them, by the standard's environment variable."""
    folders = [Path(each) for each in os.environ.get("GENICAM_GENTL64_PATH", "").split(os.pathsep) if each]
    files = sorted({path for folder in folders for path in folder.glob("*.cti")})
    return [{"source": f"genicam:{path}", "what": "GenTL producer, which knows its own cameras"} for path in files]
