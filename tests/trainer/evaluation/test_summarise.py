"""From single images to the summary: subsets, times, limits by resampling, several models pooled, and what a bundle keeps."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from support.evaluated import FAR, A, B, judged, result

from edge.contracts.cells import INDEX
from trainer.data.annotation import UNTYPED_WBC
from trainer.evaluation.average_precision import Curve, class_curve, interpolated_ap
from trainer.evaluation.bootstrap import bootstrap, draw, weighted_ap
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.subsets import dense, small_cells
from trainer.evaluation.summarise import curve_points, summarise, summarise_folds, times_of
from trainer.evaluation.summary import MAX_CURVE_POINTS, Summary
from trainer.evaluation.summary_table import remarks, table_of

LYM, MON, NRBC, MYE = INDEX["lymphocyte"], INDEX["monocyte"], INDEX["nrbc"], INDEX["myelocyte"]
BIG = (0, 0, 100, 100)
"""13 um."""

RIGHT = result([(A, 0.9, LYM)], [(A, LYM)], original="right")
WRONG = result([(A, 0.8, MON)], [(A, LYM)], original="wrong")
MISSED = result([], [(A, MON)], original="missed")
HEADER = {"split": "test", "split_by": "given", "source": None, "engine": "stand-in", "command": "leuko-train evaluate"}


@pytest.mark.parametrize(
    ("one", "truth", "wbc_ap", "mean_ap"),
    [
        pytest.param(result([(A, 0.9, LYM)], [(A, LYM)]), 1, 1.0, 1.0, id="small-and-found"),
        pytest.param(result([(BIG, 0.9, LYM)], [(BIG, LYM)]), 0, None, None, id="large"),
        pytest.param(
            result([(BIG, 0.9, LYM), (FAR, 0.8, LYM)], [(BIG, LYM), (FAR, LYM)]), 1, 1.0, 1.0, id="a-large-one-beside-it"
        ),
        pytest.param(
            result([((150, 0, 250, 100), 0.9, LYM), (A, 0.8, LYM)], [(A, LYM)]),
            1,
            1.0,
            1.0,
            id="a-large-false-alarm-is-out",
        ),
        pytest.param(result([(FAR, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM)]), 1, 0.5, 0.5, id="a-small-false-alarm-is-not"),
        pytest.param(result([(BIG, 0.9, NRBC)], [(BIG, NRBC)]), 1, None, 1.0, id="nrbc-of-any-size"),
        pytest.param(result([(A, 0.9, LYM)], [(A, LYM)], um_per_px=0.26), 0, None, None, id="the-size-is-in-um-not-in-pixels"),
    ],
)
def test_small_cells(one: ImageResult, truth: int, wbc_ap: float | None, mean_ap: float | None) -> None:
    subset = small_cells([one], 10.0)
    assert (subset.truth, subset.images) == (truth, int(truth > 0))
    assert subset.wbc_ap == (None if wbc_ap is None else pytest.approx(wbc_ap))
    assert subset.map == (None if mean_ap is None else pytest.approx(mean_ap))


def test_dense_scenes_are_images_with_several_annotated_cells_of_any_type() -> None:
    pair = result([(A, 0.9, LYM)], [(A, LYM), (B, UNTYPED_WBC)])
    subset = dense([RIGHT, pair, MISSED], 2)
    assert (subset.images, subset.truth, subset.wbc_ap, subset.map) == (1, 2, 0.5, 1.0)
    assert dense([RIGHT], 2).wbc_ap is None


def test_times_leave_warm_up_images_out_and_say_what_they_are_of() -> None:
    timed = [result([], [], times_ms=(float(ms), ms + 2.0)) for ms in range(1, 101)]
    times = times_of([RIGHT, *timed])
    assert (times.engine.n, times.engine.median, times.whole.median) == (100, 50.5, 52.5)
    assert times.engine.p95 == pytest.approx(95.05) and times.engine.p99 == pytest.approx(99.01)
    assert times.on == ("stand-in",)
    assert times_of([RIGHT]).engine.median is None


def repeated(curve: Curve, weights: Sequence[int]) -> float | None:
    """AP of the images written out as often as they were drawn."""
    times = np.array(weights)[curve.images]
    n_truth = int((np.array(weights) * curve.truth_by_image).sum())
    return interpolated_ap(np.repeat(curve.is_true, times), n_truth) if n_truth else None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_weighing_images_is_repeating_them(data: st.DataObject) -> None:
    n_images = data.draw(st.integers(1, 5))
    rows = data.draw(st.lists(st.tuples(st.integers(0, n_images - 1), st.booleans()), max_size=20))
    images, hits = np.array([row[0] for row in rows], np.int32), np.array([row[1] for row in rows], bool)
    missed = data.draw(st.lists(st.integers(0, 2), min_size=n_images, max_size=n_images))
    truth = np.bincount(images[hits], minlength=n_images).astype(np.int32) + np.array(missed, np.int32)
    curve = Curve(truth, np.linspace(1, 0, len(rows)).astype(np.float32), hits, images)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=n_images, max_size=n_images))
    expected = repeated(curve, weights)
    found = weighted_ap(curve, np.array([weights]))[0]
    assert np.isnan(found) if expected is None else found == pytest.approx(expected)


def test_whole_groups_are_drawn_and_the_same_seed_draws_them_again() -> None:
    weights = draw([0, 0, 1, 2, 2, 2], 200, seed=3)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all() and weights[:, 2].std() > 0
    assert (draw([0, 0, 1, 2, 2, 2], 200, seed=3) == weights).all()


def test_limits_enclose_the_figure_and_narrow_with_more_images() -> None:
    def limits(n: int) -> tuple[float, float]:
        curve = class_curve([one.typed for one in [RIGHT, MISSED, WRONG] * n], LYM)
        assert curve.ap is not None
        found = bootstrap([curve], curve, range(3 * n), "images", rounds=200).map
        assert found is not None and found[0] <= curve.ap <= found[1]
        return found

    few, many = limits(4), limits(40)
    assert many[1] - many[0] < few[1] - few[0]


def test_limits_without_any_truth_are_null() -> None:
    curve = class_curve([MISSED.typed], LYM)
    assert bootstrap([curve], curve, [0], "images", rounds=10).map is None


def test_a_thinned_curve_keeps_its_ends_and_its_turns() -> None:
    hits = np.random.default_rng(0).random(3000) < 0.5
    curve = Curve(np.array([2000]), np.linspace(1, 0, 3000).astype(np.float32), hits, np.zeros(3000, np.int32))
    points = curve_points(curve)
    assert points is not None and len(points.recall) == len(points.precision) == len(points.score) <= MAX_CURVE_POINTS
    assert points.recall[-1] == pytest.approx(hits.sum() / 2000, abs=1e-5)
    assert list(points.recall) == sorted(points.recall) and list(points.score) == sorted(points.score, reverse=True)
    short = Curve(np.array([2]), np.array([0.9, 0.8, 0.7], np.float32), np.array([True, False, True]), np.zeros(3, np.int32))
    points = curve_points(short)
    assert points is not None
    assert (points.recall, points.precision) == ((0.5, 0.5, 1.0), (1.0, 0.5, pytest.approx(2 / 3, abs=1e-5)))


def test_a_summary_of_three_images() -> None:
    summary = summarise([RIGHT, WRONG, MISSED], 0.3)
    lymphocyte, monocyte = summary.classes["lymphocyte"], summary.classes["monocyte"]
    assert (lymphocyte.truth, lymphocyte.ap, lymphocyte.recall, lymphocyte.precision) == (2, 0.5, 0.5, 1.0)
    assert (monocyte.truth, monocyte.ap, monocyte.recall, monocyte.precision) == (1, 0.0, 0.0, 0.0)
    assert summary.classes["nrbc"].ap is None and summary.classes["nrbc"].recall_low is None
    assert (summary.map, summary.wbc.truth, summary.wbc.recall) == (0.25, 3, pytest.approx(2 / 3))
    assert (summary.counting.true, summary.counting.counted) == (3, 2)
    assert summary.confusion == summary.confusion_all and summary.confusion.n == 3
    assert summary.limits is None and summary.folds is None
    assert [miss.kind for miss in summary.missed] == ["missed", "wrong type"]


@pytest.mark.parametrize(
    ("results", "expected", "words"),
    [
        pytest.param([RIGHT], None, "no mean; no data: no image shows blast, promyelocyte", id="no-abnormal-cell"),
        pytest.param([result([(A, 0.9, MYE)], [(A, MYE)])], 1.0, "mean over myelocyte; no data", id="one-of-five"),
    ],
)
def test_abnormal_classes_without_data_are_named(results: list[ImageResult], expected: float | None, words: str) -> None:
    abnormal = summarise(results, 0.3).abnormal
    assert abnormal.map == expected and abnormal.words.startswith(words)


def test_pooled_models_are_ranked_together_and_also_averaged_apart() -> None:
    """One model gives its right cells 0.3, the other its false alarms 0.9: apart both rank well, together they do not."""
    modest = [result([(A, 0.3, LYM), (FAR, 0.2, LYM)], [(A, LYM)], original=f"a{k}") for k in range(4)]
    loud = [result([(A, 0.99, LYM), (FAR, 0.9, LYM)], [(A, LYM)], original=f"b{k}") for k in range(4)]
    pooled = summarise_folds([modest, loud], 0.1)
    assert pooled.folds is not None and pooled.images == 8
    assert pooled.folds.wbc_ap == (1.0, 1.0) and pooled.folds.mean_map == 1.0
    assert pooled.wbc.ap is not None and pooled.wbc.ap < 0.9
    told = remarks(Summary(**dict(pooled), **HEADER))[-1]
    assert told.startswith("mean over 2 folds") and "any leukocyte 1.000 (1.000, 1.000); mAP 1.000 (1.000, 1.000)" in told


def test_originals_are_resampled_together_when_no_groups_are_given() -> None:
    twice = [RIGHT, RIGHT, WRONG, MISSED]
    limits = summarise(twice, 0.3, EvaluationSettings(bootstrap_rounds=50)).limits
    assert limits is not None and limits.resampled == "original images, 3 of them"


def test_a_bundle_keeps_the_figures_without_curves_and_single_errors() -> None:
    figures = summarise([RIGHT, WRONG, MISSED], 0.3, EvaluationSettings(bootstrap_rounds=20))
    summary = Summary(**dict(figures), **HEADER)
    again = Summary.model_validate_json(summary.model_dump_json())
    assert again == summary
    kept = summary.reduced()
    assert "curve" not in kept["wbc"] and "curve" not in kept["classes"]["lymphocyte"]
    assert not kept.keys() & {"missed", "time_ms", "date", "models"}, "a bundle written twice must be the same twice"
    whole = summary.model_dump(mode="json")
    assert all(kept[name] == whole[name] for name in ("map", "limits", "confusion"))


def test_the_table_says_no_truth_instead_of_a_number() -> None:
    summary = Summary(**dict(summarise([RIGHT], 0.3, EvaluationSettings(bootstrap_rounds=20))), **HEADER)
    console = Console(width=140, record=True)
    with console.capture() as said:
        console.print(table_of(summary))
    text = said.get()
    assert "no truth" in text and "no data: no image shows blast" in text and "1.000 (0.025-1.000)" in text
    assert "nan" not in text.lower().split()


def test_what_other_thresholds_would_count() -> None:
    """Two cells are found, at 0.9 and 0.3, and a false one at 0.5 in an empty image."""

    def seen(one: ImageResult, *found: tuple[tuple[float, float, float, float], float, int]) -> ImageResult:
        truth = list(zip(one.annotation.boxes_px.tolist(), one.annotation.labels.tolist(), strict=True))
        at = {detect: judged([row for row in found if row[1] >= detect], truth) for detect in (0.28, 0.6)}
        return replace(one, at=at)

    full, empty = result([(A, 0.9, LYM)], [(A, LYM), (B, LYM)]), result([], [])
    results = [seen(full, (A, 0.9, LYM), (B, 0.3, LYM)), seen(empty, (FAR, 0.5, LYM))]
    rows = {row.detect: row for row in summarise(results, 0.4).at_thresholds}
    told = {at: (row.found, row.missed, row.false, row.false_in_empty) for at, row in rows.items()}
    assert told == {0.28: (2, 0, 1, 1), 0.6: (1, 1, 0, 0)}
    per_field = rows[0.28].false_per_1000_empty
    assert per_field is not None and per_field > 0 and rows[0.6].false_per_1000_empty == 0
