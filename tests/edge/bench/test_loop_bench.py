"""`leuko-edge bench`: the figures exist, follow from what was measured, and are said in every form."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.bench.loop_report import GOALS, best_bare, loop_figures, ratios_of
from edge.bench.rounds import Contestant, Rounds, Turn, take_turns
from edge.cli import main

pytestmark = pytest.mark.timeout(90)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["leuko-edge", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def bench(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> int:
    bundle = write_tiny_bundle(folder / "bundle")
    (folder / "fields").mkdir()
    cv2.imwrite(str(folder / "fields" / "a.png"), blob_field([("lymphocyte", 40, 40)]))
    source = ["--source", str(folder / "fields"), "--um-per-px", "0.13", "--idle-s", "0", "--rate", "25"]
    return run(monkeypatch, "bench", str(bundle.path), "--fields", "7", "--rounds", "3", *source, *more)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One measurement, its text and its page, for all who look at it."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch, pytest.MonkeyPatch.context() as output:
        said: list[str] = []
        output.setattr("typer.echo", said.append)
        files = ("--json", str(folder / "a.json"), "--html", str(folder / "a.html"))
        assert bench(patch, folder, "--batch", "2", "--deadline-ms", "0,5", *files) == 0
    return {"folder": folder, "text": said[0], **json.loads((folder / "a.json").read_text())}


def test_everything_that_was_asked_for_is_measured(measured: dict[str, Any]) -> None:
    (case,) = measured["cases"]
    assert case["max_batch"] == case["batch"] == 2
    bare = {"bare_throughput", "bare_latency", "bare_throughput_resize_outside", "bare_latency_resize_outside"}
    loops = {
        "engine",
        "engine_with_copies",
        "pipeline",
        "pipeline_throughput",
        "without_inference",
        "fit",
        "fit_corrected",
        "quality",
        "edge_normal",
        "edge_full",
    }
    assert set(case["contestants"]) == bare | loops
    for found in case["contestants"].values():
        assert len(found["rounds_ms_per_field"]) == 3
        times = [found["time_ms"][share] for share in ("p50", "p90", "p95", "p99", "max")]
        assert times == sorted(times) and times[0] > 0
    stages = case["contestants"]["edge_full"]["stages_ms"]
    assert {"queue_ms", "fit_ms", "infer_ms", "postprocess_ms", "to_controller_ms"} <= set(stages)
    assert case["first_after_idle_ms"]["p50"] > 0
    runs = [(each["rate_per_s"], each["deadline_ms"]) for each in case["paced"]]
    assert runs == [(None, 0.0), (25.0, 0.0), (None, 5.0), (25.0, 5.0)]
    assert all(0 <= each["overshoot_fields"]["mean"] <= each["overshoot_fields"]["max"] < 7 for each in case["paced"])


def test_the_loop_has_every_figure_and_its_goals(measured: dict[str, Any]) -> None:
    loop = measured["cases"][0]["loop"]
    assert loop["fields"] == 21
    assert set(loop["goals"]) == set(GOALS)
    assert all(loop[name] > 0 for name in (*GOALS, "bare_ms_per_field", "pipeline_ms_per_field"))
    assert loop["field_total_ms"]["p50"] <= loop["field_total_ms"]["p95"] <= loop["field_total_ms"]["p99"]


def test_ratios_have_intervals_that_hold_them(measured: dict[str, Any]) -> None:
    for ratio in measured["cases"][0]["ratios"].values():
        low, high = ratio["interval"]
        assert low <= ratio["ratio"] <= high


def test_conditions_say_what_the_numbers_are_of(measured: dict[str, Any]) -> None:
    here, (case,) = measured["conditions"], measured["cases"]
    assert here["cpu"] and here["cores"] >= 1 and {"openvino", "numpy"} <= set(here["packages"])
    assert len(case["model_sha256"]) == len(case["bundle_id"]) == 64


def test_the_text_names_every_goal_and_everything_measured(measured: dict[str, Any]) -> None:
    (case,) = measured["cases"]
    assert all(name in measured["text"] for name in (*GOALS, *case["contestants"], *case["ratios"]))
    assert measured["text"].count("p99/p50 at 25 per second") == 2


def test_the_page_is_complete_in_itself(measured: dict[str, Any]) -> None:
    page = (measured["folder"] / "a.html").read_text()
    assert page.count("<svg") >= 4
    assert "http" not in page and "<script" not in page and "src=" not in page
    assert measured["cases"][0]["bundle_id"] in page


def test_a_measurement_against_itself_shows_no_difference(
    monkeypatch: pytest.MonkeyPatch, measured: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(measured["folder"] / "a.json")
    assert run(monkeypatch, "bench", "compare", file, file, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differs"] == [] and found["only_before"] == found["only_after"] == []
    rows = found["cases"][0]["contestants"].values()
    assert {row["verdict"] for row in rows} == {"no difference seen"}


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_the_loop_alone_starts_no_controller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, tmp_path, "--loop-only", "--json", "-") == 0
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert not [name for name in case["contestants"] if name.startswith("edge")] and case["paced"] == []
    assert "share_of_best_bare" in case["ratios"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--batch", "0"], 2, "--batch 1,2,4", id="no batch of nothing"),
        pytest.param(["--batch", "1,two"], 2, "--batch 1,2,4", id="a word among numbers"),
        pytest.param(["--rate", "-5"], 2, "--rate 1,2,4", id="a rate below nothing"),
        pytest.param(["--deadline-ms", "nan"], 2, "--deadline-ms", id="no number at all"),
        pytest.param(["--dir", "/nowhere/at/all"], 2, "make it", id="no folder for journals"),
        pytest.param(
            ["--source", "virtual:seed=1,fields=2,variants=1,width=160,height=128,fail_every=1"], 4, "another", id="none"
        ),
    ],
)
def test_what_cannot_be_measured_is_said_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert bench(monkeypatch, tmp_path, *words) == code
    assert said in capsys.readouterr().err


def rounds(name: str, ms: list[float]) -> Rounds:
    return Rounds(name, "", ms, times_ms=list(ms))


@pytest.mark.parametrize(
    ("bare_ms", "pipeline_ms", "ratio", "kept"),
    [
        pytest.param([10.0, 20.0, 10.0], [10.0, 20.0, 10.0], 1.0, True, id="equal"),
        pytest.param([10.0, 10.0, 10.0], [20.0, 10.5, 10.5], 10 / 10.5, True, id="one disturbed round does not decide"),
        pytest.param([10.0, 10.0, 10.0], [12.5, 12.5, 12.5], 0.8, False, id="a slow pipeline"),
    ],
)
def test_the_ratio_is_the_median_of_the_pairs(bare_ms: list[float], pipeline_ms: list[float], ratio: float, kept: bool) -> None:
    found = {"engine": rounds("engine", bare_ms), "pipeline": rounds("pipeline", pipeline_ms)}
    rest = {name: rounds(name, [0.5]) for name in ("without_inference", "fit_corrected", "quality")}
    figures = loop_figures(found | rest, 1, 100.0)
    assert figures["throughput_ratio"] == pytest.approx(ratio)
    assert figures["goals"]["throughput_ratio"] is kept
    assert figures["goals"]["outside_engine_ms"] is True


def test_the_yardstick_is_the_fastest_bare_graph() -> None:
    found = {
        "bare_throughput": rounds("bare_throughput", [9.0, 9.0, 9.0]),
        "bare_latency": rounds("bare_latency", [8.0, 8.0, 8.0]),
        "pipeline": rounds("pipeline", [10.0, 10.0, 10.0]),
    }
    assert best_bare(found) == "bare_latency"
    assert ratios_of(found)["share_of_best_bare"] == {"ratio": 0.8, "interval": [0.8, 0.8], "of": ["bare_latency", "pipeline"]}
    other = {"pipeline_throughput": rounds("pipeline_throughput", [8.0, 8.0, 8.0])}
    assert ratios_of(found | other)["share_of_best_bare"]["of"] == ["bare_latency", "pipeline_throughput"]
    assert ratios_of(found | other)["pipeline_share_of_best_bare"]["ratio"] == 0.8


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def contestant(name: str) -> Contestant:
        def go(n_fields: int) -> Turn:
            order.append(name)
            return Turn(float(len(order)), [1.0] * n_fields, [])

        return Contestant(name, "", go)

    found = take_turns([contestant("a"), contestant("b")], 2, 2, lambda _: None)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found["a"].ms_per_field == [4.0, 5.0] and found["b"].ms_per_field == [3.0, 6.0]
    assert len(found["a"].times_ms) == 4
