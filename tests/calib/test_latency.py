"""Batch and deadline: which pair is chosen, that a sweep runs the pipeline and fills a profile, what an edge makes of it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import made_profiles as made
from support.calib_here import leuko_calib, profile_file
from support.made_up_engine import machine, write_engine
from support.tiny_bundle import blob_field, write_tiny_bundle

from calib.latency_choice import Cell, choose, held, within
from edge.contracts.errors import DataError
from edge.contracts.latency import EngineIdentity, LatencyBudget, MeasuredLatency
from edge.contracts.profile import load_profile, write_profile
from edge.pipeline.latency_fit import latency_here, with_latency
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(120)

BUDGET = LatencyBudget(p99_ms=100, overshoot_fields=2)


def cell(
    batch: int, rate: float | None, p99_ms: float = 50, beyond: float = 1, *, kept: bool = True, speed: float = 60
) -> Cell:
    return Cell(batch, 5.0, rate, rate or speed, kept, p99_ms, beyond)


@pytest.mark.parametrize(
    ("cells", "batch"),
    [
        pytest.param([cell(1, 10), cell(2, 10), cell(2, 25), cell(1, 25, p99_ms=101)], 2, id="the faster triggers"),
        pytest.param([cell(1, 10), cell(2, 10), cell(1, 25), cell(2, 25, beyond=2.1)], 1, id="overshoot is a budget, too"),
        pytest.param([cell(1, 10), cell(2, 10), cell(1, 25), cell(2, 25, kept=False)], 1, id="a rate that was not kept"),
        pytest.param([cell(1, 10, p99_ms=101), cell(1, 25), cell(2, 10)], 2, id="within at 25 and not at 10 is luck"),
        pytest.param([cell(1, 10), cell(2, 10), cell(1, None, speed=50), cell(2, None, speed=60)], 2, id="full speed decides"),
        pytest.param(
            [cell(1, 10, p99_ms=20), cell(2, 10, p99_ms=30), cell(1, None, speed=59.5), cell(2, None, speed=60)],
            1,
            id="as fast within noise: the one with less delay",
        ),
        pytest.param([cell(1, 10), cell(2, 10)], 1, id="all alike: the smaller batch"),
    ],
)
def test_the_most_throughput_within_the_budget(cells: list[Cell], batch: int) -> None:
    assert choose(cells, BUDGET).chosen.max_batch == batch


def test_where_nothing_stays_within_the_nearest_is_named() -> None:
    with pytest.raises(DataError, match=r"nearest is batch 2 .* p99 150 ms.*--p99-ms"):
        choose([cell(1, 5, p99_ms=300), cell(2, 5, p99_ms=150), cell(2, 10, p99_ms=120)], BUDGET)


@given(st.lists(st.builds(cell, st.sampled_from([1, 2, 4]), st.sampled_from([5.0, 10.0, 25.0]), st.floats(1, 200)), min_size=1))
def test_what_is_chosen_was_within_at_its_rate_and_below(cells: list[Cell]) -> None:
    runs = list({(each.max_batch, each.rate_per_s): each for each in cells}.values())
    for each in held(runs, BUDGET):
        if each.best is not None:
            own = [run for run in runs if run.setting == (each.max_batch, each.deadline_ms)]
            assert all(within(run, BUDGET) for run in own if (run.rate_per_s or 0) <= (each.best.rate_per_s or 0))


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, fields, and a profile of them."""
    folder = tmp_path_factory.mktemp("latency")
    write_tiny_bundle(folder / "bundle")
    (folder / "fields").mkdir()
    assert cv2.imwrite(str(folder / "fields" / "a.png"), blob_field([("lymphocyte", 40, 40)]))
    profile_file(folder / "p.json", (160, 128))
    return folder


def swept(scanner: Path, out: Path, *more: object) -> int:
    given = ("--profile", scanner / "p.json", "--out", out, "--bundle", scanner / "bundle", "--fields", 5)
    few = ("--batch", "1,2", "--deadline-ms", "0,5", "--rate", "200", "--p99-ms", 60000, "--overshoot", 1000)
    return leuko_calib("latency", f"folder:{scanner / 'fields'}", *given, *few, *more)


def test_a_sweep_fills_the_profile_and_the_edge_uses_it(
    scanner: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.pipeline.paced_run.KEPT", 0.0)  # how fast this machine is at the moment is not what is tested
    assert swept(scanner, tmp_path / "q.json", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["runs"]) == 2 * 2 * 2 and (tmp_path / "q.png").stat().st_size > 1000
    profile, digest = load_profile(tmp_path / "q.json")
    assert profile.latency is not None and digest == told["profile_sha256"]
    (setting,) = profile.latency.engines.values()
    assert setting.engine.key == told["key"] and setting.settings_tried == 4
    given = {"source": "virtual:seed=1", "bundle": scanner / "bundle", "profile": tmp_path / "q.json"}
    setup = with_latency(resolve(given))
    assert (setup.settings.max_batch, setup.settings.max_delay_ms) == (setting.max_batch, setting.max_delay_ms)
    assert setup.warnings == ()
    assert setup.settings.sha256() != resolve(given).settings.sha256() or setting.max_batch == 1
    assert leuko_calib("check", tmp_path / "q.json", "--bundle", scanner / "bundle", "--json") in {0, 10}
    assert "on OpenVINO" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "days", "version", "used", "says"),
    [
        pytest.param({}, 30, "", True, "", id="it fits"),
        pytest.param({}, -1, "", True, "should have been measured anew", id="expired: used, and said"),
        pytest.param({}, 30, "1.0", False, "measured on OpenVINO 1.0", id="another version"),
        pytest.param({"threads": 77}, 30, "", False, "77 threads", id="other threads"),
        pytest.param({"hint": "latency"}, 30, "", True, "", id="the hint that a run has by itself"),
        pytest.param({"hint": "throughput"}, 30, "", False, "hint throughput", id="the other hint"),
        pytest.param({"precision": "f32", "engine": "openvino"}, 30, "", None, "", id="f32 may be what auto is"),
        pytest.param({"engine": "tensorrt"}, 30, "", False, "opens another engine", id="a GPU's engine"),
        pytest.param({"max_batch": 1}, 30, "", False, "`max_batch` was given", id="half of it is stated"),
        pytest.param({"max_batch": 1, "max_delay_ms": 5.0}, 30, "", False, "", id="both are stated: nobody asks the profile"),
    ],
)
def test_a_pair_is_used_where_it_was_measured_and_else_that_is_said_once(
    scanner: Path, tmp_path: Path, given: dict[str, object], days: float, version: str, used: bool | None, says: str
) -> None:
    plain, _ = load_profile(scanner / "p.json")
    asked = {"source": "virtual:seed=1", "bundle": scanner / "bundle", "profile": tmp_path / "r.json", **given}
    write_profile(tmp_path / "r.json", plain)
    bundle = resolve(asked).bundle
    latency = made.latency(bundle.bundle_id, days, max_batch=4, version=version)
    write_profile(tmp_path / "r.json", plain.model_copy(update={"latency": latency}))
    setup = with_latency(resolve(asked))
    if used is not None:
        assert (setup.settings.max_batch == 4 and setup.settings.max_delay_ms == 20) is used
    said = [warning for warning in setup.warnings if says and says in warning]
    assert len(said) == (1 if says else 0) and (says or not setup.warnings or used is None)


@pytest.mark.parametrize(
    ("given", "gate", "fits"),
    [
        pytest.param({}, "passed", True, id="the engine that a run would open"),
        pytest.param({"engine": "tensorrt"}, "passed", True, id="asked for by name"),
        pytest.param({}, "failed", False, id="it would not be opened"),
        pytest.param({"engine": "openvino"}, "passed", False, id="another one was asked for"),
        pytest.param({"precision": "f32"}, "passed", False, id="a precision is OpenVINO's"),
    ],
)
def test_a_compiled_engine_is_known_by_its_key(
    scanner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, object], gate: str, fits: bool
) -> None:
    monkeypatch.setattr("edge.pipeline.latency_fit.look_at_machine", machine)
    setup = resolve({"source": "virtual:seed=1", "bundle": scanner / "bundle", "engine_dir": tmp_path / "engines", **given})
    files = write_engine(setup.bundle, tmp_path / "engines", gate)
    (one,) = made.latency(setup.bundle.bundle_id, version="10").engines.values()
    engine = one.engine.model_copy(update={"runtime": "TensorRT", "threads": None, "engine_key": files.manifest.key})
    setting = one.model_copy(update={"engine": engine})
    fit = latency_here(MeasuredLatency(engines={engine.key: setting}), setup.bundle, setup.settings)
    assert engine.key == files.manifest.key
    assert (fit.setting == setting) is fits and ("measured on TensorRT" in fit.sentence) is not fits


def test_a_profile_from_before_there_were_hints_is_of_latency() -> None:
    (old,) = made.latency(bundle_id="0" * 64, version="1.0").engines.values()
    engine = old.engine.model_copy(update={"processor": "one", "precision": "bf16", "threads": 2})
    without = EngineIdentity.model_validate({name: value for name, value in engine.model_dump().items() if name != "hint"})
    assert without.key == engine.key == "openvino-b546d7be7f844cdc"
    assert engine.model_copy(update={"hint": "throughput"}).key != engine.key


def test_several_engines_are_kept_side_by_side(scanner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.pipeline.paced_run.KEPT", 0.0)
    plain, _ = load_profile(scanner / "p.json")
    former = made.latency(version="1.0")
    write_profile(tmp_path / "before.json", plain.model_copy(update={"latency": former}))
    given = ("--profile", tmp_path / "before.json", "--out", tmp_path / "after.json", "--bundle", scanner / "bundle")
    few = ("--batch", "1", "--deadline-ms", "0", "--rate", "200", "--p99-ms", 60000, "--overshoot", 1000, "--fields", 3)
    assert leuko_calib("latency", f"folder:{scanner / 'fields'}", *given, *few) == 0
    profile, _ = load_profile(tmp_path / "after.json")
    assert profile.latency is not None and len(profile.latency.engines) == 2
    assert former.engines.items() <= profile.latency.engines.items()
    setup = resolve({"source": "virtual:seed=1", "bundle": scanner / "bundle"})
    fit = latency_here(profile.latency, setup.bundle, setup.settings)
    assert fit.setting is not None and fit.setting.engine.version != "1.0"
    assert with_latency(replace(setup, latency=None)).settings == setup.settings
    again = ("--profile", tmp_path / "after.json", "--out", tmp_path / "both.json", *given[4:], "--hint", "throughput")
    assert leuko_calib("latency", f"folder:{scanner / 'fields'}", *again, *few) == 0
    both, _ = load_profile(tmp_path / "both.json")
    assert both.latency is not None and len(both.latency.engines) == 3
    for hint, kept in (("auto", None), ("throughput", "throughput")):
        fit = latency_here(both.latency, setup.bundle, setup.settings.model_copy(update={"hint": hint}))
        assert fit.setting is not None and fit.setting.engine.hint == kept


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(("--batch", "0"), "cannot all be used", id="no batch of nothing"),
        pytest.param(("--rate", "ten"), "cannot all be used", id="a word"),
        pytest.param(("--deadline-ms", "-1"), "cannot all be used", id="before the trigger"),
        pytest.param(
            ("--p99-ms", 1, "--overshoot", 0), "no setting keeps p99 within 1 ms", id="a budget that no machine keeps"
        ),
    ],
)
def test_what_cannot_be_is_a_sentence(
    scanner: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[object, ...],
    says: str,
) -> None:
    monkeypatch.setattr("edge.pipeline.paced_run.KEPT", 2.0)  # no rate is ever kept, however fast a machine is
    assert swept(scanner, tmp_path / "q.json", *words) != 0
    assert says in capsys.readouterr().err and not (tmp_path / "q.json").exists()
