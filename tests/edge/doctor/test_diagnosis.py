"""`leuko-edge doctor`: a table of machines, each with what a run would open there, and what it lacks for more."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, get_args

import cv2
import pytest
from support.made_profiles import made_profile
from support.made_up_engine import A4000, ORIN, machine, report, write_engine
from support.signed import secret_of, sign, trusting
from support.tiny_bundle import write_tiny_bundle

from edge.camera.aravis import library
from edge.cli import main
from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.engine_files import PLAN, GpuRuntime
from edge.contracts.errors import SourceError
from edge.contracts.profile import write_profile
from edge.doctor import diagnosis, diagnosis_text
from edge.doctor import facts as facts_told
from edge.doctor.facts import gstreamer_of, jetson_release
from edge.engine import machine as looking
from edge.engine import openvino
from edge.engine.engine_places import place_to_build
from edge.engine.machine import Found, Machine, look_at_machine
from edge.engine.quantised_gate import keep_report

pytestmark = pytest.mark.timeout(20)

NO_PYCUDA = Found(missing="PyCUDA cannot be used here (no module).")
NO_TENSORRT = Found(missing="the package tensorrt is not installed.")
NO_RTX = Found(missing="the package tensorrt_rtx is not installed.")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "tiny")


class Said:
    """What one call of the command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Call = Callable[..., Said]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bundle: Bundle) -> Call:
    """Runs the command on a made-up machine; on the bundle, unless arguments are given that name another."""

    def call(here: Machine, *arguments: str, on: Path | None = None) -> Said:
        monkeypatch.setattr(diagnosis_text, "look_at_machine", lambda *, everything: here if everything else None)
        monkeypatch.setattr(sys, "argv", ["leuko-edge", "doctor", str(on or bundle.path), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.mark.parametrize(
    ("here", "built", "code", "opens", "lacks"),
    [
        pytest.param(machine(None), None, 0, "OpenVINO", [], id="no GPU, so nothing is missing"),
        pytest.param(machine(None), {}, 0, "OpenVINO", [], id="an engine for elsewhere on a machine without GPU"),
        pytest.param(
            machine(pycuda=NO_PYCUDA), None, 0, "OpenVINO", ["PyCUDA cannot", "leuko-build engine"], id="no PyCUDA, no engine"
        ),
        pytest.param(machine(pycuda=NO_PYCUDA), {}, 0, "OpenVINO", ["PyCUDA cannot"], id="no PyCUDA for an engine: said once"),
        pytest.param(
            machine(pycuda=NO_PYCUDA, tensorrt=NO_TENSORRT, tensorrt_rtx=NO_RTX),
            None,
            0,
            "OpenVINO",
            ["package tensorrt ", "package tensorrt_rtx", "PyCUDA cannot", "leuko-build engine"],
            id="a bare GPU: all of it at once",
        ),
        pytest.param(machine(), None, 0, "OpenVINO", ["leuko-build engine"], id="a GPU and no engine"),
        pytest.param(
            machine(), {"runtime_version": "10.3.0"}, 0, "OpenVINO", ["built by TensorRT 10.3.0"], id="TensorRT was updated"
        ),
        pytest.param(machine(ORIN), {}, 0, "OpenVINO", ["this is Orin"], id="built for another GPU"),
        pytest.param(machine(), {"gate": "none"}, 5, None, ["leuko-build verify"], id="it fits and was never compared"),
        pytest.param(machine(), {"gate": "failed"}, 5, None, ["has failed its parity gate"], id="it fits and differs"),
        pytest.param(machine(), {}, 0, "TensorRT", [], id="it fits and has passed"),
    ],
)
def test_each_machine_gets_its_engine_or_the_reason(
    doctor: Call, bundle: Bundle, here: Machine, built: dict[str, Any] | None, code: int, opens: str | None, lacks: list[str]
) -> None:
    key = write_engine(bundle, place_to_build(bundle), **built).path.name if built is not None else None
    said = doctor(here, "--json")
    found = said.json
    assert (said.code, found["can_run"]) == (code, code == 0)
    assert (found["opens"] or {}).get("runtime") == opens
    assert (found["opens"] or {}).get("key") == (key if opens == "TensorRT" else None)
    assert len(found["gpu_engine_lacks"]) == len(lacks)
    assert all(words in sentence for words, sentence in zip(lacks, found["gpu_engine_lacks"], strict=True))
    assert [each["key"] for each in found["engines"]] == ([key] if key else [])
    # People get the same, and an error is one sentence behind it.
    said = doctor(here)
    assert said.code == code
    assert ("would open no engine" in said.out) == (code != 0)
    assert said.err.count("\n") == (code != 0)
    assert all(words in said.out + said.err for words in lacks)


def test_the_gpu_is_there_for_scripts_and_for_people(doctor: Call) -> None:
    said = doctor(machine(), "--json").json
    assert said["gpu"] == {
        "name": "RTX A4000",
        "compute_capability": "8.6",
        "sm_count": 48,
        "cuda_version": "13.0",
        "driver_version": "580.10",
        "memory_bytes": 16 * 2**30,
    }
    assert said["facts"]["GPU"]["text"] == "RTX A4000, compute capability 8.6, 48 SMs, 16.0 GiB"
    assert said["facts"]["NVIDIA driver"]["text"] == "580.10, serves CUDA up to 13.0"
    assert doctor(machine(None), "--json").json["gpu"] is None


@pytest.mark.parametrize(
    ("gate", "words", "precision", "says"),
    [
        pytest.param(None, (), "bf16", "Mind: bundle", id="nobody has looked, and the command says how"),
        pytest.param("passed", (), "bf16", "", id="it has passed"),
        pytest.param("failed", (), "f32", "so f32 is computed", id="it differs"),
        pytest.param(None, ("--precision", "f32"), "f32", "", id="f32 is asked for"),
    ],
)
def test_the_precision_and_its_verdict_are_told(
    doctor: Call,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    gate: str | None,
    words: tuple[str, ...],
    precision: str,
    says: str,
) -> None:
    monkeypatch.setattr("edge.engine.openvino.look_at_cpu", lambda: ("9", "a CPU", "bf16"))
    if gate is not None:
        said = report(bundle, bundle.manifest.files[MODEL], gate)
        assert said.engine is not None
        ran = said.engine.model_copy(update={"executor": "OpenVINO 9 on a CPU, bf16"})
        keep_report(bundle, None, said.model_copy(update={"engine": ran}), "bf16")
    told = doctor(machine(gpu=None), *words)
    assert told.code == 0 and says in told.out and ("--precision bf16" in told.out) is (gate is None and not words)
    found = doctor(machine(gpu=None), *words, "--json").json
    assert found["precision"]["precision"] == precision and precision in found["opens"]["text"]


def test_without_a_frame_engines_are_judged_by_the_machine_and_the_run_by_the_bundle_s_field(
    doctor: Call, bundle: Bundle
) -> None:
    write_engine(bundle, place_to_build(bundle), frame_width_px=1920, frame_height_px=1200)
    said = doctor(machine(), "--json").json
    assert said["engines"][0]["fits"]
    assert said["opens"]["runtime"] == "OpenVINO" and said["opens"]["text"].endswith("hint latency")
    assert "1920 x 1200 px and 160 x 128 px are needed" in said["gpu_engine_lacks"][0]
    said = doctor(machine(), "--json", "--frame", "1920x1200").json
    assert said["opens"]["runtime"] == "TensorRT"
    said = doctor(machine(), "--json", "--frame", "1920x1200", "--max-batch", "9").json
    assert not said["engines"][0]["fits"]
    assert said["wanted"] == {"frame_width_px": 1920, "frame_height_px": 1200, "max_batch": 9}


def test_another_directory_of_engines_is_in_the_commands_too(doctor: Call, bundle: Bundle, tmp_path: Path) -> None:
    write_engine(bundle, tmp_path / "elsewhere", gate="none")
    assert doctor(machine(), "--json").code == 0
    said = doctor(machine(), "--json", "--engine-dir", str(tmp_path / "elsewhere"))
    assert said.code == 5
    assert f"--engine-dir {tmp_path / 'elsewhere'}" in said.json["problem"]


def test_a_gate_that_was_passed_on_fields_without_the_profile_s_colours_is_named(doctor: Call, tmp_path: Path) -> None:
    shown = {"empty": (230, 232, 235), "red_cells": (150, 140, 200)}
    knows = {"reference_colours": {"sources": {"ours": {"colours": shown, "images": 9}}}}
    bundle = write_tiny_bundle(tmp_path / "knows", colours=knows)
    engine = write_engine(bundle, place_to_build(bundle))
    write_profile(tmp_path / "p.json", made_profile(bundle.bundle_id))
    plain, with_profile = (doctor(machine(), *words, on=bundle.path) for words in ((), ("--profile", str(tmp_path / "p.json"))))
    assert (plain.code, with_profile.code) == (0, 0) and "Mind:" not in plain.out
    assert f"Mind: engine {engine.path.name} passed its parity gate on fields as the camera gives them" in with_profile.out
    assert f"leuko-build verify {bundle.path} --images DIR --profile {tmp_path / 'p.json'}" in with_profile.out
    told = doctor(machine(), "--profile", str(tmp_path / "p.json"), "--json", on=bundle.path).json
    assert told["can_run"] and "as the camera gives them" in told["gate_doubt"]
    asked = diagnosis_text.Question(bundle.path, profile=tmp_path / "p.json")
    assert [each.usable for each in diagnosis_text.findings(asked) if each.name == "the parity gate"] == [False]
    uncorrected = doctor(machine(), "--profile", str(tmp_path / "p.json"), "--correct", "nothing", "--json", on=bundle.path)
    assert uncorrected.json["gate_doubt"] is None
    refused = doctor(machine(), "--profile", str(tmp_path / "none.json"), on=bundle.path)
    assert refused.code == 3 and "none.json cannot be read" in refused.err


def test_a_damaged_plan_is_found_before_a_run_finds_it(doctor: Call, bundle: Bundle) -> None:
    files = write_engine(bundle, place_to_build(bundle))
    (files.path / PLAN).write_bytes(b"other")
    said = doctor(machine(), "--json")
    assert said.code == 5
    assert "is damaged" in said.json["problem"]
    assert said.json["engines"]  # the others, too, would still be told


def test_engines_that_break_the_survey_itself_are_a_sentence(doctor: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "survey", _broken)
    said = doctor(machine(), "--json")
    assert said.code == 5
    assert "libfoo.so.7" in said.json["problem"]


def test_a_bundle_that_is_none_leaves_the_rest_of_the_answer(doctor: Call, tmp_path: Path) -> None:
    said = doctor(machine(), "--json", on=tmp_path)
    assert said.code == 3
    assert (said.json["bundle"], said.json["opens"]) == (None, None)
    assert said.json["facts"]["PyCUDA"] == {"usable": True, "text": "2026.1"}
    assert "is not a bundle" in said.err


def test_a_frame_that_is_none_is_an_option_s_mistake(doctor: Call) -> None:
    said = doctor(machine(), "--frame", "big")
    assert (said.code, said.err.count("\n")) == (2, 1)


def _broken(*_: object) -> str:
    raise OSError("libfoo.so.7: cannot open shared object file\nmore lines")


def test_a_broken_piece_is_its_own_line_only(doctor: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", _broken)
    said = doctor(machine(None), "--json")
    assert said.code == 0
    assert said.json["facts"]["OpenCV"] == {
        "usable": False,
        "text": "cannot be used (OSError: libfoo.so.7: cannot open shared object file)",
    }
    assert said.json["facts"]["ZeroMQ"]["usable"]


def test_drivers_of_cameras_are_there_or_say_what_they_are_for(doctor: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    def not_installed() -> None:
        raise SourceError("libaravis 0.8 is not installed; on Debian and Ubuntu: apt install libaravis-0.8-0.")

    monkeypatch.setattr(facts_told, "version", missing)
    monkeypatch.setattr(library, "aravis", not_installed)
    facts = doctor(machine(None), "--json").json["facts"]
    assert [facts[name]["usable"] for name in ("libaravis", "pypylon", "harvesters")] == [False] * 3
    assert "apt install libaravis-0.8-0. Only aravis: cameras need it." in facts["libaravis"]["text"]
    assert 'only pylon: cameras need it (pip install "leukostream[pylon]")' in facts["pypylon"]["text"]
    monkeypatch.setattr(facts_told, "version", lambda name: "1.2")
    monkeypatch.setattr(library, "aravis", _broken)
    facts = doctor(machine(None), "--json").json["facts"]
    assert facts["harvesters"] == {"usable": True, "text": "1.2"}
    assert facts["libaravis"]["text"].startswith("cannot be used (OSError")


def test_no_run_can_start_where_openvino_is_broken_unless_a_gpu_engine_does_it(
    doctor: Call, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "look_at_cpu", _broken)
    said = doctor(machine(None), "--json")
    assert said.code == 5
    assert "libfoo.so.7" in said.json["problem"]
    write_engine(bundle, place_to_build(bundle))
    assert doctor(machine(), "--json").code == 0


def test_whatever_is_broken_the_machine_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("find_gpu", "load_pycuda", "is_installed"):
        monkeypatch.setattr(looking, name, _broken)
    here = look_at_machine(everything=True)
    assert here.gpu is None
    for said in (here.missing_gpu, here.pycuda.missing, *(here.runtimes[each].missing for each in get_args(GpuRuntime))):
        assert "is broken here (OSError: libfoo.so.7: cannot open shared object file)" in said
        assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(
            "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64\n# more\n", "L4T 36.4.3, JetPack 6", id="6"
        ),
        pytest.param("# R38 (release), REVISION: 2.1, GCID: 1, BOARD: generic\n", "L4T 38.2.1, JetPack 7", id="7"),
        pytest.param("# R50 (release), REVISION: 1.0\n", "L4T 50.1.0", id="one that is not known yet"),
        pytest.param("# of another make\n", "of another make", id="another file"),
    ],
)
def test_the_release_of_a_jetson(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "nv_tegra_release").write_text(content)
    assert jetson_release(tmp_path / "nv_tegra_release") == says


@pytest.mark.parametrize(
    ("information", "says"),
    [
        pytest.param("  Video I/O:\n    GStreamer:                   NO\n", "without GStreamer", id="PyPI's"),
        pytest.param("  Video I/O:\n    GStreamer:                   YES (1.20.3)\n", "with GStreamer 1.20.3", id="Debian's"),
        pytest.param("    FFMPEG:  YES\n", "without GStreamer", id="not named at all"),
    ],
)
def test_gstreamer_in_opencv(information: str, says: str) -> None:
    assert gstreamer_of(information) == says


def test_the_command_itself_on_this_machine() -> None:
    words = [sys.executable, "-m", "edge.cli", "doctor", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=15, check=False)
    found = json.loads(done.stdout)
    assert found["bundle"]["name"] == "yolov3-tiny-416-look"
    assert (done.returncode == 0) == found["can_run"]
    if found["gpu"] is None:
        assert (done.returncode, done.stderr) == (0, "")
        assert found["opens"]["runtime"] == "OpenVINO"
    assert A4000.name not in done.stdout


def test_what_nobody_signed_is_not_opened_where_signatures_are_asked_for(doctor: Call, bundle: Bundle, tmp_path: Path) -> None:
    secret = secret_of(tmp_path / "keys", "lab-1")
    asked = ["--signers", str(trusting(tmp_path / "signers", secret)), "--json"]
    engine = write_engine(bundle, place_to_build(bundle))
    said = doctor(machine(), *asked)
    assert said.code == 3
    assert "has no bundle.json.sig" in said.json["problem"]
    sign(bundle.path, secret)
    assert doctor(machine(), *asked).json["opens"]["runtime"] == "OpenVINO"
    sign(engine.path, secret)
    assert doctor(machine(), *asked).json["opens"]["key"] == engine.path.name
    assert doctor(machine(), "--signers", str(tmp_path / "none")).code == 2
