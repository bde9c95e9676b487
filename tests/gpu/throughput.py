"""Throughput of every system on this machine's GPU, as a Markdown table: run by `make gpu-test`, or

    python tests/gpu/throughput.py --bundles DIR --findings runs/gpu-findings.json --write docs/gpu-results.md

DIR holds one bundle per system (`leuko-train export --random-weights --recipe NAME --out DIR/NAME`: speed does not depend on
the weights); those that are missing are exported first. Each system is built for this GPU and measured by `leuko-edge bench`
at every batch size. The file of --findings is what the engine's checks found before. With --engine openvino the CPU is
measured instead, to try this program where there is no GPU.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from support.gpu_engines import build_here, usable_runtimes

from edge.contracts.bundle import load_bundle
from edge.engine.gpu.nvidia_driver import find_gpu

SYSTEMS = ("yolov3-320", "ssd300-smin0.2", "yolov3-tiny-416", "ssd300-smin0.1", "yolov3-416", "ssd512-smin0.2", "yolov3-608")
BATCHES = (1, 2, 4, 8)
TARGET_MS = {"yolov3-320": 14.0, "ssd300-smin0.1": 53.0, "ssd300-smin0.2": 53.0}
"""Wang et al. 2019: milliseconds per image of the two systems, one of them at two sizes of its smallest box."""
WIDTH_PX, HEIGHT_PX = 732, 574


def main() -> None:
    """Measure, print, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", type=Path, default=Path("runs/gpu-bundles"))
    parser.add_argument("--engine", choices=("gpu", "openvino"), default="gpu")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument("--findings", type=Path, help="JSON file that the checks wrote")
    parser.add_argument("--write", type=Path, help="Markdown file to put the table into")
    asked = parser.parse_args()
    lines = [*(_head(asked.engine) if asked.write else ())]
    for line in chain(_findings(asked.findings) if asked.findings else (), _table(asked)):
        lines.append(line)
        print(line, flush=True)
        if asked.write:  # after each row: an interruption loses none
            asked.write.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _head(engine: str) -> Iterator[str]:
    yield "# Results on a GPU"
    yield ""
    yield "Written by `make gpu-test`; speed does not depend on the weights, which are random here."
    yield ""
    if engine == "gpu":
        gpu = find_gpu()
        here = gpu.identity
        yield (
            f"Measured on {date.today().isoformat()} on {here.name} (compute capability {here.compute_capability}, "
            f"{here.sm_count} SMs), driver {gpu.driver_version}, CUDA {gpu.cuda_version}."
        )
        yield ""


def _findings(file: Path) -> Iterator[str]:
    for engine, found in json.loads(file.read_text()).items():
        yield f"## The engine's checks: {engine}"
        yield ""
        yield "| what | found |"
        yield "| --- | --- |"
        for name, value in found.items():
            yield f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |"
        yield ""


def _table(asked: argparse.Namespace) -> Iterator[str]:
    columns = (
        "system",
        "engine",
        "batch",
        "inference alone",
        "whole loop",
        "share",
        "call p50",
        "call p99",
        "p99 / p50",
        "target",
    )
    yield "## Throughput"
    yield ""
    yield "Times in ms per field, calls in ms per batch. Share is the loop's throughput of that of inference alone (goal at"
    yield "least 0.85), p99 / p50 is of the engine's calls (goal at most 1.5)."
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    runtimes: list[str] | str = ["openvino"] if asked.engine == "openvino" else usable_runtimes()
    if isinstance(runtimes, str):
        sys.exit(f"throughput.py: {runtimes}")
    for system in asked.systems:
        bundle = _bundle(asked.bundles, system)
        for runtime in runtimes:
            engines = asked.bundles / "engines"
            if runtime != "openvino":
                build_here(load_bundle(bundle), engines, runtime, WIDTH_PX, HEIGHT_PX, max(asked.batches))  # type: ignore[arg-type]
            for batch in asked.batches:
                yield _row(system, _bench(bundle, runtime, engines, batch, asked.fields), batch)


def _bundle(folder: Path, system: str) -> Path:
    if not (folder / system / "bundle.json").is_file():
        command = ["export", "--random-weights", "--recipe", system, "--out", str(folder / system)]
        subprocess.run([sys.executable, "-c", "from trainer.cli import main; main()", *command], check=True)
    return folder / system


def _bench(bundle: Path, runtime: str, engines: Path, batch: int, fields: int) -> dict[str, Any]:
    command = ["bench", "--bundle", str(bundle), "--engine", runtime, "--batch", str(batch), "--fields", str(fields)]
    command += ["--loop-only", "--idle-s", "0"]
    if runtime != "openvino":
        command += ["--engine-dir", str(engines), "--allow-ungated-engine"]  # random weights find no cells to compare
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", *command, "--json", "-"], stdout=subprocess.PIPE, text=True, check=True
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    case = measured["cases"][0]
    return {**case["loop"], "engine": case["engine"]}


def _row(system: str, measured: dict[str, Any], batch: int) -> str:
    calls, loop_ms = measured["engine_call_ms"], measured["pipeline_ms_per_field"]
    alone = measured.get("inference_only_ms_per_field")
    target = TARGET_MS.get(system)
    cells = (
        system,
        measured["engine"],
        str(batch),
        f"{alone:.3f}" if alone else "-",
        f"{loop_ms:.3f}",
        _judged(measured, "share_of_inference") if alone else "-",
        f"{calls['p50']:.2f}",
        f"{calls['p99']:.2f}",
        _judged(measured, "p99_over_p50") if alone else f"{calls['p99'] / calls['p50']:.2f}",
        f"{target:g} ms: {'kept' if loop_ms < target else 'MISSED'}" if target else "-",
    )
    return f"| {' | '.join(cells)} |"


def _judged(measured: dict[str, Any], goal: str) -> str:
    return f"{measured[goal]:.2f}" + ("" if measured["goals"][goal] else " MISSED")


if __name__ == "__main__":
    main()
