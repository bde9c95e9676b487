"""What people run instead: scripts that take turns with the pipeline, over the same fields from the same video."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from edge.bench.bench_table import aligned, conditions_lines, ratio_text
from edge.bench.conditions import conditions, doubt_of, of_case
from edge.bench.figures import paired_ratio
from edge.bench.loop_bench import engine_contestant
from edge.bench.rounds import Contestant, Turn, take_turns
from edge.camera.memory_source import images_of
from edge.camera.uri import open_source
from edge.contracts.bundle import MODEL
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError, EngineError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline import Parts, Run, StopSwitch, opened, records_of
from edge.settings import Setup
from edge.watch.work_progress import field_bar

SCHEMA = "leukostream-peers-1"
SCRIPTS = ("opencv_dnn", "onnx_runtime", "openvino_benchmark", "ultralytics_loop", "trtexec")
IN_CHECKOUT = Path(__file__).parents[2] / "examples" / "peers"
OURS = "edge_video"
GOAL_OPENCV = 3.5
"""Times the pace of the loop with cv2.dnn, on two cores with the shipped model."""
_IMAGES = 16
_FPS = 25.0
_GONE_S = 5.0


class Peer:
    """One script, running; `name` is what it says it is, `skipped` why it cannot run here. None is left behind."""

    def __init__(self, script: Path, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.script = script.stem
        said = self._answer()
        self.name, self.skipped = str(said.get("name", script.stem)), str(said.get("skipped", ""))

    def run(self, n_fields: int) -> Turn:
        """One round. Raises `EngineError` when the script has failed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{n_fields}\n")
            self._process.stdin.flush()
        except OSError:
            pass  # its last words say why
        said = self._answer()
        if "failed" in said:
            raise EngineError(f"the peer {self.script} failed: {said['failed']}")
        if "ms" in said:
            ms = [float(each) for each in said["ms"]]
            return Turn(sum(ms) / len(ms), ms, [])
        return Turn(float(said["ms_per_field"]), [float(said["ms_per_field"])], [])

    def _answer(self) -> dict[str, Any]:
        """The next line that is an object; libraries may print others."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                return said
        _, complaint = self._process.communicate()
        last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"the peer {self.script} ended with code {self._process.returncode}: {last}")

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._process.communicate(timeout=_GONE_S)  # closing its input ends it
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def bench_peers(setup: Setup, folder: Path | None, n_fields: int, rounds: int) -> dict[str, Any]:
    """The pipeline over a video, the engine alone, and every script of `folder` that can run here, in turn.

    Raises `ConfigError` without the scripts, `EngineError` when one fails, and what opening raises.
    """
    scripts = folder or IN_CHECKOUT
    if not (scripts / "loop.py").is_file():
        raise ConfigError(
            f"the peers are scripts of the repository, and {scripts} does not hold them; name its examples/peers with "
            "--peers-dir."
        )
    begun, setup = conditions(), setup.for_stored_images()
    with ExitStack() as held:
        parts = held.enter_context(opened(setup))
        place = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="leuko-peers-")))
        images, info = images_of(parts.source, _IMAGES), parts.engine.info
        video = _video(place / "fields.avi", images, n_fields)
        graph, plain = setup.bundle.path / MODEL, place / "plain.onnx"
        skipped = _cut(scripts, graph, plain)
        threads = ["--threads", str(setup.settings.threads or 0)]
        words = ["--graph", str(graph), "--model", str(plain), "--video", str(video), *threads]
        precision = info.precision if info.precision in {"f32", "bf16", "f16"} else "f32"
        peers = []
        for script in SCRIPTS:
            if skipped and script in {"opencv_dnn", "onnx_runtime", "trtexec"}:
                continue
            peers.append(held.enter_context(Peer(scripts / f"{script}.py", [*words, "--precision", precision])))
        able = [peer for peer in peers if not peer.skipped]
        contestants = [
            Contestant(OURS, "the whole pipeline over the video", lambda n: _over_video(setup, parts, video, n)),
            engine_contestant(parts, images),
            *(Contestant(peer.script, peer.name, peer.run) for peer in able),
        ]
        progress = held.enter_context(field_bar())
        task = progress.add_task("peers", total=(rounds + 1) * len(contestants))
        found = take_turns(contestants, n_fields, rounds, lambda n: progress.advance(task, n))
        ours = found[OURS].ms_per_field
        return {
            "schema": SCHEMA,
            "conditions": begun,
            "doubt": doubt_of(begun),
            **of_case(setup.bundle, info, setup.settings.threads),
            "contestants": {name: each.as_json() for name, each in found.items()},
            "ratios": {name: paired_ratio(each.ms_per_field, ours) for name, each in found.items() if name != OURS},
            "skipped": ([skipped] if skipped else []) + [f"{peer.script}: {peer.skipped}" for peer in peers if peer.skipped],
        }


def peers_text(result: Mapping[str, Any]) -> str:
    """For people."""
    return "\n".join(_lines(result))


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield from conditions_lines(result["conditions"])
    if result["doubt"]:
        yield f"  beware: {result['doubt']}"
    yield f"{result['bundle']}, {result['engine']}; the same fields, from a video"
    rows: list[tuple[str, ...]] = [("", "ms per field", "p99 ms", "times as long as ours (95 %)", "what it is")]
    for name, found in result["contestants"].items():
        ratio = ratio_text(result["ratios"][name]) if name in result["ratios"] else "-"
        rows.append((name, f"{found['ms_per_field']:.2f}", f"{found['time_ms']['p99']:.2f}", ratio, found["what"]))
    yield from aligned(rows)
    if (opencv := result["ratios"].get("opencv_dnn")) is not None:
        kept = "kept" if opencv["ratio"] >= GOAL_OPENCV else "MISSED"
        yield f"  against cv2.dnn {opencv['ratio']:.2f}   goal >= {GOAL_OPENCV:g}: {kept}"
    for each in result["skipped"]:
        yield f"  left out: {each}"


def _video(path: Path, images: Sequence[Image], n_fields: int) -> Path:
    """Motion JPEG, as cameras give it; every field of it once."""
    height_px, width_px = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), _FPS, (width_px, height_px))
    if not writer.isOpened():
        raise ConfigError(f"this OpenCV writes no Motion JPEG to {path}; install the opencv-python that constraints.txt names.")
    for index in range(n_fields):
        writer.write(images[index % len(images)])
    writer.release()
    return path


def _cut(scripts: Path, graph: Path, plain: Path) -> str:
    """Write the plain graph; why that could not be, else nothing."""
    command = [sys.executable, str(scripts / "plain_onnx.py"), str(graph), str(plain)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return f"cv2.dnn, ONNX Runtime, trtexec: the plain graph could not be cut out ({last}); pip install onnx"


def _over_video(setup: Setup, parts: Parts, video: Path, n_fields: int) -> Turn:
    times_ms, ends_ms = list[float](), list[float]()
    with closing(open_source(f"video:{video}", parts.source.info.um_per_px)) as source:
        order = RunStartCommand(cmd_id="peers", run_id=str(uuid.uuid4()), max_fields=n_fields)
        journal, began_ns = MemoryJournal(), time.monotonic_ns()
        for record in records_of(Run(setup, replace(parts, source=source, frames=None, crops=None), order, StopSwitch())):
            journal.append(record)
            if isinstance(record, FieldRecord):
                if record.times is None:
                    raise EngineError(f"a field that is measured failed, so that its time means nothing: {record.detail}")
                times_ms.append(record.times.total_ms)
                ends_ms.append(time.monotonic_ns() / 1e6)
    if not times_ms:
        raise EngineError("the video that was written for the peers gave no field; report this defect.")
    return Turn((ends_ms[-1] - began_ns / 1e6) / len(times_ms), times_ms, ends_ms)
