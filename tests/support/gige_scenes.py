"""Scenes with a fake GigE Vision camera, each in a network namespace of its own; a scene prints what it saw as JSON."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.fake_gige import number_of

from leukostream.edge.camera.bgr import bgr_of
from leukostream.edge.camera.frame import Frame, SourceTimeout, Trigger
from leukostream.edge.camera.industrial.source import CameraSource
from leukostream.edge.camera.uri import open_source
from leukostream.edge.journal.archive import Archive

EDGE = [sys.executable, "-m", "leukostream.edge.cli"]


def start_camera(lost_per_mille: float = 0.0, hz: float = 0.0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "support.fake_gige", str(lost_per_mille), str(hz)]
    camera = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert camera.stdout is not None
    assert camera.stdout.readline() == "running\n"
    return camera


@contextmanager
def running_camera(lost_per_mille: float = 0.0, hz: float = 0.0) -> Iterator["subprocess.Popen[str]"]:
    camera = start_camera(lost_per_mille, hz)
    try:
        yield camera
    finally:
        camera.kill()
        camera.wait()


def opened(rest: str) -> CameraSource:
    source = open_source(f"aravis:{rest}", 0.13)
    assert isinstance(source, CameraSource)
    source.start()
    return source


def numbered(frame: Frame) -> int | None:
    image = bgr_of(frame)
    return None if image is None else number_of(image)


def expose(source: CameraSource, index: int, timeout_s: float = 2.0) -> list[dict[str, Any]]:
    """Trigger once; every frame until the trigger has its end, or what a run would make of its silence."""
    source.expect(Trigger(f"t{index}", index, (index, 0)))
    deadline_s, seen = time.monotonic() + timeout_s, list[dict[str, Any]]()
    while time.monotonic() < deadline_s:
        try:
            frame = source.read(0.05)
        except SourceTimeout:
            continue
        number = numbered(frame)
        seen.append({"trigger": frame.trigger_id, "status": frame.status, "id": frame.frame_id, "number": number})
        if frame.trigger_id == f"t{index}":
            return seen
    source.give_up(f"t{index}")
    return [*seen, {"trigger": f"t{index}", "status": "timeout", "id": None, "number": None}]


def triggered(n: str) -> dict[str, Any]:
    """`n` software triggers, one after the other, over the wrap of the 16-bit counter (the fake one begins at 65401)."""
    with running_camera():
        source = opened("127.0.0.1,trigger=software,width=732,height=574,exposure_us=2000")
        frames = [frame for index in range(int(n)) for frame in expose(source, index)]
        info, statistics = source.info, source.statistics().model_dump()
        source.close()
    return {"frames": frames, "camera": info.camera, "size": [info.width_px, info.height_px], "statistics": statistics}


def lossy(n: str) -> dict[str, Any]:
    """A network that loses packets for good."""
    with running_camera(lost_per_mille=0.5):
        source = opened("127.0.0.1,trigger=software,width=732,height=574")
        frames = [frame for index in range(int(n)) for frame in expose(source, index)]
        statistics = source.statistics().model_dump()
        source.close()
    return {"frames": frames, "statistics": statistics}


def killed_camera() -> dict[str, Any]:
    """The camera dies in mid-run, and another one takes its address."""
    camera = start_camera()
    source = opened("127.0.0.1,trigger=software,width=732,height=574,lost_s=30")
    frames = [frame for index in range(5) for frame in expose(source, index)]
    camera.kill()
    camera.wait()
    frames += [frame for index in range(5, 6) for frame in expose(source, index)]
    notes = [note.code for note in source.notes()]
    with running_camera():
        index, until_s = 6, time.monotonic() + 25
        while "camera_back" not in notes and time.monotonic() < until_s:
            frames += expose(source, index)
            notes += [note.code for note in source.notes()]
            index += 1
            time.sleep(0.05)
        frames += [frame for more in range(index, index + 3) for frame in expose(source, more)]
        source.close()
    return {"frames": frames, "notes": notes}


def dead_client() -> dict[str, Any]:
    """A client that was killed keeps control of the camera for some seconds: opening waits for it."""
    script = (
        "import time; from leukostream.edge.camera.uri import open_source\n"
        "s = open_source('aravis:127.0.0.1,trigger=software', 0.13); print('open', flush=True); time.sleep(60)"
    )
    with running_camera():
        client = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        assert client.stdout.readline() == "open\n"
        client.kill()
        client.wait()
        began_s = time.monotonic()
        source = opened("127.0.0.1,trigger=software,width=732,height=574,open_s=15")
        waited_s = time.monotonic() - began_s
        frames = [frame for index in range(3) for frame in expose(source, index)]
        source.close()
    return {"frames": frames, "waited_s": waited_s}


def free_running(n: str) -> dict[str, Any]:
    """A camera that paces itself, with a reader that pauses, so that the driver runs out of buffers."""
    with running_camera(hz=50.0):
        source = opened("127.0.0.1,width=732,height=574,buffers=4,rate=50")
        frames = []
        while len(frames) < int(n):
            try:
                frame = source.read(1.0)
            except SourceTimeout:
                continue
            number = numbered(frame)
            frames.append({"index": frame.field_index, "status": frame.status, "id": frame.frame_id, "number": number})
            if len(frames) == 20:
                time.sleep(0.5)
        statistics = source.statistics().model_dump()
        source.close()
    return {"frames": frames, "statistics": statistics}


def whole_edge(n: str) -> dict[str, Any]:
    """A real edge process on the camera, and a simulated scanner that disconnects now and then."""
    from support.tiny_bundle import write_tiny_bundle  # needs onnx, for this scene alone

    with tempfile.TemporaryDirectory() as folder, running_camera():
        bundle = write_tiny_bundle(Path(folder) / "bundle").path
        source = "aravis:127.0.0.1,trigger=software,width=160,height=128"
        journal = f"{folder}/journal.sqlite"
        command = [*EDGE, "run", "--source", source, "--um-per-px", "0.13", "--bundle", str(bundle), "--journal", journal]
        edge = subprocess.Popen([*command, "--bind", "tcp://127.0.0.1:5570"])
        scanner = [*EDGE, "simulate", "tcp://127.0.0.1:5570", "--fields", n, "--disconnect-every", "60", "--json"]
        done = subprocess.run(scanner, capture_output=True, text=True, timeout=80, check=False)
        code = edge.wait(20)
        archive = Archive(Path(journal))
        started = json.loads(archive.first_and_last(archive.runs()[0])[0])
        archive.close()
    print(done.stderr, file=sys.stderr)
    camera = started["provenance"]["camera"]
    return {"edge": code, "scanner": done.returncode, "camera": camera, **json.loads(done.stdout or "{}")}


def cameras() -> dict[str, Any]:
    """What `leuko-edge cameras --network` finds with a camera in the network, and without."""
    command = [*EDGE, "cameras", "--network", "--json"]
    with running_camera():
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    none = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return {"found": json.loads(found.stdout), "none": [none.returncode, none.stdout.strip(), none.stderr]}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
