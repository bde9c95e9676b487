"""`leuko-edge run` as a process: what a controller gets, how it ends, and what it says to a mistake."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from support.bare_run import connected
from support.made_profiles import pixel_size
from support.ports import free_endpoint
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.cli import main
from edge.contracts.bundle import Bundle
from edge.contracts.errors import StreamError
from edge.contracts.profile import CameraGeometry, Profile, write_profile
from edge.contracts.records import FieldRecord, FieldStatus, RunOutcome, RunStart, RunStop
from edge.service.front import watch_command

pytestmark = pytest.mark.timeout(40)

Start = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("cli") / "bundle")


@pytest.fixture(scope="module")
def many_fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More fields than a test waits for."""
    folder = tmp_path_factory.mktemp("many")
    cv2.imwrite(str(folder / "0.png"), blob_field([("lymphocyte", 40, 40)]))
    for index in range(1, 20_000):
        os.link(folder / "0.png", folder / f"{index}.png")
    return folder


@pytest.fixture
def start_run(bundle: Bundle) -> Iterator[Start]:
    """Starts `leuko-edge run` on a free port; whatever still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(source: Path, *more: str) -> tuple["subprocess.Popen[str]", str]:
        endpoint = free_endpoint()
        command = [sys.executable, "-m", "edge.cli", "run", "--source", str(source), "--um-per-px", "0.13"]
        command += ["--bundle", str(bundle.path), "--bind", endpoint, *more]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process, endpoint

    yield start
    for process in processes:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def test_one_run_for_the_controller_that_connects(start_run: Start, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), blob_field([("lymphocyte", 40, 40)]))
    cv2.imwrite(str(tmp_path / "b.png"), blob_field())
    (tmp_path / "c.png").write_bytes(b"no image")
    process, endpoint = start_run(tmp_path)
    with connected(endpoint, process) as controller:
        run_id = controller.start_run(slide_id="s7")
        records = list(controller.records(run_id))
    start, stop = records[0], records[-1]
    assert isinstance(start, RunStart)
    assert isinstance(stop, RunStop)
    assert start.slide_id == "s7"
    assert stop.fields == {FieldStatus.OK: 1, FieldStatus.EMPTY: 1, FieldStatus.FAILED: 1}
    assert process.wait(10) == 0


def test_one_run_may_name_its_profile(start_run: Start, tmp_path: Path) -> None:
    (tmp_path / "fields").mkdir()
    cv2.imwrite(str(tmp_path / "fields" / "a.png"), blob_field([("lymphocyte", 40, 40)]))
    camera = CameraGeometry(width_px=160, height_px=128)
    sha256 = write_profile(tmp_path / "low.json", Profile(instrument="b", camera=camera, pixel_size=pixel_size()))
    (tmp_path / "edge.toml").write_text(f'[profiles]\nlow = "{tmp_path}/low.json"\ngone = "{tmp_path}/gone.json"\n')
    process, endpoint = start_run(tmp_path / "fields", "--config", str(tmp_path / "edge.toml"), "--journal", "memory")
    with connected(endpoint, process) as controller:
        with pytest.raises(StreamError, match=r"unsupported.*this edge knows `gone`, `low`"):
            controller.start_run(profile="high")
        with pytest.raises(StreamError, match=r"state.*profile 'gone' cannot be used"):
            controller.start_run(profile="gone")
        start, *_, stop = controller.records(controller.start_run(profile="low"))
    assert isinstance(start, RunStart) and isinstance(stop, RunStop)
    assert (start.provenance.profile_name, start.provenance.profile_sha256) == ("low", sha256)
    assert stop.outcome is RunOutcome.COMPLETED
    assert process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_mid_run_gives_run_stop_and_exit_code_0(
    number: signal.Signals, start_run: Start, many_fields: Path
) -> None:
    process, endpoint = start_run(many_fields)
    with connected(endpoint, process) as controller:
        fields, stop = 0, None
        for record in controller.records(controller.start_run()):
            if isinstance(record, FieldRecord):
                fields += 1
                if fields == 3:
                    process.send_signal(number)
            elif isinstance(record, RunStop):
                stop = record
    assert stop is not None
    assert (stop.outcome, stop.detail) == (RunOutcome.STOPPED, f"{number.name} was received")
    assert stop.sums_match
    assert stop.triggers == fields < 20_000
    assert process.wait(10) == 0


def test_a_signal_before_any_controller_ends_the_process(start_run: Start, many_fields: Path) -> None:
    process, endpoint = start_run(many_fields)
    connected(endpoint, process).close()
    process.terminate()
    assert process.wait(10) == 0
    assert process.stderr is not None
    said = process.stderr.read()
    assert "stopped before a run began" in said
    assert f"waiting for a controller at {endpoint} (such as `leuko-edge watch {endpoint}`" in said


@pytest.mark.parametrize(
    ("endpoint", "keys", "command"),
    [
        pytest.param("tcp://127.0.0.1:5570", None, "tcp://127.0.0.1:5570", id="this machine only"),
        pytest.param("tcp://0.0.0.0:5570", "k", "tcp://127.0.0.1:5570 --key NAME.key_secret --edge-key k/edge.key", id="keys"),
        pytest.param("tcp://[::]:5570", None, "'tcp://[::1]:5570'", id="IPv6, which a shell would take for a pattern"),
        pytest.param("ipc:///run/slide 7", None, "'ipc:///run/slide 7'", id="a path with a space"),
    ],
)
def test_the_command_that_is_waited_for_is_one_to_copy(endpoint: str, keys: str | None, command: str) -> None:
    assert watch_command(endpoint, Path(keys) if keys else None) == f"leuko-edge watch {command}"


def test_the_controllers_stop_ends_the_run(start_run: Start, many_fields: Path) -> None:
    process, endpoint = start_run(many_fields, "--policy", "latest")
    with connected(endpoint, process) as controller:
        records = controller.records(controller.start_run())
        assert isinstance(next(records), RunStart)
        controller.request_stop()
        *_, stop = records
    assert isinstance(stop, RunStop)
    assert stop.outcome is RunOutcome.STOPPED
    assert process.wait(10) == 0


def test_records_nobody_acknowledged_are_not_called_a_success(start_run: Start, many_fields: Path, tmp_path: Path) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text("ack_timeout_s: 0.3\n")
    process, endpoint = start_run(many_fields, "--config", str(config), "--max-fields", "400")
    with connected(endpoint, process) as controller:
        records = controller.records(controller.start_run())
        next(records)
    _, said = process.communicate(timeout=20)
    assert process.returncode == StreamError.exit_code
    assert "did not acknowledge" in said
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def places(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the arguments below stand for."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "good").mkdir()
    cv2.imwrite(str(folder / "good" / "a.png"), blob_field())
    changed = write_tiny_bundle(folder / "changed")
    changed.model_path.write_bytes(changed.model_path.read_bytes() + b"x")
    (folder / "latin.yaml").write_bytes(b"sample_id: pr\xe4p\n")
    (folder / "dated.yaml").write_text("sample_id: 2026-13-45\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield {
            "latin": str(folder / "latin.yaml"),
            "dated": str(folder / "dated.yaml"),
            "none": str(folder / "none"),
            "good": f"--source {folder / 'good'}",
            "scale": "--um-per-px 0.13",
            "model": f"--bundle {bundle.path}",
            "changed": str(changed.path),
            "port": str(taken.getsockname()[1]),
        }


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param("{model}", 2, "no source is set", id="no source"),
        pytest.param("--source {none} {scale} {model}", 4, "none", id="a source that is not there"),
        pytest.param("--source video:{none} {scale} {model}", 4, "none", id="a video that is not there"),
        pytest.param("--source magic:1 {scale} {model}", 2, "magic", id="an unknown kind of source"),
        pytest.param("{good} {model}", 2, "--um-per-px", id="no pixel size"),
        pytest.param("{good} --um-per-px 0 {model}", 2, "um_per_px", id="a pixel size that cannot be"),
        pytest.param("{good} --um-per-px 9 {model}", 2, "check the um/px", id="a pixel size far off"),
        pytest.param("{good} {scale} --bundle {none}", 3, "is not a bundle", id="no bundle"),
        pytest.param("{good} {scale} --bundle {changed}", 3, "is damaged", id="a bundle with a changed byte"),
        pytest.param("{good} {scale} {model} --profile {none}", 3, "profile", id="no profile"),
        pytest.param("{good} {scale} {model} --config {none}", 2, "configuration", id="no configuration"),
        pytest.param("{good} {scale} {model} --log-file {none}/log", 2, "log file", id="a log nobody can write"),
        pytest.param("{good} {scale} {model} --bind tcp://127.0.0.1:{port}", 6, "already in use", id="a port in use"),
        pytest.param("{good} {scale} {model} --slide-id=", 2, "slide", id="a slide without a name"),
        pytest.param(f"{{good}} {{scale}} {{model}} --sample-id {'s' * 129}", 2, "sample", id="too long a name"),
        pytest.param("{good} {scale} {model} --sample-id pr\udce4p", 2, "sample", id="a name that is not UTF-8"),
        pytest.param(
            "{good} {scale} {model} --journal pr\udce4p", 2, "`journal` holds bytes that are not UTF-8 (pr\\xe4p)", id="a path"
        ),
        pytest.param(
            "{good} {scale} {model} --config {latin}", 2, "is not UTF-8 at byte 13; save it as UTF-8", id="a file in Latin-1"
        ),
        pytest.param(
            "{good} {scale} {model} --config {dated}", 2, "holds a value that cannot be read", id="a date that there is not"
        ),
        pytest.param("{good} {scale} {model} --bind 5570", 6, "5570", id="an address that is none"),
    ],
)
def test_a_mistake_is_one_sentence_before_anyone_waits(
    arguments: str,
    code: int,
    words: str,
    places: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["leuko-edge", "run", "--log-level", "warning", *arguments.format(**places).split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err.strip()
    assert ended.value.code == code, said
    assert said.count("\n") == 0, said
    assert words in said
