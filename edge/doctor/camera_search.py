"""Which cameras there are, as `leuko-edge run --source` takes them."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from edge.camera.aravis.library import discovered_aravis
from edge.camera.pylon.library import discovered_pylon
from edge.contracts.errors import SourceError


def tell_of_all(network: bool, as_json: bool) -> None:
    """Print every camera that is found; the network is asked only if told to. Raises `SourceError` when there is none."""
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
