"""Measures what docs/scale.md says: an inference server against the engine here, and what a slide of an archive costs.

python examples/cluster/measure.py server HOST:PORT --bundle DIR
python examples/cluster/measure.py archive --slides 4 8 16
python examples/cluster/measure.py archive --slides 8 16 --ray 1 2
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edge.contracts.bundle import Bundle, load_bundle
from edge.engine.base import Engine
from edge.engine.openvino import OpenVinoEngine
from edge.engine.remote import RemoteEngine, ServerWanted

BUNDLE = Path(__file__).parents[2] / "edge" / "bundles" / "yolov3-tiny-416"
_PATIENT_MS = 60_000.0


def milliseconds(engine: Engine, batch: int, repeats: int) -> tuple[float, float, float]:
    """One batch from submit to its boxes: fastest, median, and the processor time of this process."""
    random = np.random.default_rng(1)
    engine.slot(0)[:batch] = random.integers(0, 255, engine.slot(0)[:batch].shape, np.uint8)
    spent, busy_s = [], time.process_time()
    for _ in range(repeats):
        began = time.perf_counter()
        engine.submit(0, batch)
        engine.collect(0)
        spent.append(1e3 * (time.perf_counter() - began))
    return min(spent), statistics.median(spent), 1e3 * (time.process_time() - busy_s) / repeats


def opened(way: str, bundle: Bundle, address: str, batch: int) -> Engine:
    """One of the three ways that are compared."""
    size = (bundle.manifest.field_width_px, bundle.manifest.field_height_px)
    if way == "here":
        return OpenVinoEngine(bundle, *size, max_batch=batch, precision="f32")
    return RemoteEngine(bundle, *size, ServerWanted(address, _PATIENT_MS), max_batch=batch, share=way == "shared memory")


def measure_server(address: str, folder: Path, repeats: int) -> None:
    """A table of the three ways for batches of 1, 4 and 8."""
    bundle = load_bundle(folder)
    field_mb = bundle.manifest.field_width_px * bundle.manifest.field_height_px * 3 / 1e6
    print("| batch | sent | way | fastest | median | processor time of the edge |\n| --- | --- | --- | --- | --- | --- |")
    for batch in (1, 4, 8):
        for way in ("here", "shared memory", "gRPC"):
            engine = opened(way, bundle, address, batch)
            fastest_ms, median_ms, busy_ms = milliseconds(engine, batch, repeats)
            engine.close()
            sent = f"{batch * field_mb:.1f} MB" if way == "gRPC" else "0"
            print(f"| {batch} | {sent} | {way} | {fastest_ms:.0f} ms | {median_ms:.0f} ms | {busy_ms:.1f} ms |", flush=True)


def measure_archive(numbers: list[int], fields: int, workers: list[int]) -> None:
    """Seconds of archives of so many drawn slides, each call as a user makes it; with Ray for each number of workers."""
    print("| slides | by | all | until the first slide | a slide after it | processor time of all |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number in numbers:
        for worker in workers or [0]:
            before_s = _children_s()
            all_s, first_s = _scored(number, fields, worker)
            busy = "not known" if worker else f"{_children_s() - before_s:.1f} s"
            by = f"Ray, {worker} worker{'' if worker == 1 else 's'}" if worker else "one process"
            each_s = (all_s - first_s) / (number - 1)
            print(f"| {number} | {by} | {all_s:.1f} s | {first_s:.1f} s | {each_s:.2f} s | {busy} |", flush=True)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _scored(number: int, fields: int, workers: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "slides.csv", Path(folder) / "out"
        slides = (f'{at},"virtual:seed=7,fields={fields},variants=1"' for at in range(number))
        table.write_text("slide_id,location\n" + "\n".join(slides) + "\n")
        ray = ["--ray", "local", "--workers", str(workers)] if workers else []
        words = [sys.executable, "-m", "edge.cli", "score", str(table), "--out", str(out), "--json", "--threads", "1", *ray]
        began, first_s = time.perf_counter(), 0.0
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=dict(os.environ)
        ) as process:
            while process.poll() is None:
                if not first_s and any((out / "slides").glob("*.parquet")):
                    first_s = time.perf_counter() - began
                time.sleep(0.01)
            assert process.stdout is not None
            assert json.loads(process.stdout.read())["scored"] == number
        return time.perf_counter() - began, first_s


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_subparsers(dest="what", required=True)
    server = which.add_parser("server")
    server.add_argument("address")
    server.add_argument("--bundle", type=Path, default=BUNDLE)
    server.add_argument("--repeats", type=int, default=40)
    archive = which.add_parser("archive")
    archive.add_argument("--slides", type=int, nargs="+", default=[4, 8, 16])
    archive.add_argument("--fields", type=int, default=20)
    archive.add_argument("--ray", type=int, nargs="*", default=[])
    given = parser.parse_args()
    if given.what == "server":
        measure_server(given.address, given.bundle, given.repeats)
    else:
        measure_archive(given.slides, given.fields, given.ray)


if __name__ == "__main__":
    main()
