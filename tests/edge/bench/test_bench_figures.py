"""The arithmetic of measurements: percentiles, jitter, intervals, overshoot, and in what two may be said to differ."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.bench_comparison import compare, comparison_text, verdict
from edge.bench.bench_files import read_measurement
from edge.bench.drawing import bars, lines
from edge.bench.figures import jitter_ms, paired_ratio, spread, unpaired_ratio
from edge.contracts.errors import ConfigError
from edge.pipeline.paced_run import Paced


@pytest.mark.parametrize(
    ("ends_ms", "expected"),
    [
        pytest.param([0.0, 10.0, 20.0, 30.0], 0.0, id="even"),
        pytest.param([0.0, 10.0], None, id="two say nothing"),
        pytest.param([0.0, 10.0, 30.0], 9.0, id="between the 5th and the 95th percentile of 10 and 20"),
    ],
)
def test_jitter(ends_ms: list[float], expected: float | None) -> None:
    assert jitter_ms(ends_ms) == (expected if expected is None else pytest.approx(expected))


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=50))
def test_a_spread_rises(values: list[float]) -> None:
    found = list(spread(values).values())
    assert found == sorted(found) and found[-1] == max(values)


@given(st.lists(st.floats(1, 100), min_size=3, max_size=12), st.floats(0.5, 2))
def test_a_ratio_that_is_the_same_in_every_round_is_certain(values: list[float], factor: float) -> None:
    found = paired_ratio([value * factor for value in values], values)
    assert [found["ratio"], *found["interval"]] == pytest.approx([factor] * 3)


def test_two_rounds_have_no_interval() -> None:
    assert paired_ratio([1.0, 2.0], [1.0, 1.0]) == {"ratio": 1.5, "interval": None}
    assert unpaired_ratio([2.0, 2.0], [1.0, 1.0, 1.0]) == {"ratio": 2.0, "interval": None}


def paced(rate_per_s: float | None, intended_ms: list[float], done_ms: list[float]) -> Paced:
    return Paced(rate_per_s, *(np.array(np.array(each) * 1e6, np.int64) for each in (intended_ms, done_ms)))


@pytest.mark.parametrize(
    ("intended_ms", "done_ms", "beyond"),
    [
        pytest.param([0, 10, 20], [5, 15, 25], [0, 0, 0], id="each is there before the next is triggered"),
        pytest.param([0, 10, 20, 30], [35, 36, 37, 38], [3, 2, 1, 0], id="a stall lets all that come meanwhile go too far"),
        pytest.param([0, 10, 20], [10, 20, 30], [1, 1, 0], id="triggered at that very moment is triggered"),
    ],
)
def test_overshoot_is_what_was_triggered_meanwhile(intended_ms: list[float], done_ms: list[float], beyond: list[int]) -> None:
    assert paced(100.0, intended_ms, done_ms).overshoot_fields().tolist() == beyond


def test_latency_is_from_the_intended_trigger_and_a_rate_is_kept_or_not() -> None:
    run = paced(100.0, [0, 10, 20, 30], [5, 60, 65, 70])
    assert run.latency_ms.tolist() == [5.0, 50.0, 45.0, 40.0]
    assert run.reached_per_s == pytest.approx(3 / 0.065) and not run.kept
    assert paced(100.0, [0, 10, 20, 30], [5, 15, 25, 35]).kept
    assert paced(None, [0, 10, 20, 30], [5, 60, 65, 70]).kept


def measurement(ms: list[float], **differences: object) -> dict[str, Any]:
    case = {"bundle": "tiny", "runtime": "OpenVINO", "precision": "f32", "batch": 1, "model_sha256": "a", "paced": []}
    contestant = {"rounds_ms_per_field": ms, "ms_per_field": float(np.median(ms))}
    here = {"cpu": "one", "cores": 2, "system": "Linux", "python": "3.11", "leukostream": "1", "packages": {}, "gpu": None}
    return {"conditions": here | differences, "doubt": "", "cases": [{**case, "contestants": {"pipeline": contestant}}]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param([10.0, 10.1, 9.9, 10.0], [8.0, 8.1, 7.9, 8.0], "faster", id="every draw is below"),
        pytest.param([8.0, 8.1, 7.9, 8.0], [10.0, 10.1, 9.9, 10.0], "slower", id="every draw is above"),
        pytest.param([10.0, 12.0, 8.0, 11.0], [10.1, 12.5, 7.5, 11.0], "no difference seen", id="within what rounds differ by"),
        pytest.param([10.0, 10.0], [5.0, 5.0], "too few rounds to say", id="two rounds prove nothing"),
    ],
)
def test_a_difference_is_said_where_the_whole_interval_shows_it(before: list[float], after: list[float], expected: str) -> None:
    found = compare(measurement(before), measurement(after))
    assert found["cases"][0]["contestants"]["pipeline"]["verdict"] == expected
    assert expected in comparison_text(found)


def test_other_conditions_are_named_first() -> None:
    found = compare(measurement([1.0]), measurement([1.0], cpu="another", packages={"openvino": "9"}))
    assert found["differs"][0].startswith("cpu: one and another (another machine")
    assert found["differs"][1] == "openvino: none and 9"
    other = measurement([1.0])
    other["cases"][0]["batch"] = 4
    assert compare(measurement([1.0]), other)["only_after"] == ["tiny, OpenVINO f32, batch 4"]


def test_verdicts_need_an_interval() -> None:
    assert verdict({"interval": [0.9, 0.99]}) == "faster"
    assert verdict({"interval": None}) == "too few rounds to say"


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "leukostream-bench-0"}', "null"])
def test_what_is_no_measurement_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ConfigError, match="leuko-edge bench --json FILE"):
        read_measurement(tmp_path / "a.json")


def test_names_in_a_drawing_are_text_and_nothing_else() -> None:
    assert "<b>" not in bars([("<b>", 1.0, 2.0)], "ms") + lines([("<b>", [(1.0, 2.0), (10.0, 0.0)])], "x", "y")
    for drawn in (bars([("<b>&", 1.0, 2.0), ("b", 0.0, 0.0)], "ms"), lines([('"', [(1.0, 2.0), (10.0, 0.0)])], "<x>", "y")):
        assert ElementTree.fromstring(drawn).tag == "svg"
    assert lines([], "x", "y") == "" and "<svg" in bars([], "ms")
