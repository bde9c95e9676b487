"""Real engines by TensorRT for RTX: precisions, the same bytes every time, found again, refused before anything is built."""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from support.made_up_engine import A4000, ORIN, request
from support.rtx_builds import HEIGHT_PX, NEEDS_RTX, WIDTH_PX, Watch, built, contents, drawn, options
from support.tiny_bundle import write_tiny_bundle

from builder import engine_build
from builder.engine_build import build_engine, find_built, keep_timing_cache, prepare, read_timing_cache
from builder.images import FieldImages
from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.engine_files import PLAN, EngineFiles
from edge.contracts.errors import BundleError, ConfigError, EngineError

pytestmark = NEEDS_RTX
SAME_NETWORK = pytest.mark.soak
"""Of a network that another case has already, with other default boxes or for images of another size."""

ARCHITECTURES = [
    pytest.param("yolov3-tiny-416", 13),
    pytest.param("yolov3-tiny-416+look", 20),
    pytest.param("yolov3-320", 75),
    pytest.param("yolov3-416", 75, marks=SAME_NETWORK),
    pytest.param("yolov3-608", 75, marks=SAME_NETWORK),
    pytest.param("ssd300-smin0.1", 35),
    pytest.param("ssd300-smin0.2", 35, marks=SAME_NETWORK),
    pytest.param("ssd512-smin0.2", 39),
]
"""Recipe and its convolutions: Redmon's yolov3-tiny.cfg and yolov3.cfg, and Liu et al. 2016 with one head per feature map; a
second look has seven more."""


@pytest.fixture(scope="module")
def shipped_engine(shipped: Bundle, tmp_path_factory: pytest.TempPathFactory) -> EngineFiles:
    return built(shipped, tmp_path_factory.mktemp("engines"))


@pytest.mark.usefixtures("built_once")
@pytest.mark.parametrize(("recipe", "convolutions"), ARCHITECTURES)
def test_every_architecture_is_built_in_fp16_for_batches_up_to_8(
    untrained_bundle: Callable[[str], Bundle], tmp_path: Path, recipe: str, convolutions: int
) -> None:
    bundle = untrained_bundle(recipe)
    before = contents(bundle.path)
    files = built(bundle, tmp_path / "one")
    manifest = files.manifest
    assert (manifest.convolutions, manifest.convolutions_half) == (convolutions, convolutions)
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
def test_another_request_is_another_engine(small: Bundle, tmp_path: Path, changed: dict[str, object]) -> None:
    one, other = built(small, tmp_path), built(small, tmp_path, **changed)
    assert other.path != one.path
    assert other.manifest.plan_sha256 != one.manifest.plan_sha256
    assert find_built(tmp_path, one.manifest.key) == one


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


def test_images_that_cannot_be_read_end_the_build_before_it_begins(shipped: Bundle, tmp_path: Path) -> None:
    def images() -> FieldImages:
        raise EngineError("no images; give some.")

    watch = Watch()
    with pytest.raises(EngineError, match="no images"):
        build_engine(prepare(shipped, options()), tmp_path / "engines", images, watch)
    assert (watch.phases, list((tmp_path / "engines").iterdir())) == ([], [])


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
