"""How soon a service is at the first field of the next run: a real `leuko-edge serve`, a drawn camera, a controller."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.contracts.errors import StreamError
from edge.contracts.records import FieldRecord
from edge.stream.client import Controller

GOAL_MS = 50.0
"""From the trigger to the first field's record at the controller, without what the camera takes to expose it."""
_CAMERA = "virtual:seed=7,trigger=software,fields=4"
_START_S = 300.0
_ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class NextRun:
    """One run: from RUN_START to its answer, from the first TRIGGER to its field, and of that camera and engine."""

    run: int
    accepted_ms: float
    first_field_ms: float
    camera_ms: float
    infer_ms: float

    @property
    def edge_ms(self) -> float:
        """What the edge and the wire took."""
        return self.first_field_ms - self.camera_ms


def measure_runs(n_runs: int) -> list[NextRun]:
    """Perform so many runs of two fields, one behind the other. Raises `StreamError` when the service does not come up."""
    with tempfile.TemporaryDirectory(prefix="leuko-runs-") as folder, _service(Path(folder)) as controller:
        return [_measured(controller, number) for number in range(1, n_runs + 1)]


def _measured(controller: Controller, number: int) -> NextRun:
    began_ns = time.monotonic_ns()
    run_id = controller.start_run(timeout_s=_ANSWER_S)
    accepted_ns = time.monotonic_ns()
    controller.trigger(run_id, "first", 0, timeout_s=_ANSWER_S)
    records = controller.records(run_id)
    first = next(record for record in records if isinstance(record, FieldRecord))
    arrived_ns = time.monotonic_ns()
    controller.trigger(run_id, "second", 1, timeout_s=_ANSWER_S)
    controller.stop_run(run_id, timeout_s=_ANSWER_S)
    list(records)  # to its end; the next follows at once
    if first.times is None:
        raise StreamError(f"the first field of run {number} ended as {first.status.value}: {first.detail}")
    return NextRun(
        number,
        (accepted_ns - began_ns) / 1e6,
        (arrived_ns - accepted_ns) / 1e6,
        first.times.acquire_ms,
        first.times.infer_ms,
    )


@contextmanager
def _service(folder: Path) -> Iterator[Controller]:
    """A service at a socket file in `folder`, ready, and its controller."""
    endpoint = f"ipc://{folder / 'edge'}"
    words = ["serve", "--source", _CAMERA, "--bind", endpoint, "--journal", str(folder / "journal.sqlite")]
    process = subprocess.Popen([sys.executable, "-m", "edge.cli", *words, "--log-level", "error"])
    try:
        with Controller(endpoint) as controller:
            controller.connect(_START_S)
            until_s = time.monotonic() + _START_S
            while (state := controller.query(timeout_s=_ANSWER_S)).service_state != "READY":
                if time.monotonic() > until_s or state.service_state == "FAULT":
                    raise StreamError(f"the service did not become ready: {state.service_reason}")
                time.sleep(0.05)
            yield controller
    finally:
        process.terminate()
        process.wait()


def as_rows(found: list[NextRun]) -> list[dict[str, float]]:
    """For a program."""
    return [asdict(each) | {"edge_ms": each.edge_ms} for each in found]


def runs_table(found: list[NextRun]) -> str:
    """For a person: a line for each run, and what the later ones have to hold."""
    lines = ["run  RUN_START answered  first field after its trigger  (camera)  edge and wire  (engine)"]
    for each in found:
        lines.append(
            f"{each.run:3}  {each.accepted_ms:15.1f} ms  {each.first_field_ms:26.1f} ms  {each.camera_ms:5.1f} ms  "
            f"{each.edge_ms:10.1f} ms  {each.infer_ms:5.1f} ms"
        )
    later = [each.edge_ms for each in found[1:]]
    if later:
        slowest = max(later)
        verdict = "within" if slowest <= GOAL_MS else "NOT within"
        lines.append(
            f"the first field of every later run came {slowest:.1f} ms after its trigger at most: {verdict} {GOAL_MS:g} ms"
        )
    return "\n".join(lines)
