"""Scenes with a fake GigE Vision camera in a network namespace; a scene prints what it saw as JSON.

Usage: python -m support.gige_scenes SCENE ARGUMENT...; without arguments it takes scenes as lines of its standard input, each a
JSON list, and plays each in a process forked for it, so that no scene finds what another has left and none waits for imports.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from support.fake_gige import number_of

from edge.camera.frame import Frame, SourceTimeout, Trigger
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import bgr_of
from edge.camera.uri import open_source
from edge.journal.archive import Archive

EDGE = [sys.executable, "-m", "edge.cli"]


def start_camera(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "support.fake_gige", *arguments]
    camera = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert camera.stdout is not None
    assert camera.stdout.readline() == "running\n"
    return camera


@contextmanager
def running_camera(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    camera = start_camera(*arguments)
    try:
        yield camera
    finally:
        end(camera)


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


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


def lossy(n: str, per_mille: str) -> dict[str, Any]:
    """A network that loses packets for good."""
    with running_camera("--lost-per-mille", per_mille):
        source = opened("127.0.0.1,trigger=software,width=732,height=574")
        frames = [frame for index in range(int(n)) for frame in expose(source, index)]
        statistics, notes = source.statistics().model_dump(), [note.message for note in source.notes()]
        source.close()
    return {"frames": frames, "statistics": statistics, "notes": notes}


def dead_client() -> dict[str, Any]:
    """A client that was killed keeps control of the camera for some seconds: opening waits for it."""
    script = (
        "import time; from edge.camera.uri import open_source\n"
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
    with running_camera("--hz", "50"):
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


ENDPOINT = "tcp://127.0.0.1:5570"
SIZE = "width=732,height=574"
BRIEF = "exposure_us=1000"
"""As much as these scenes need: the fake camera exposes for so long, and shows the same however long that is."""


def start_edge(folder: str, bundle: Path, *more: str) -> "subprocess.Popen[str]":
    source = f"aravis:127.0.0.1,trigger=software,{SIZE},{BRIEF},lost_s=60"
    command = [*EDGE, "run", "--source", source, "--um-per-px", "0.13", "--bundle", str(bundle), "--bind", ENDPOINT]
    return subprocess.Popen([*command, "--journal", f"{folder}/journal.sqlite", *more], text=True)


def scanning(*arguments: str) -> "subprocess.Popen[str]":
    command = [*EDGE, "simulate", ENDPOINT, *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def records_in(folder: str) -> list[list[dict[str, Any]]]:
    """Every run's records, first run first."""
    archive = Archive(Path(folder) / "journal.sqlite")
    runs = [[json.loads(text) for text in archive.records(run)] for run in archive.runs()]
    archive.close()
    return sorted(runs, key=lambda run: str(run[0]["wall_time"]))


def whole_edge(n: str, fields: str) -> dict[str, Any]:
    """A real edge process on the camera, and a scanner that disconnects now and then; `expected`: cells there are."""
    from support.camera_fields import blob_fields, smear_fields, what_is_there

    with tempfile.TemporaryDirectory() as folder:
        bundle, images = {"blobs": blob_fields, "smears": smear_fields}[fields](Path(folder))
        np.save(f"{folder}/images.npy", images[..., ::-1])
        with running_camera("--images", f"{folder}/images.npy"):
            edge = start_edge(folder, bundle)
            scanner = scanning("--fields", n, "--disconnect-every", "30")
            there = what_is_there(images, bundle)
            out, _ = scanner.communicate()
            code = edge.wait(20)
        records = records_in(folder)[0]
    expected = sum((there[index % len(there)] for index in range(int(n))), Counter())
    counted = [record for record in records if record["type"] == "field" and record["counted"]]
    wrong = [
        record["field_index"]
        for record in counted
        if Counter(record["counts"]) != there[exposure_of(int(record["frame_id"])) % len(there)]
    ]
    return {
        "wrong": wrong,
        "n_counted": len(counted),
        "codes": [code, scanner.returncode],
        "camera": records[0]["provenance"]["camera"],
        "source": records[-1]["source"],
        "events": [f"{record['seq']} {record['message']}" for record in records if record["type"] == "event"],
        "expected": expected,
        **json.loads(out),
    }


def exposure_of(frame_id: int) -> int:
    """From 0, by the fake camera's counter, which begins at 65401; opened anew in mid-run, an edge unwraps from 1 on."""
    return frame_id - 65401 + (0 if frame_id >= 65401 else 65535)


def hard_day(n: str) -> dict[str, Any]:
    """In the middle of a scan the camera dies and another one takes its place; then the edge is killed and started again."""
    from support.camera_fields import blob_fields

    with tempfile.TemporaryDirectory() as folder:
        bundle, _ = blob_fields(Path(folder))
        camera, edge = start_camera(), start_edge(folder, bundle)
        scanner = scanning("--fields", n, "--rate", "40", "--notebook", f"{folder}/notebook", "--patience-s", "60")
        wait_for_fields(folder, 20)
        end(camera)
        camera = start_camera()
        wait_for_event(folder, "camera_back")
        wait_for_fields(folder, 20)
        end(edge)
        edge = start_edge(folder, bundle)
        out, _ = scanner.communicate()
        code = edge.wait(20)
        end(camera)
        runs = records_in(folder)
    events = [[record["code"] for record in run if record["type"] == "event"] for run in runs]
    statuses = [Counter(record["status"] for record in run if record["type"] == "field") for run in runs]
    return {"codes": [code, scanner.returncode], "events": events, "statuses": statuses, **json.loads(out)}


def frozen_camera(n: str, seconds: str, source_timeout_s: str) -> dict[str, Any]:
    """A link that is cut for some seconds: nothing answers, and no error comes back either."""
    from support.camera_fields import blob_fields

    with tempfile.TemporaryDirectory() as folder:
        bundle, _ = blob_fields(Path(folder))
        settings = Path(folder) / "settings.yaml"
        settings.write_text(f"source_timeout_s: {source_timeout_s}\n")
        with running_camera() as camera:
            edge = start_edge(folder, bundle, "--config", str(settings))
            scanner = scanning("--fields", n, "--rate", "20", "--patience-s", "60")
            wait_for_fields(folder, 20)
            camera.send_signal(signal.SIGSTOP)
            time.sleep(float(seconds))
            camera.send_signal(signal.SIGCONT)
            out, _ = scanner.communicate()
            code = edge.wait(30)
        records = records_in(folder)[0]
    events = [record["code"] for record in records if record["type"] == "event"]
    return {"codes": [code, scanner.returncode], "events": events, "source": records[-1]["source"], **json.loads(out)}


def wait_for_fields(folder: str, n: int) -> None:
    """Until so many more fields are on record."""
    first = n_records(folder, "field")
    wait_until(lambda: n_records(folder, "field") >= first + n)


def wait_for_event(folder: str, code: str) -> None:
    wait_until(lambda: n_records(folder, f'event%"code":"{code}') > 0)


def n_records(folder: str, kind: str) -> int:
    """Records in the journal of this type; nothing while there is no journal."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{folder}/journal.sqlite?mode=ro", uri=True)) as db:
        return int(
            db.execute("SELECT count(*) FROM records WHERE CAST(content AS TEXT) LIKE ?", (f'{{"type":"{kind}%',)).fetchone()[0]
        )
    return 0


def wait_until(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, "it never came to that"
        time.sleep(0.05)


SOAK = [*EDGE, "soak", "--source", f"aravis:127.0.0.1,trigger=software,{SIZE}", "--um-per-px", "0.13"]


def soak(n: str, *more: str) -> dict[str, Any]:
    """`leuko-edge soak` on the camera."""
    with running_camera():
        done = subprocess.run(
            [*SOAK, "--fields", n, "--stand-in", "--json", *more], capture_output=True, text=True, check=False
        )
    print(done.stderr, file=sys.stderr)
    return {"code": done.returncode, **json.loads(done.stdout)}


def shown_soak(n: str, *more: str) -> dict[str, Any]:
    """The same, its table on standard output: with the shipped model, then with a stand-in engine against a bare client."""
    with running_camera():
        codes = [
            subprocess.run([*SOAK, "--fields", n, *which, *more], check=False).returncode
            for which in ((), ("--stand-in", "--rounds", "9", "--round-fields", "100"))
        ]
    return {"codes": codes}


def settings() -> dict[str, Any]:
    """What the camera is told, as it says it itself."""
    with running_camera():
        source = opened("127.0.0.1,trigger=Line0,format=BayerRG8,exposure_us=1500,red=1.5,blue=2.25,x=0,width=160,height=128")
        camera, capabilities = source.info.camera, asdict(source.info.capabilities)
        source.close()
    return {"camera": camera, "capabilities": capabilities}


def cameras() -> dict[str, Any]:
    """What `leuko-edge cameras --network` finds with a camera in the network, and without."""
    command = [*EDGE, "cameras", "--network", "--json"]
    with running_camera():
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    none = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return {"found": json.loads(found.stdout), "none": [none.returncode, none.stdout.strip(), none.stderr]}


def one_camera() -> dict[str, Any]:
    """What `leuko-edge cameras SOURCE` says of a free-running camera and of a triggered one, in both forms."""
    with running_camera("--hz", "50"):
        said = [
            subprocess.run([*EDGE, "cameras", *arguments], capture_output=True, text=True, timeout=20, check=False)
            for arguments in (["aravis:127.0.0.1,width=160,height=128", "--json"], ["aravis:127.0.0.1,trigger=Line0"])
        ]
    return {"codes": [done.returncode for done in said], "free": json.loads(said[0].stdout), "triggered": said[1].stdout}


def play_all() -> None:
    """Answers each line with one line. What a scene and its processes print besides goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            scene, *arguments = json.loads(line)
            answers.write(json.dumps(globals()[scene](*arguments)) + "\n")
            sys.stderr.flush()
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            answers.write("null\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
    else:
        play_all()
