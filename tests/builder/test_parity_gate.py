"""The gate's ways to end: an engine that agrees, one that does not, one that breaks, one that cannot be run here, and none."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import made_profiles as made
from support.made_up_engine import write_engine
from support.tiny_bundle import BLOBS, blob_field, tiny_model, write_tiny_bundle

from builder import parity_gate
from builder.cli import main
from builder.executors import CpuExecutor
from builder.parity_gate import OpenGpuEngine
from edge.contracts.bundle import Bundle, sha256_of
from edge.contracts.detections import Image, RawDetections
from edge.contracts.engine_files import ENGINE_MANIFEST, PARITY, PLAN, EngineFiles, GpuIdentity, load_engine_files
from edge.contracts.errors import EngineError
from edge.contracts.profile import CameraGeometry, Profile, part_sha256, write_profile
from edge.engine.base import Engine, EngineInfo

_NO_GPU = "this machine has no NVIDIA GPU."
_WIDTH_PX, _HEIGHT_PX = 160, 128


class StandInEngine:
    """An engine that no GPU computes: the bundle's graph on the CPU, and what a test makes of its rows."""

    def __init__(self, change: Callable[[RawDetections], RawDetections] = lambda raw: raw) -> None:
        self._executor = CpuExecutor(tiny_model(), is_emulation=True)
        self._change = change
        self._slots = [np.zeros((2, _HEIGHT_PX, _WIDTH_PX, 3), np.uint8) for _ in range(3)]
        self._running: dict[int, int] = {}
        self.batches: list[tuple[int, int]] = []
        self.is_closed = False
        self.info = EngineInfo("stand-in", "1", "CPU, an emulation", "f16", _WIDTH_PX, _HEIGHT_PX, 2, 3, 256)

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        self._running[index] = n
        self.batches.append((index, n))

    def collect(self, index: int) -> RawDetections:
        return self._change(self._executor.run(self._slots[index][: self._running.pop(index)]))

    def keep_warm(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


def _moved(raw: RawDetections) -> RawDetections:
    return RawDetections(raw.boxes + np.float32(3), raw.scores, raw.labels)


def _nothing_found(raw: RawDetections) -> RawDetections:
    return RawDetections(raw.boxes, raw.scores * np.float32(0), raw.labels)


def _broken(raw: RawDetections) -> RawDetections:
    raise EngineError("the GPU is gone.")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """35 fields with 6 cells each."""
    folder = tmp_path_factory.mktemp("fields")
    names = list(BLOBS)
    for index in range(35):
        blobs = [(names[(index + k) % 4], 4 + 52 * (k % 3), 8 + 60 * (k // 3)) for k in range(6)]
        cv2.imwrite(str(folder / f"{index:03d}.png"), blob_field(blobs))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "tiny")


def _add_engine(
    bundle: Bundle, *, name: str = "TestGPU", bundle_id: str | None = None, width_px: int = _WIDTH_PX
) -> EngineFiles:
    """An engine's directory whose plan is a few bytes, never verified."""
    return write_engine(
        bundle,
        bundle.path.parent / "engines",
        gate="none",
        plan=b"machine code for " + name.encode(),
        bundle_id=bundle_id or bundle.bundle_id,
        gpu=GpuIdentity(name=name, compute_capability="8.6", sm_count=20),
        frame_width_px=width_px,
        max_batch=2,
    )


class Called:
    """What one call of the command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Call = Callable[..., Called]


@pytest.fixture
def leuko_build_verify(
    bundle: Bundle, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Runs the command on the bundle; `engine` is what opening gives, an exception is raised."""

    def call(*arguments: str, engine: Engine | Exception | None = None) -> Called:
        def opened(files: EngineFiles) -> Engine:
            if engine is None or isinstance(engine, Exception):
                raise engine or EngineError(_NO_GPU)
            return engine

        def opener(*_: object) -> OpenGpuEngine:
            return opened

        monkeypatch.setattr(parity_gate, "opener", opener)
        monkeypatch.setattr(
            sys, "argv", ["leuko-build", "verify", str(bundle.path), "--images", str(images), "--um-per-px", "0.13", *arguments]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Called(ended.value.code, said.out, said.err)

    return call


def test_an_engine_that_agrees_passes(bundle: Bundle, leuko_build_verify: Call) -> None:
    files, engine = _add_engine(bundle), StandInEngine()
    called = leuko_build_verify("--json", engine=engine)
    assert called.code == 0, called.err
    said = json.loads(called.out)
    assert (said["passed"], said["emulation_passed"], said["unreadable"]) == (True, True, [])
    written = load_engine_files(files.path)
    assert written.gate == "passed"
    assert written.parity is not None
    assert written.parity.model_dump(mode="json") == said["engines"][0]["report"]
    assert (written.parity.images, written.parity.reference_cells, written.parity.images_are_synthetic) == (35, 210, False)
    assert written.parity.engine is not None
    assert written.parity.engine.executor == "stand-in 1 on CPU, an emulation, f16"
    # Batches as large as it takes, and every slot in turn.
    assert engine.batches[:4] == [(0, 2), (1, 2), (2, 2), (0, 2)]
    assert engine.batches[-1] == (2, 1)
    assert engine.is_closed


def test_a_report_names_the_profile_that_its_images_were_corrected_by(
    bundle: Bundle, images: Path, leuko_build_verify: Call, tmp_path: Path
) -> None:
    height_px, width_px = cv2.imread(str(next(images.iterdir()))).shape[:2]
    lit = made.light().model_copy(update={"width_px": width_px, "height_px": height_px})
    camera = CameraGeometry(width_px=width_px, height_px=height_px)
    profile = Profile(instrument="b", camera=camera, pixel_size=made.pixel_size(), illumination=lit)
    digest = write_profile(tmp_path / "p.json", profile)
    files = _add_engine(bundle)
    called = leuko_build_verify("--json", "--profile", str(tmp_path / "p.json"), engine=StandInEngine())
    report = json.loads(called.out)["engines"][0]["report"]
    assert report["profile_sha256"] == digest and report["illumination_sha256"] == part_sha256(lit)
    assert report["colour_transform"].startswith("white-1:") and "corrected for light" in report["images_from"]
    assert load_engine_files(files.path).parity is not None


def test_people_see_what_was_compared(bundle: Bundle, leuko_build_verify: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    files = _add_engine(bundle)
    called = leuko_build_verify(engine=StandInEngine())
    assert called.code == 0
    assert "35 images" in called.out
    assert "1 of 1 engines ran here and passed" in called.out
    assert files.manifest.key in called.out
    assert "lymphocyte" in called.out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(_moved, "median IoU", id="boxes moved"),
        pytest.param(_nothing_found, "210 cells missed", id="finds nothing"),
        pytest.param(_broken, "it failed at image 000.png: the GPU is gone", id="breaks, which is not an empty field"),
    ],
)
def test_an_engine_that_does_not_agree_fails_its_gate(
    bundle: Bundle, leuko_build_verify: Call, change: Callable[[RawDetections], RawDetections], says: str
) -> None:
    files, engine = _add_engine(bundle), StandInEngine(change)
    called = leuko_build_verify(engine=engine)
    assert called.code == 5
    assert says in called.err
    assert called.err.strip().count("\n") == 0
    assert load_engine_files(files.path).gate == "failed"
    assert engine.is_closed


def test_an_engine_that_cannot_be_run_here_is_not_passed_and_its_report_says_why(
    bundle: Bundle, leuko_build_verify: Call
) -> None:
    files = _add_engine(bundle)
    called = leuko_build_verify()
    assert called.code == 5
    assert "(FP16 emulation: passed)" in called.err
    assert _NO_GPU in called.err
    written = load_engine_files(files.path)
    assert written.gate == "none"
    assert written.parity is not None
    assert (written.parity.engine_not_run, written.parity.engine, written.parity.passed) == (_NO_GPU, None, False)
    assert written.parity.emulation.passed


@pytest.mark.parametrize("change", [None, _moved], ids=["passed", "failed"])
def test_a_machine_without_a_gpu_does_not_undo_what_another_found(
    bundle: Bundle, leuko_build_verify: Call, change: Callable[[RawDetections], RawDetections] | None
) -> None:
    files = _add_engine(bundle)
    leuko_build_verify(engine=StandInEngine(change) if change else StandInEngine())
    before = (files.path / PARITY).read_bytes()
    called = leuko_build_verify("--json")
    assert called.code == 5
    assert (files.path / PARITY).read_bytes() == before
    assert json.loads(called.out)["engines"][0]["earlier_report_kept"] is True


def test_a_report_of_an_earlier_plan_is_replaced(bundle: Bundle, leuko_build_verify: Call) -> None:
    files = _add_engine(bundle)
    leuko_build_verify(engine=StandInEngine())
    (files.path / PLAN).write_bytes(b"another plan")
    manifest = json.loads((files.path / ENGINE_MANIFEST).read_text())
    manifest["plan_sha256"] = sha256_of(files.path / PLAN)
    (files.path / ENGINE_MANIFEST).write_text(json.dumps(manifest))
    assert load_engine_files(files.path).gate == "none"
    leuko_build_verify()
    parity = load_engine_files(files.path).parity
    assert parity is not None
    assert parity.engine_not_run == _NO_GPU


def test_a_damaged_report_is_written_anew(bundle: Bundle, leuko_build_verify: Call) -> None:
    files = _add_engine(bundle)
    (files.path / PARITY).write_text('{"half": ')
    assert leuko_build_verify(engine=StandInEngine()).code == 0
    assert load_engine_files(files.path).gate == "passed"


def test_without_an_engine_nothing_passed(leuko_build_verify: Call) -> None:
    called = leuko_build_verify()
    assert called.code == 5
    assert "has no engine in" in called.err
    assert "FP16 emulation: passed" in called.err
    assert "(which is not the gate): passed" in called.out


def test_the_emulation_alone_passes_where_it_was_asked_for(bundle: Bundle, leuko_build_verify: Call) -> None:
    files = _add_engine(bundle)
    called = leuko_build_verify("--emulation-only", "--json")
    said = json.loads(called.out)
    assert (called.code, said["passed"], said["emulation_passed"], said["engines"]) == (0, False, True, [])
    assert not (files.path / PARITY).exists()


def test_too_few_cells_leave_the_emulation_undecided(leuko_build_verify: Call) -> None:
    called = leuko_build_verify("--emulation-only", "--limit", "3")
    assert called.code == 10
    assert "is not decided: the reference finds only 18 cells where 200 are needed; read more of these images" in called.err


@pytest.mark.parametrize(
    ("arguments", "change", "code", "gate", "says"),
    [
        pytest.param(("--limit", "30"), None, 10, "undecided", "about 35 of the 35, with --limit 35", id="more are there"),
        pytest.param(("--limit", "3"), None, 10, "undecided", "only 18 cells", id="as few as three images show"),
        pytest.param(("--limit", "3"), _nothing_found, 5, "failed", "18 cells missed", id="what is plain needs no 200 cells"),
    ],
)
def test_an_engine_is_not_decided_on_too_few_cells(
    bundle: Bundle,
    leuko_build_verify: Call,
    arguments: tuple[str, ...],
    change: Callable[[RawDetections], RawDetections] | None,
    code: int,
    gate: str,
    says: str,
) -> None:
    files = _add_engine(bundle)
    called = leuko_build_verify(*arguments, engine=StandInEngine(change) if change else StandInEngine())
    assert (called.code, load_engine_files(files.path).gate) == (code, gate)
    assert says in called.err
    assert called.err.strip().count("\n") == 0
    assert ("too few cells" in called.out, "1 not decided" in called.out) == (True, code == 10)


def test_a_folder_with_too_few_images_is_told_how_many_it_takes(leuko_build_verify: Call, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    cv2.imwrite(str(folder / "one.png"), blob_field([("lymphocyte", 4, 8), ("eosinophil", 56, 8)]))
    called = leuko_build_verify("--images", str(folder), "--emulation-only")
    assert called.code == 10
    assert "give more images, about 105 like this one, and --limit 105" in called.err


def test_no_cell_at_all_points_to_the_scale(leuko_build_verify: Call, tmp_path: Path) -> None:
    folder = tmp_path / "blank"
    folder.mkdir()
    cv2.imwrite(str(folder / "blank.png"), blob_field())
    called = leuko_build_verify("--images", str(folder), "--emulation-only")
    assert called.code == 10
    assert "finds no cell where 200 are needed; check --um-per-px" in called.err


def test_only_the_named_engine_is_run(bundle: Bundle, leuko_build_verify: Call) -> None:
    first, second = _add_engine(bundle), _add_engine(bundle, name="OtherGPU")
    assert leuko_build_verify("--engine", second.manifest.key, engine=StandInEngine()).code == 0
    assert not (first.path / PARITY).exists()
    called = leuko_build_verify("--engine", "nothing", engine=StandInEngine())
    assert called.code == 5
    assert "no engine nothing" in called.err


def test_one_engine_that_passes_does_not_pass_for_another(bundle: Bundle, leuko_build_verify: Call) -> None:
    good, bad = _add_engine(bundle), _add_engine(bundle, name="OtherGPU")
    (bad.path / ENGINE_MANIFEST).write_text("{}")
    called = leuko_build_verify(engine=StandInEngine())
    assert called.code == 5
    assert "cannot be read" in called.err
    assert load_engine_files(good.path).gate == "passed"


def test_engines_of_another_bundle_are_left_alone(bundle: Bundle, leuko_build_verify: Call) -> None:
    other = _add_engine(bundle, bundle_id="f" * 64)
    assert "has no engine" in leuko_build_verify(engine=StandInEngine()).err
    assert not (other.path / PARITY).exists()


def test_an_engine_that_is_being_built_is_no_engine_yet(bundle: Bundle, leuko_build_verify: Call) -> None:
    files = _add_engine(bundle)
    files.path.rename(files.path.with_name(f".building-1-{files.path.name}"))
    assert "has no engine" in leuko_build_verify(engine=StandInEngine()).err


def test_images_that_are_not_there_are_an_error(bundle: Bundle, leuko_build_verify: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    called = leuko_build_verify("--images", str(tmp_path / "empty"))
    assert called.code == 4
    assert "error (source)" in called.err


def test_a_report_is_whole_or_not_there(bundle: Bundle, leuko_build_verify: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _add_engine(bundle)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    called = leuko_build_verify(engine=StandInEngine())
    assert called.code == 5
    assert "cannot be written (No space left on device)" in called.err
    assert sorted(path.name for path in files.path.iterdir()) == [ENGINE_MANIFEST, PLAN]


def test_this_machine_says_why_it_cannot_run_an_engine_of_another(bundle: Bundle) -> None:
    files = _add_engine(bundle)
    with pytest.raises(EngineError, match="Remedy: "):
        parity_gate.opener(bundle, None)(files)


def test_engines_are_grouped_by_the_frames_they_take(bundle: Bundle) -> None:
    first, second, third = _add_engine(bundle), _add_engine(bundle, name="B"), _add_engine(bundle, width_px=200)
    sizes = parity_gate.frame_sizes([first, second, third])
    assert {size: len(group) for size, group in sizes.items()} == {(160, 128): 2, (200, 128): 1}
