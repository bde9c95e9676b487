"""The reference's Table 2 here: its own figures, what a graph computes, no CPU beside a GPU in silence."""

import json
import sys
from pathlib import Path

import pytest
from support.tiny_bundle import write_tiny_bundle

from edge.bench import table2
from edge.bench.graph_work import gflop_per_frame, machine_limit
from edge.bench.table2 import SYSTEMS, System, bench_table2, table2_text, verdict
from edge.cli import main
from edge.contracts.bundle import load_bundle
from edge.contracts.errors import ConfigError
from edge.settings import SHIPPED_BUNDLE
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(90)

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "trainer" / "reporting" / "wang2019.json"


def test_the_figures_beside_ours_are_the_reference_s() -> None:
    rows = {row["name"]: row["inference_ms"] for row in json.loads(REFERENCE.read_text())["systems"]}
    names = {name.lower().replace(", s_min ", "-smin"): ms for name, ms in rows.items()}
    assert {system.recipe: system.reference_ms for system in SYSTEMS} == names
    targets = {system.recipe: system.target_ms for system in SYSTEMS if system.target_ms is not None}
    assert targets == {"ssd300-smin0.1": 53, "ssd300-smin0.2": 53, "yolov3-320": 14}
    assert all((ROOT / "trainer" / "recipes" / f"{system.recipe}.yaml").is_file() for system in SYSTEMS)


def test_what_a_graph_computes() -> None:
    """By hand: two for each weight of a convolution and each place that it looks at; the last part is the second look's."""
    assert gflop_per_frame(load_bundle(SHIPPED_BUNDLE), 732, 574) == pytest.approx(5.46 + 0.44, abs=0.01)


def test_the_machine_has_a_limit_of_both_kinds() -> None:
    found = machine_limit("f32", 1, 1)
    assert set(found) == {"convolution_gflop_per_s", "matrix_product_gflop_per_s"} and min(found.values()) > 0


@pytest.mark.parametrize(
    ("ms", "target_ms", "on_gpu", "said"),
    [
        pytest.param(10, 14, True, "14 ms: kept", id="a GPU within"),
        pytest.param(15, 14, True, "14 ms: missed", id="a GPU beyond"),
        pytest.param(10, 14, False, "14 ms: kept (a CPU beside a GPU's target)", id="a CPU is never set there in silence"),
        pytest.param(10, None, True, "", id="no target was set by this system"),
    ],
)
def test_a_verdict_says_what_it_compares(ms: float, target_ms: float | None, on_gpu: bool, said: str) -> None:
    assert verdict(ms, target_ms, on_gpu=on_gpu) == said


def test_all_systems_are_measured_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table2, "SYSTEMS", (System("one", 53, 53), System("two", 100)))
    for name in ("one", "two"):
        write_tiny_bundle(tmp_path / name, trained=name == "one")
    setup = resolve({"source": "virtual:seed=1,width=160,height=128", "bundle": tmp_path / "one"})
    found = bench_table2(setup, tmp_path, 3, 1)
    assert [row["system"] for row in found["systems"]] == ["one", "two"]
    assert all(row["ms"] > 0 and row["bare_ms"] > 0 and row["gflop"] == 0 for row in found["systems"])
    said = table2_text(found)
    assert "GTX 1080 Ti (a GPU)" in said and "random" in said and "trained" in said and "(a CPU beside a GPU's target)" in said


def test_a_bundle_under_another_s_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table2, "SYSTEMS", (System("ssd300-smin0.1", 53, 53, ("ssd300", 300)),))
    write_tiny_bundle(tmp_path / "ssd300-smin0.1")
    with pytest.raises(ConfigError, match=r"ssd300-smin0\.1 is ssd300 at 300 px; give each"):
        bench_table2(resolve({"source": "virtual:seed=1"}), tmp_path, 1, 1)


def test_every_system_is_its_recipe_s_network() -> None:
    for system in SYSTEMS:
        recipe = (ROOT / "trainer" / "recipes" / f"{system.recipe}.yaml").read_text()
        assert system.network is not None
        architecture, side_px = system.network
        assert f"\narchitecture: {architecture}\n" in recipe and f"network_width_px: {side_px}" in recipe


def test_a_system_that_is_nowhere_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table2, "SYSTEMS", (System("no-such-recipe", 1),))
    monkeypatch.setattr(table2, "_EXPORT", "raise SystemExit('there is no trainer here')")
    with pytest.raises(ConfigError, match=r"there is no trainer here.*name a folder with all seven bundles with --systems"):
        bench_table2(resolve({"source": "virtual:seed=1"}), tmp_path, 1, 1)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--table2", "--peers"], id="two at once"),
        pytest.param(["--scaling", "a", "b"], id="more bundles than one"),
        pytest.param(["--table2", "a"], id="bundles that nobody asks for"),
    ],
)
def test_other_measurements_stand_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["leuko-edge", "bench", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "give" in capsys.readouterr().err
