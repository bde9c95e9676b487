"""Which engine a machine runs, and the sentence for each that it does not."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.made_up_engine import A4000, ORIN, RTX_VERSION, machine, request, write_engine
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import ENGINE_MANIFEST, PLAN
from edge.contracts.errors import ConfigError, EngineError
from edge.engine import open_engine
from edge.engine.choice import choose_engine
from edge.engine.engine_places import place_to_build
from edge.engine.machine import Found, Machine, look_at_machine
from edge.engine.survey import Wanted, survey

WANTED = Wanted(160, 128, 4)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "bundle")


RTX = {"runtime": "tensorrt_rtx", "runtime_version": RTX_VERSION, "gpu": None, "targets": ("SM86", "SM89")}


@pytest.mark.parametrize(
    ("built", "here"),
    [
        pytest.param({}, machine(), id="built on this very GPU"),
        pytest.param({"max_batch": 4}, machine(), id="just the batch that is needed"),
        pytest.param(RTX, machine(), id="built ahead of time for this generation"),
        pytest.param(RTX | {"gpu": A4000, "targets": ()}, machine(), id="built here for RTX"),
        pytest.param({"runtime_version": "10.13.3.9.post1"}, machine(), id="the same release in another package"),
        pytest.param({}, machine(tensorrt_rtx=Found(missing="not installed")), id="the other runtime is not needed"),
    ],
)
def test_an_engine_that_was_built_for_this_machine_is_chosen(bundle: Bundle, built: dict[str, object], here: Machine) -> None:
    files = write_engine(bundle, place_to_build(bundle), **built)
    assert choose_engine(bundle, here, WANTED) == files
    assert choose_engine(bundle, here, WANTED, runtime=files.manifest.request.runtime) == files


@pytest.mark.parametrize(
    ("built", "here", "says", "remedy"),
    [
        pytest.param({}, machine(None), "no NVIDIA driver", "--engine openvino", id="no GPU"),
        pytest.param(
            {}, machine(ORIN), "RTX A4000 (SM86, 48 SMs) and this is Orin (SM87, 16 SMs)", "leuko-build", id="other GPU"
        ),
        pytest.param(
            {"gpu": A4000.model_copy(update={"sm_count": 40})},
            machine(),
            "40 SMs",
            "leuko-build",
            id="a smaller sister of the GPU",
        ),
        pytest.param(
            {"runtime_version": "10.3.0"}, machine(), "built by TensorRT 10.3.0 and 10.13.3.9", "leuko-build", id="update"
        ),
        pytest.param(
            {}, machine(tensorrt=Found(missing="no module")), "cannot be used: no module", "install", id="no TensorRT"
        ),
        pytest.param({}, machine(pycuda=Found(missing="no PyCUDA.")), "no PyCUDA", "docs/install-gpu.md", id="no PyCUDA"),
        pytest.param(
            RTX | {"targets": ("SM89", "SM120")}, machine(), "SM89, SM120 and this GPU is SM86", "leuko-build", id="target"
        ),
        pytest.param({"frame_width_px": 732}, machine(), "732 x 128 px and 160 x 128 px", "--frame 160x128", id="other camera"),
        pytest.param({"max_batch": 2}, machine(), "batches up to 2 and 4 is needed", "--max-batch 4", id="batch too small"),
    ],
)
def test_an_engine_that_does_not_fit_says_why_and_what_helps(
    bundle: Bundle, built: dict[str, object], here: Machine, says: str, remedy: str
) -> None:
    write_engine(bundle, place_to_build(bundle), **built)
    (verdict,) = survey(bundle, here, WANTED)
    assert not verdict.fits
    assert says in verdict.reason
    assert remedy in verdict.remedy
    runtime = built.get("runtime", "tensorrt")
    with pytest.raises(EngineError, match="cannot be used"):
        choose_engine(bundle, here, WANTED, runtime=runtime)  # type: ignore[arg-type]


def test_a_machine_with_a_gpu_and_no_engine_for_it_says_so_and_computes_on_the_cpu(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose_engine(bundle, machine(), WANTED) is None
    assert "has no TensorRT engine for this machine's RTX A4000" in caplog.text
    assert "leuko-build engine" in caplog.text and "--frame 160x128 --max-batch 4" in caplog.text
    with pytest.raises(EngineError, match="no TensorRT for RTX engine"):
        choose_engine(bundle, machine(), WANTED, runtime="tensorrt_rtx")


@pytest.mark.parametrize(
    ("has_engine", "here", "warns"),
    [
        pytest.param(False, machine(None), False, id="nobody expects a GPU"),
        pytest.param(True, machine(None), True, id="engines lie there, and the driver is gone"),
        pytest.param(False, replace(machine(None), gpu_fails=True), True, id="the driver refuses"),
    ],
)
def test_a_machine_without_gpu_takes_the_cpu_and_says_so_where_a_gpu_is_missed(
    bundle: Bundle, caplog: pytest.LogCaptureFixture, has_engine: bool, here: Machine, warns: bool
) -> None:
    if has_engine:
        write_engine(bundle, place_to_build(bundle))
    assert choose_engine(bundle, here, WANTED) is None
    assert ("no NVIDIA driver" in caplog.text) == warns


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        pytest.param("none", "has not passed its parity gate", id="never compared"),
        pytest.param("failed", "has failed its parity gate", id="it differs"),
        pytest.param("undecided", "on too few cells to pass", id="too few cells were compared"),
        pytest.param("emulated", "has failed its parity gate", id="only the emulation was compared"),
        pytest.param("other", "has not passed its parity gate", id="built anew since"),
        pytest.param("drawn", "on drawn fields only", id="no photograph was compared"),
        pytest.param("elsewhere", "on another GPU only", id="its plan was copied with its report"),
    ],
)
def test_an_engine_without_a_passed_gate_needs_the_flag(bundle: Bundle, gate: str, says: str) -> None:
    files = write_engine(bundle, place_to_build(bundle), gate=gate)
    first = r"read .*parity\.json" if "failed" in says else "run `leuko-build verify"
    with pytest.raises(EngineError, match=f"{says}.*{first}.*--allow-ungated-engine"):
        choose_engine(bundle, machine(), WANTED)
    assert choose_engine(bundle, machine(), WANTED, allow_ungated=True) == files


def test_of_several_the_one_that_passed_with_the_smallest_batch_is_taken(bundle: Bundle) -> None:
    engines = place_to_build(bundle)
    write_engine(bundle, engines, max_batch=16)
    best = write_engine(bundle, engines, max_batch=4)
    write_engine(bundle, engines, gate="none", max_batch=5)
    write_engine(bundle, engines, max_batch=2)
    assert choose_engine(bundle, machine(), WANTED) == best
    assert [verdict.fits for verdict in survey(bundle, machine(), WANTED)] == [True, True, True, False]


def test_engines_of_other_bundles_and_half_written_ones_are_left_alone(tmp_path: Path, bundle: Bundle) -> None:
    other = write_tiny_bundle(tmp_path / "other", top_k=64)
    engines = place_to_build(bundle)
    write_engine(other, engines)
    write_engine(bundle, engines).path.rename(engines / ".building-1-x")
    (engines / "empty").mkdir()
    assert survey(bundle, machine(), WANTED) == []


def test_a_manifest_that_cannot_be_read_is_named_and_the_others_still_count(bundle: Bundle) -> None:
    engines = place_to_build(bundle)
    broken = write_engine(bundle, engines, max_batch=16)
    (broken.path / ENGINE_MANIFEST).write_text('{"schema_version": 2}')
    good = write_engine(bundle, engines)
    verdicts = survey(bundle, machine(), WANTED)
    assert [verdict.fits for verdict in verdicts] == [True, False]
    assert "engine.json cannot be used" in verdicts[1].reason
    assert choose_engine(bundle, machine(), WANTED) == good


def _change(plan: Path) -> None:
    plan.write_bytes(plan.read_bytes() + b"!")


@pytest.mark.parametrize("damage", [pytest.param(_change, id="a byte more"), pytest.param(Path.unlink, id="no plan at all")])
def test_a_damaged_plan_is_refused_before_anything_loads_it(bundle: Bundle, damage: Callable[[Path], None]) -> None:
    files = write_engine(bundle, place_to_build(bundle))
    assert files.read_plan() == b"made up"
    damage(files.path / PLAN)
    with pytest.raises(EngineError, match="is damaged"):
        files.read_plan()


def test_a_given_directory_is_used_instead(tmp_path: Path, bundle: Bundle) -> None:
    files = write_engine(bundle, tmp_path / "elsewhere")
    assert survey(bundle, machine(), WANTED) == []
    assert choose_engine(bundle, machine(), WANTED, engine_dir=tmp_path / "elsewhere") == files


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"max_batch": 9}, id="batch"),
        pytest.param({"half_graph_sha256": "a" * 64}, id="a converter that works otherwise"),
        pytest.param({"gpu": ORIN}, id="GPU"),
        pytest.param({"runtime_version": "11.0.0"}, id="version"),
        pytest.param({"workspace_mib": 1}, id="workspace"),
    ],
)
def test_whatever_decides_a_build_is_in_its_key(bundle: Bundle, changed: dict[str, object]) -> None:
    assert request(bundle).key() == request(bundle).key()
    assert request(bundle).key() != request(bundle, **changed).key()


def test_what_was_asked_for_is_never_replaced_in_silence(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="computes in f16"):
        open_engine(bundle, 160, 128, engine="tensorrt", precision="bf16")
    if look_at_machine().gpu is None:
        with pytest.raises(EngineError, match="no NVIDIA driver"):
            open_engine(bundle, 160, 128, engine="tensorrt_rtx")


def test_without_a_gpu_nothing_is_loaded_that_needs_one() -> None:
    here = look_at_machine()
    if here.gpu is None:
        assert here.pycuda.missing == here.runtimes["tensorrt_rtx"].missing == here.missing_gpu
