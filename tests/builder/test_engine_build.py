"""Real engines by TensorRT for RTX, which needs no GPU to build: precisions, the same bytes every time, never half of one."""

import functools
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import psutil
import pytest
from onnx import helper
from support.made_up_engine import A4000, ORIN, request
from support.tiny_bundle import write_tiny_bundle

from builder import build_process, engine_build
from builder.cli import main
from builder.engine_build import BuildOptions, build_engine, find_built, keep_timing_cache, prepare, read_timing_cache
from builder.images import FieldImages, read_images
from edge.cli import main as edge_main
from edge.contracts.bundle import MODEL, Bundle, load_bundle, write_bundle
from edge.contracts.engine_files import ENGINE_MANIFEST, PLAN, EngineFiles
from edge.contracts.errors import BundleError, ConfigError, EngineError
from edge.settings import SHIPPED_BUNDLE

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tensorrt_rtx") is None,
        reason="tensorrt_rtx is not installed: there is none for this processor",
    ),
]
WIDTH_PX, HEIGHT_PX = 732, 574
ARCHITECTURES = {
    "yolov3-tiny-416": 13,
    "yolov3-320": 75,
    "yolov3-416": 75,
    "yolov3-608": 75,
    "ssd300-smin0.1": 35,
    "ssd300-smin0.2": 35,
    "ssd512-smin0.2": 39,
}
"""Recipe to its convolutions: Redmon's yolov3-tiny.cfg and yolov3.cfg, and Liu et al. 2016 with one head per feature map."""


class Watch:
    """Counts phases; `at_start` is called when TensorRT begins."""

    def __init__(self, at_start: Callable[[], object] = lambda: None) -> None:
        self.phases: list[str] = []
        self._at_start = at_start

    def started(self, phase: str, parent: str | None, n_steps: int) -> None:
        self.phases.append(phase)
        if phase == "Building":
            self._at_start()

    def finished(self, phase: str) -> None:
        assert phase in self.phases

    def stepped(self, phase: str, step: int) -> None:
        assert phase in self.phases


def options(**changed: object) -> BuildOptions:
    known: dict[str, object] = {
        "runtime": "tensorrt_rtx",
        "frame_width_px": WIDTH_PX,
        "frame_height_px": HEIGHT_PX,
        "targets": ("SM86",),
    }
    return BuildOptions(**(known | changed))  # type: ignore[arg-type]


@functools.cache
def drawn(width_px: int, height_px: int) -> FieldImages:
    """One field, drawn once: all bundles here have one scale."""
    return read_images(None, load_bundle(SHIPPED_BUNDLE), width_px, height_px, 1)


def built(bundle: Bundle, engines: Path, watch: Watch | None = None, **changed: object) -> EngineFiles:
    chosen = options(**changed)

    def images() -> FieldImages:
        return drawn(chosen.frame_width_px, chosen.frame_height_px)

    return build_engine(prepare(bundle, chosen), engines, images, watch or Watch())


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What builds in no time, for the tests of everything around a build."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture
def built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One build each, whether or not another gives the same bytes, where a test asks for nothing of the kind."""
    monkeypatch.setattr(build_process, "_ATTEMPTS", 1)


@pytest.fixture(scope="module")
def shipped_engine(shipped: Bundle, tmp_path_factory: pytest.TempPathFactory) -> EngineFiles:
    return built(shipped, tmp_path_factory.mktemp("engines"))


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.usefixtures("built_once")
@pytest.mark.parametrize("recipe", ARCHITECTURES)
def test_every_architecture_is_built_in_fp16_for_batches_up_to_8(
    untrained_bundle: Callable[[str], Bundle], tmp_path: Path, recipe: str
) -> None:
    bundle = untrained_bundle(recipe)
    before = contents(bundle.path)
    files = built(bundle, tmp_path / "one")
    manifest = files.manifest
    assert (manifest.convolutions, manifest.convolutions_half) == (ARCHITECTURES[recipe], ARCHITECTURES[recipe])
    assert manifest.batch_profile == (1, 4, 8)
    found = manifest.layer_precisions
    decoding = [name for name in found if any(part in name for part in ("sigmoid", "exp_", "softmax", "topk", "vector_norm"))]
    assert decoding and {found[name] for name in decoding} == {"FLOAT"}
    assert sum(kind == "HALF" for kind in found.values()) > manifest.convolutions
    assert contents(bundle.path) == before, "a bundle never changes"


def test_equal_requests_give_the_same_bytes(shipped: Bundle, shipped_engine: EngineFiles, tmp_path: Path) -> None:
    assert shipped_engine.manifest.reproduced
    again = built(shipped, tmp_path / "a-directory-of-another-name")
    assert again.manifest.plan_sha256 == shipped_engine.manifest.plan_sha256


def test_the_manifest_says_what_was_built(shipped: Bundle, shipped_engine: EngineFiles) -> None:
    manifest, request = shipped_engine.manifest, shipped_engine.manifest.request
    assert (request.bundle_id, request.onnx_sha256) == (shipped.bundle_id, shipped.manifest.files[MODEL])
    assert (request.runtime, request.gpu, request.targets) == ("tensorrt_rtx", None, ("SM86",))
    assert manifest.plan_bytes == (shipped_engine.path / PLAN).stat().st_size
    assert manifest.plan_sha256 == hashlib.sha256(shipped_engine.read_plan()).hexdigest()
    assert shipped_engine.path.name == manifest.key == request.key()
    assert 0 < manifest.ranges.largest_activation < 65504
    assert manifest.ranges.images_are_synthetic
    assert shipped_engine.gate == "none"


def test_an_engine_that_is_there_is_not_built_again(shipped: Bundle, shipped_engine: EngineFiles) -> None:
    before, watch = contents(shipped_engine.path.parent), Watch()
    assert built(shipped, shipped_engine.path.parent, watch) == shipped_engine
    assert watch.phases == []
    assert contents(shipped_engine.path.parent) == before


@pytest.mark.usefixtures("built_once")
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"targets": ("SM86", "SM89")}, id="another target"),
        pytest.param({"frame_width_px": 640, "frame_height_px": 480, "max_batch": 1}, id="another camera, field by field"),
    ],
)
def test_another_request_is_another_engine(shipped: Bundle, shipped_engine: EngineFiles, changed: dict[str, object]) -> None:
    other = built(shipped, shipped_engine.path.parent, **changed)
    assert other.path != shipped_engine.path
    assert other.manifest.plan_sha256 != shipped_engine.manifest.plan_sha256
    assert find_built(shipped_engine.path.parent, shipped_engine.manifest.key) == shipped_engine


def test_targets_in_any_order_are_one_request(shipped: Bundle) -> None:
    one, other = (prepare(shipped, options(targets=each)).request for each in (("sm120", "SM86"), ("SM86", "SM120", "SM86")))
    assert one == other
    assert one.targets == ("SM86", "SM120")


def test_a_damaged_engine_is_built_again(small: Bundle, tmp_path: Path) -> None:
    files = built(small, tmp_path)
    (files.path / PLAN).write_bytes(b"half a plan")
    again = built(small, tmp_path)
    assert again.manifest.plan_sha256 == files.manifest.plan_sha256
    assert again.read_plan()


def _crash_child() -> None:
    """Read from /proc at once: a build takes half a second."""
    pids = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    (child,) = (int(pid) for pid in pids if b"builder.build_process" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(child, signal.SIGSEGV)


def test_a_build_process_that_dies_is_told_and_leaves_nothing(shipped: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"build process of TensorRT for RTX 1\..* ended by SIGSEGV"):
        built(shipped, tmp_path / "engines", Watch(at_start=_crash_child))
    assert list((tmp_path / "engines").iterdir()) == []


def test_images_that_cannot_be_read_end_the_build_before_it_begins(shipped: Bundle, tmp_path: Path) -> None:
    def images() -> FieldImages:
        raise EngineError("no images; give some.")

    watch = Watch()
    with pytest.raises(EngineError, match="no images"):
        build_engine(prepare(shipped, options()), tmp_path / "engines", images, watch)
    assert (watch.phases, list((tmp_path / "engines").iterdir())) == ([], [])


_COMMAND = [sys.executable, "-c", "from builder.cli import main; main()"]


def _arguments(bundle: Bundle, engines: Path, *more: str) -> list[str]:
    return ["engine", str(bundle.path), "--runtime", "tensorrt_rtx", "--engine-dir", str(engines), "--target", "SM86", *more]


def _building(bundle: Bundle, engines: Path) -> "subprocess.Popen[str]":
    """A build by the real command, caught when its build process is there."""
    command = [*_COMMAND, *_arguments(bundle, engines, "--target", "SM120")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 40
    while not psutil.Process(process.pid).children():
        assert time.monotonic() < deadline_s and process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.usefixtures("built_once")
def test_a_build_that_is_killed_leaves_no_engine_and_the_next_one_clears_up(small: Bundle, tmp_path: Path) -> None:
    process = _building(small, tmp_path)
    child = psutil.Process(process.pid).children()[0]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    child.wait(10)  # nobody wants its plan any more
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == [".building"]
    files = built(small, tmp_path)
    assert list(tmp_path.iterdir()) == [files.path]


def test_a_build_that_is_interrupted_ends_cleanly(shipped: Bundle, tmp_path: Path) -> None:
    for attempt in range(5):
        process = _building(shipped, tmp_path / str(attempt))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        if process.returncode:
            break  # else it was done before the signal came
        shutil.rmtree(tmp_path / str(attempt))
    assert process.returncode != 0
    assert "Traceback" not in said
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("built_once")
def test_a_build_beside_this_one_is_left_alone(small: Bundle, tmp_path: Path) -> None:
    alive, elsewhere = f".building-{platform.node()}-{os.getppid()}-key", ".building-another-machine-1-key"
    (tmp_path / alive).mkdir()
    (tmp_path / elsewhere).mkdir()
    built(small, tmp_path)
    assert {path.name for path in tmp_path.glob(".building-*")} == {alive, elsewhere}


def test_a_directory_that_cannot_be_written_is_named_before_the_build(shipped: Bundle, tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("a file where the directory should be")
    watch = Watch()
    with pytest.raises(EngineError, match=r"cannot be written to .*--engine-dir"):
        built(shipped, tmp_path / "engines", watch)
    assert watch.phases == []


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        pytest.param({"targets": ("SM99",)}, ConfigError, "SM99 is not one .* it knows SM75", id="a GPU it does not know"),
        pytest.param({"targets": ()}, EngineError, "name those of the scanners", id="no GPU here and none named"),
        pytest.param({"runtime": "tensorrt"}, EngineError, "TensorRT cannot be loaded", id="a runtime that is not installed"),
    ],
)
def test_what_cannot_be_built_is_refused_at_once(
    shipped: Bundle, changed: dict[str, object], error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_gpu() -> None:
        raise EngineError("this machine has no NVIDIA driver.")

    monkeypatch.setattr(engine_build, "find_gpu", no_gpu)
    if changed.get("runtime") == "tensorrt" and importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("TensorRT is installed here")
    with pytest.raises(error, match=says):
        prepare(shipped, options(**changed))


def test_a_gpu_of_this_machine_is_part_of_the_request(shipped: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    here = engine_build.Gpu(A4000, "13.0", "580.10", 2**34)
    monkeypatch.setattr(engine_build, "find_gpu", lambda: here)
    assert prepare(shipped, options(targets=())).request.gpu == A4000
    assert prepare(shipped, options()).request.gpu is None


def test_too_little_scratch_memory_is_told_in_tensorrts_words(shipped: Bundle, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"did not build the engine .*--workspace-mib") as caught:
        built(shipped, tmp_path, workspace_mib=1)
    assert "it gave no reason" not in str(caught.value)


def _changed_bundle(tmp_path: Path, change: Callable[[onnx.ModelProto], None]) -> Bundle:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    model = onnx.load(bundle.model_path)
    change(model)
    manifest = bundle.manifest.model_dump(exclude={"files"})
    return write_bundle(tmp_path / "changed", manifest, {MODEL: model.SerializeToString()})


def _sine(model: onnx.ModelProto) -> None:
    """Bring in an operator that no TensorRT reads."""
    node = next(node for node in model.graph.node if node.op_type == "ReduceMean" or "presence" in node.output)
    made = node.output[0]
    node.output[0] = f"{made}_plain"
    model.graph.node.insert(
        list(model.graph.node).index(node) + 1, helper.make_node("Det", [f"{made}_plain"], [made], name="determinant")
    )


def test_a_graph_that_tensorrt_cannot_read_names_the_operator(tmp_path: Path) -> None:
    bundle = _changed_bundle(tmp_path, _sine)
    with pytest.raises(EngineError, match=r"cannot read the graph \(Det determinant"):
        built(bundle, tmp_path / "engines", frame_width_px=160, frame_height_px=128)


def test_a_graph_that_breaks_the_contract_is_not_built(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", fault="labels_int64")
    with pytest.raises(BundleError, match="labels are int64"):
        prepare(bundle, options())


def test_times_of_earlier_builds_are_kept_per_version_and_gpu(shipped: Bundle, tmp_path: Path) -> None:
    here = request(shipped, runtime_version="10.3.0")
    assert read_timing_cache(tmp_path, here) == b""
    keep_timing_cache(tmp_path, here, b"times")
    keep_timing_cache(tmp_path, here, b"")
    assert read_timing_cache(tmp_path, here) == b"times"
    for other in (request(shipped), request(shipped, runtime_version="10.3.0", gpu=ORIN)):
        assert read_timing_cache(tmp_path, other) == b""
    assert [path.name for path in tmp_path.iterdir()] == [".timing-tensorrt-10.3.0-sm86-48.cache"]
    keep_timing_cache(tmp_path / "nowhere", here, b"times")  # a finished plan is worth more than its times


@pytest.mark.usefixtures("built_once")
def test_an_engine_that_another_build_finished_meanwhile_stays(small: Bundle, tmp_path: Path) -> None:
    """It may have passed its gate and be in use by now."""

    def images() -> FieldImages:
        if not list(tmp_path.glob("tensorrt*")):
            first = built(small, tmp_path)
            (first.path / "mark").touch()
        return drawn(WIDTH_PX, HEIGHT_PX)

    prepared = prepare(small, options())
    files = build_engine(prepared, tmp_path, images, Watch())
    assert list(tmp_path.iterdir()) == [files.path]
    assert (files.path / "mark").exists()


@pytest.mark.usefixtures("built_once")
def test_a_bundle_that_lies_where_nothing_can_be_written_has_its_engines_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands where the directory would have to be, which stops root, too."""
    bundle = write_tiny_bundle(tmp_path / "shelf" / "small")
    (tmp_path / "shelf" / "engines").write_text("no directory")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user_engines = tmp_path / "data" / "leukostream" / "engines"
    asked = ["engine", str(bundle.path), "--runtime", "tensorrt_rtx", "--target", "SM86", "--json"]
    before = contents(tmp_path / "shelf")

    def said(command: Callable[[], None], *arguments: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["leuko", *arguments])
        with pytest.raises(SystemExit) as ended:
            command()
        assert ended.value.code in {0, None}
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    first = said(main, *asked)
    assert (Path(first["directory"]).parent, first["reused"]) == (user_engines, False)
    again = said(main, *asked)
    assert (again["directory"], again["reused"]) == (first["directory"], True)
    (listed,) = said(main, "inspect", str(bundle.path), "--json")["engines"]
    assert listed["directory"] == first["directory"]
    diagnosis = said(edge_main, "doctor", str(bundle.path), "--json")
    assert [each["directory"] for each in diagnosis["engines"]] == [first["directory"]]
    assert (
        diagnosis["facts"]["engines in"]["text"]
        == f"{tmp_path / 'shelf' / 'engines'}, then {user_engines}, into which they are built"
    )
    assert contents(tmp_path / "shelf") == before


def test_the_command_builds_says_so_and_finds_it_again(
    shipped: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _arguments(shipped, tmp_path, "--max-batch", "2")
    first = subprocess.run([*_COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert (first.returncode, "all 13 convolutions" in first.stdout) == (0, True), first.stderr

    def once_more(*more: str) -> tuple[int, str, str]:
        """In this process: to import the command takes longer than what it has to do here."""
        monkeypatch.setattr(sys, "argv", ["leuko-build", *arguments, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    code, out, _ = once_more("--json")
    assert (code, json.loads(out)["reused"]) == (0, True)
    assert len(list(tmp_path.glob(f"*/{ENGINE_MANIFEST}"))) == 1
    code, _, err = once_more("--frame", "732")
    assert (code, err.count("\n")) == (2, 1)
    assert "--frame 732 is no size" in err
