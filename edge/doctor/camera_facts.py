"""What `leuko-edge cameras SOURCE` tells of one camera, by opening it."""

import json
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from edge.camera.frame import Frame, FrameSource, SourceEnded, SourceTimeout
from edge.camera.uri import SCALED, open_source, scheme_of
from edge.contracts.errors import SourceError

NO_FRAME = "none"
"""Status of a first frame that did not come."""
_FRAME_S = 3.0
_ANY_SCALE_UM_PER_PX = 1.0
"""Nothing of what is told depends on it."""


def tell_of_one(uri: str, as_json: bool) -> None:
    """Print what is known of it. Raises `ConfigError`, or `SourceError`, also when it paces itself and gave no frame."""
    facts = facts_of(uri)
    print(json.dumps(facts) if as_json else text_of(facts))
    if facts["frame"] is not None and facts["frame"]["status"] == NO_FRAME:
        raise SourceError(f"{facts['source']} {facts['frame']['detail']}")


def facts_of(uri: str) -> dict[str, Any]:
    """Size, settings, capabilities and, of a source that paces itself, one frame. Raises `ConfigError` or `SourceError`."""
    source = open_source(uri, _ANY_SCALE_UM_PER_PX if scheme_of(uri) in SCALED else None)
    try:
        info = source.info
        return {
            "source": info.uri,
            "width_px": info.width_px,
            "height_px": info.height_px,
            "paced_by": "itself" if info.self_paced else "triggers",
            "fields": info.n_fields,
            "capabilities": asdict(info.capabilities),
            "settings": dict(info.camera),
            "frame": _one_frame(source) if info.self_paced else None,
        }
    finally:
        source.close()


def _one_frame(source: FrameSource) -> dict[str, Any]:
    """The first frame that comes, or why none did."""
    began_s = time.monotonic()
    try:
        source.start()
        while time.monotonic() - began_s < _FRAME_S:
            with suppress(SourceTimeout):
                return _told(source.read(_FRAME_S), began_s)
    except SourceEnded:
        return _no_frame("ended before its first frame; check what it reads.")
    except SourceError as problem:
        return _no_frame(f"was opened and failed before its first frame: {problem}")
    return _no_frame(
        f"was opened and gave no frame within {_FRAME_S:g} s; check that the firewall lets its packets in, that network card "
        "and switch take their size (MTU; packet=1500 needs no jumbo frames), and that the camera waits for no trigger."
    )


def _told(frame: Frame, began_s: float) -> dict[str, Any]:
    waited_ms = (time.monotonic() - began_s) * 1e3
    told = {"status": frame.status, "detail": frame.detail, "frame_id": frame.frame_id, "age_ms": frame.age_ms}
    return told | {"waited_ms": waited_ms}


def _no_frame(detail: str) -> dict[str, Any]:
    return {"status": NO_FRAME, "detail": detail, "frame_id": None, "age_ms": None, "waited_ms": None}


def text_of(facts: dict[str, Any]) -> str:
    """The same for people."""
    can = [name.replace("_", " ") for name, does in facts["capabilities"].items() if does]
    lines = [
        f"{facts['source']}: {facts['width_px']} x {facts['height_px']} px, paced by {facts['paced_by']}",
        f"  can: {', '.join(can) or 'neither be triggered nor tell its time'}",
    ]
    lines += [f"  {name:<14}{value}" for name, value in facts["settings"].items()]
    if (frame := facts["frame"]) is not None:
        why = f" ({frame['detail']})" if frame["detail"] and frame["status"] != NO_FRAME else ""  # else the error says it
        lines.append(f"  first frame: {frame['status']}{why}")
        if frame["waited_ms"] is not None:
            age = "" if frame["age_ms"] is None else f", {frame['age_ms']:.1f} ms old"
            lines.append(f"    number {frame['frame_id']}, after {frame['waited_ms']:.0f} ms{age}")
    return "\n".join(lines)
