"""`leuko-edge serve` as a process: its ports, its signals, and two of them on one computer."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import zmq
from support.bare_run import connected
from support.made_profiles import latency, pixel_size
from support.ports import free_endpoint
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.profile import CameraGeometry, Profile, write_profile
from edge.contracts.records import RunOutcome, RunStart, RunStop
from edge.stream.client import Controller

pytestmark = pytest.mark.timeout(120)
Serve = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("serving") / "bundle")


@pytest.fixture
def serve(bundle: Bundle, tmp_path: Path) -> Iterator[Serve]:
    """Starts a service that reads one field with so many lymphocytes."""
    started: list[subprocess.Popen[str]] = []

    def serve_(name: str, n_cells: int, *more: str) -> "subprocess.Popen[str]":
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        cells = [("lymphocyte", 40 + 40 * k, 40) for k in range(n_cells)]
        cv2.imwrite(str(folder / "0.png"), blob_field(cells))  # type: ignore[arg-type]
        command = [sys.executable, "-m", "edge.cli", "serve", "--source", str(folder), "--um-per-px", "0.13"]
        command += ["--bundle", str(bundle.path), "--journal", str(tmp_path / f"{name}.sqlite"), *more]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield serve_
    for process in started:
        process.kill()
        process.communicate()


def _ready(controller: Controller) -> None:
    until_s = time.monotonic() + 60
    while controller.query(timeout_s=30).service_state != "READY" and time.monotonic() < until_s:
        time.sleep(0.05)


def test_batch_and_deadline_are_the_profiles_as_in_a_single_run(serve: Serve, bundle: Bundle, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    camera, measured = CameraGeometry(width_px=160, height_px=128), latency(bundle.bundle_id, max_batch=3)
    write_profile(profile, Profile(instrument="b", camera=camera, pixel_size=pixel_size(), latency=measured))
    endpoint = free_endpoint()
    process = serve("only", 1, "--bind", endpoint, "--profile", str(profile))
    with connected(endpoint, process) as controller:
        _ready(controller)
        start, *_ = controller.records(controller.start_run(timeout_s=30))
    assert isinstance(start, RunStart)
    assert (start.settings["max_batch"], start.settings["max_delay_ms"]) == (3, 20.0)


def test_two_cameras_on_one_computer_are_two_services(serve: Serve) -> None:
    endpoints = {"left": free_endpoint(), "right": free_endpoint()}
    processes = {name: serve(name, k, "--bind", endpoints[name]) for k, name in enumerate(endpoints, 1)}
    controllers = {name: connected(endpoints[name], processes[name]) for name in endpoints}
    try:
        for controller in controllers.values():
            _ready(controller)
        for _ in range(2):  # both at a time, one run after the other
            runs = {name: controller.start_run(timeout_s=30) for name, controller in controllers.items()}
            for n_cells, (name, controller) in enumerate(controllers.items(), 1):
                records = list(controller.records(runs[name]))
                assert isinstance(records[0], RunStart) and name in records[0].provenance.source
                assert isinstance(records[-1], RunStop) and records[-1].cells == {"lymphocyte": n_cells}
    finally:
        for controller in controllers.values():
            controller.close()
    for process in processes.values():
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("option", ["--bind", "--telemetry", "--metrics"])
def test_a_port_that_is_taken_ends_it_at_once_with_a_sentence(serve: Serve, option: str) -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as taken:
        taken.bind("tcp://127.0.0.1:*")
        address = taken.getsockopt_string(zmq.LAST_ENDPOINT)
        given = ["--bind", free_endpoint()] if option != "--bind" else []
        process = serve("one", 1, *given, option, address.removeprefix("tcp://") if option == "--metrics" else address)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 6
    assert option in said.splitlines()[-1], "which of them, and what to do"


def test_a_stop_in_mid_run_ends_it_on_record(serve: Serve) -> None:
    endpoint = free_endpoint()
    process = serve("one", 1, "--bind", endpoint, "--max-batch", "1")
    with connected(endpoint, process) as controller:
        _ready(controller)
        run_id = controller.start_run(timeout_s=30)
        process.terminate()
        last = list(controller.records(run_id))[-1]
        assert isinstance(last, RunStop) and last.outcome in {RunOutcome.STOPPED, RunOutcome.COMPLETED}
    assert process.wait(30) == 0
