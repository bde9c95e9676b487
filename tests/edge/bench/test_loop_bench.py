"""`leuko-edge bench`: the figures exist, follow from what was measured, and are said in both forms."""

import json
import sys
from pathlib import Path

import cv2
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.bench.loop_report import GOALS, Measured, summary
from edge.cli import main

pytestmark = pytest.mark.timeout(40)


def bench(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> int:
    bundle = write_tiny_bundle(folder / "bundle")
    (folder / "fields").mkdir()
    cv2.imwrite(str(folder / "fields" / "a.png"), blob_field([("lymphocyte", 40, 40)]))
    arguments = ["--source", str(folder / "fields"), "--um-per-px", "0.13", "--bundle", str(bundle.path), *more]
    monkeypatch.setattr(sys, "argv", ["leuko-edge", "bench", "--fields", "7", "--rounds", "2", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_json_has_every_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(monkeypatch, tmp_path, "--json", "--max-batch", "2") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["fields"] == 14
    assert all(figures[name] > 0 for name in (*GOALS, "bare_ms_per_field", "pipeline_ms_per_field"))
    assert figures["field_total_ms"]["p50"] <= figures["field_total_ms"]["p95"] <= figures["field_total_ms"]["p99"]


def test_the_table_names_every_goal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, tmp_path) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in GOALS)


@pytest.mark.parametrize(
    ("bare_ms", "pipeline_ms", "ratio", "kept"),
    [
        pytest.param([10.0, 20.0, 10.0], [10.0, 20.0, 10.0], 1.0, True, id="equal"),
        pytest.param([10.0, 10.0, 10.0], [20.0, 10.5, 10.5], 10 / 10.5, True, id="one disturbed round does not decide"),
        pytest.param([10.0, 10.0, 10.0], [12.5, 12.5, 12.5], 0.8, False, id="a slow pipeline"),
    ],
)
def test_the_ratio_is_the_median_of_the_pairs(bare_ms: list[float], pipeline_ms: list[float], ratio: float, kept: bool) -> None:
    figures = summary(Measured(1, bare_ms, pipeline_ms, [0.5], [10.0], [11.0]), "engine")
    assert figures["throughput_ratio"] == pytest.approx(ratio)
    assert figures["goals"]["throughput_ratio"] is kept
    assert figures["goals"]["outside_engine_ms"] is True


def test_a_source_without_a_usable_field_cannot_be_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(monkeypatch, tmp_path, "--source", "virtual:seed=1,fields=2,variants=1,width=160,height=128,fail_every=1") == 4
    assert "choose another source" in capsys.readouterr().err
