"""The whole edge, as `leuko-edge run` serves it: from a frame in memory to its record with a controller in another process."""

import socket
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bench.edge_reader import STAGES, EdgeReader, Received
from edge.bench.figures import jitter_ms, spread
from edge.bench.page_watchers import pages_open
from edge.bench.rounds import Contestant, Turn
from edge.camera.memory_source import APART_UM, MemorySource
from edge.contracts.choices import Durability
from edge.contracts.detections import Image
from edge.contracts.errors import StreamError
from edge.contracts.records import RunOutcome
from edge.pipeline import Parts, StopSwitch
from edge.pipeline.paced_run import Paced
from edge.service.serve import serve_one_run
from edge.settings import Setup

_LOOK_S = 0.05


def edge_contestants(setup: Setup, parts: Parts, images: Sequence[Image], folder: Path | None) -> list[Contestant]:
    """With a journal on disk of each durability, under `folder` or the system's for temporary files."""

    def contestant(durability: Durability) -> Contestant:
        def run(n_fields: int) -> Turn:
            return _turn(*served(setup, parts, images, n_fields, durability, None, folder))

        return Contestant(f"edge_{durability}", f"the whole edge to a controller, journal {durability.upper()}", run)

    return [contestant("normal"), contestant("full")]


def at_rate(
    setup: Setup, parts: Parts, images: Sequence[Image], n_fields: int, rate_per_s: float | None, folder: Path | None
) -> dict[str, Any]:
    """The figures of one run whose fields are triggered at a fixed rate, or as fast as they go when it is None.

    Latency is from the intended trigger to the record with the controller, also of a field that a stall has held up.
    """
    intended_ns, received = served(setup, parts, images, n_fields, setup.settings.journal_durability, rate_per_s, folder)
    paced = Paced(rate_per_s, intended_ns, received.arrived_ns)
    latency_ms, beyond = paced.latency_ms, paced.overshoot_fields()
    return {
        "rate_per_s": rate_per_s,
        "max_batch": parts.engine.info.max_batch // parts.plan.n_tiles,
        "deadline_ms": setup.settings.max_delay_ms,
        "fields": n_fields,
        "reached_per_s": paced.reached_per_s,
        "kept": paced.kept,
        "latency_ms": spread(latency_ms),
        "p99_over_p50": float(np.percentile(latency_ms, 99) / np.percentile(latency_ms, 50)),
        "jitter_ms": jitter_ms(received.arrived_ns / 1e6),
        "overshoot_fields": {
            "mean": float(beyond.mean()),
            "p95": float(np.percentile(beyond, 95)),
            "max": float(beyond.max()),
        },
        "stages_ms": {name: spread(values) for name, values in _stages(received).items()},
    }


def served(
    setup: Setup,
    parts: Parts,
    images: Sequence[Image],
    n_fields: int,
    durability: Durability,
    rate_per_s: float | None,
    folder: Path | None,
    observers: int = 0,
    dashboards: int = 0,
    pages: int = 0,
) -> tuple[NDArray[np.int64], Received]:
    """Serve one run over the open engine; when each field was due, and what the controller received.

    `observers`, `dashboards` and `pages` of a `leuko-edge view` look on from the run's first field on. Raises `StreamError` and
    what serving raises.
    """
    stop = StopSwitch()
    with tempfile.TemporaryDirectory(prefix="leuko-bench-", dir=folder) as place:
        endpoint = f"tcp://127.0.0.1:{_free_port()}"
        journal = Path(place) / "journal.sqlite"
        asked = {"bind": endpoint, "journal": journal, "journal_durability": durability, "keys": None}
        telemetry = f"tcp://127.0.0.1:{_free_port()}" if dashboards or pages else None
        without: dict[str, Any] = {"telemetry": telemetry, "metrics": None, "max_fields": None}
        own = replace(setup, settings=setup.settings.model_copy(update=asked | without))
        source = MemorySource(images, parts.source.info, n_fields, rate_per_s, step_um=APART_UM)
        lookers = (telemetry or "-", observers, dashboards)
        with (
            pages_open(telemetry or "-", journal, pages),
            EdgeReader(endpoint, Path(place) / "received.npz", lookers) as reader,
        ):
            watch = threading.Thread(target=_stop_without, args=(reader, stop), name="bench-watch", daemon=True)
            watch.start()
            outcome = serve_one_run(own, replace(parts, source=source, frames=None, crops=None), stop)
            received = reader.result()
    if outcome is not RunOutcome.COMPLETED or len(received.arrived_ns) != n_fields:
        raise StreamError(
            f"the measured run ended as {outcome.value} with {len(received.arrived_ns)} of {n_fields} fields at the "
            "controller, so that its times mean nothing; give the command again."
        )
    return source.intended_ns, received


def _stop_without(reader: EdgeReader, stop: StopSwitch) -> None:
    """Nobody would start the run, or take its end, once the controller has failed."""
    done = threading.Event()
    while not reader.ended():
        done.wait(_LOOK_S)
    stop.stop("the controller's process has ended")


def _turn(intended_ns: NDArray[np.int64], received: Received) -> Turn:
    latency_ms = (received.arrived_ns - intended_ns) / 1e6
    ms_per_field = (received.arrived_ns[-1] - intended_ns[0]) / 1e6 / len(intended_ns)
    return Turn(float(ms_per_field), latency_ms.tolist(), (received.arrived_ns / 1e6).tolist(), _stages(received))


def _stages(received: Received) -> dict[str, list[float]]:
    """Each stage of the record, and what comes after it: journal, socket, and the controller's own reading."""
    stages = {name: received.stages_ms[:, nth].tolist() for nth, name in enumerate(STAGES) if name != "total_ms"}
    total_ms = received.stages_ms[:, STAGES.index("total_ms")]
    to_controller = (received.arrived_ns - received.host_ns) / 1e6 - total_ms
    return stages | {"to_controller_ms": np.maximum(to_controller, 0).tolist()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
