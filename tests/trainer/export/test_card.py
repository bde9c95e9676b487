"""The card says what was measured, and where nothing was, in words."""

from typing import Any

import pytest
from support.evaluated import A, result

from edge.contracts.cells import INDEX, NAMES
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.summarise import summarise
from trainer.evaluation.summary import Summary
from trainer.export.card import card

LYM, MON = INDEX["lymphocyte"], INDEX["monocyte"]


def manifest(metrics: dict[str, Any], **data: Any) -> dict[str, Any]:  # noqa: ANN401
    sizes = {"field_width_px": 732, "field_height_px": 574, "network_width_px": 416, "network_height_px": 416}
    training = {
        "trained": True,
        "seed": 1,
        "code_version": "0",
        "recipe": {"name": "small", "phases": [{"steps": 5}]},
        "data": {"train_cells": {"lymphocyte": 3}, **data},
        "metrics": metrics,
    }
    return {"name": "small", "architecture": "small", "um_per_px": 0.13, **sizes, "training": training}


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    results = [result([(A, 0.9, LYM)], [(A, LYM)]), result([(A, 0.8, MON)], [(A, LYM)], original="two")]
    figures = summarise(results, 0.3, EvaluationSettings(bootstrap_rounds=20))
    header = {"split": "test", "split_by": "given", "source": None, "engine": "OpenVINO", "command": "leuko-train evaluate"}
    return Summary(**dict(figures), **header).reduced()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("| any leukocyte | 2 | 1.000 | 1.000 | 1.000 (0.158-1.000) | 1.000 |", id="any-leukocyte"),
        pytest.param("| lymphocyte | 2 | 0.500 | 0.545 | 0.500 (0.013-0.987) | 1.000 |", id="a-class-with-exact-limits"),
        pytest.param("Mean over the 1 classes with truth: 0.500, 11-point 0.545.", id="both-means"),
        pytest.param("No held-back image shows: blast, promyelocyte", id="classes-without-truth-are-named"),
        pytest.param("no mean; no data: no image shows blast", id="so-are-the-abnormal-ones"),
        pytest.param("2 leukocytes counted where the annotation has 2;", id="counting"),
        pytest.param("mean accuracy on 2 images of one typed cell: 0.500", id="classification"),
        pytest.param("(20 rounds, original images, 2 of them)", id="resampled-limits"),
    ],
)
def test_a_line_of_the_card(metrics: dict[str, Any], line: str) -> None:
    assert line in card(manifest(metrics))


@pytest.mark.parametrize(
    ("compose", "said", "unsaid"),
    [
        pytest.param({"painted": 0.1, "virtual": 0.0}, "on drawn cells only: blast", "virtual slide", id="painted"),
        pytest.param({"painted": 0.0, "virtual": 0.1}, "drawn cells of all classes", "cannot recognise", id="virtual"),
        pytest.param({"painted": 0.0, "virtual": 0.0}, "cannot recognise: blast", "drawn", id="photographs-only"),
    ],
)
def test_drawn_cells_are_named_where_there_were_any(compose: dict[str, float], said: str, unsaid: str) -> None:
    told = manifest({})
    told["training"]["recipe"]["compose"] = compose
    data = card(told).split("## Data")[1]
    assert said in data and unsaid not in data


def test_a_training_that_was_stopped_is_not_claimed_to_the_end() -> None:
    assert "stopped after 3 of them and did not finish" in card(manifest({}, stopped_after_step=3))
    assert "did not finish" not in card(manifest({}))


def test_how_weights_were_chosen_is_said() -> None:
    on = {"validated_on": {"images": 9, "split": "val", "keys": ""}}
    chosen = card(manifest({}, chosen={"after_step": 3, "by": "mean AP over types"}, **on))
    assert (
        "Its weights are those after step 3, chosen by validations on 9 held-back images (split `val`): best mean AP" in chosen
    )
    assert "ended itself after 3 of them, by validations on 9" in card(manifest({}, ended_early_after_step=3, **on))
    assert "validations" not in card(manifest({}, **on)), "it only looked"


@pytest.mark.parametrize(
    ("taught", "named"),
    [
        pytest.param((), "(blast, promyelocyte,", id="a-detector-alone"),
        pytest.param(("blast",), "(promyelocyte,", id="the-second-look-saw-one"),
        pytest.param(NAMES, None, id="the-second-look-saw-all"),
    ],
)
def test_classes_that_it_never_saw_are_warned_of(taught: tuple[str, ...], named: str | None) -> None:
    look = {"looks": 8, "crop_um": 16.6, "taught": list(taught), "data": {}}
    warned = card({**manifest({}), "second_look": look}).split("## Training")[0]
    if named is None:
        assert "taught on no photograph" not in warned
    else:
        assert f"taught on no photograph {named}" in warned and " lymphocyte," not in warned


def test_each_class_says_what_it_was_trained_on_and_what_is_known(metrics: dict[str, Any]) -> None:
    taught = {"sources": {}, "train_cells": {"blast": 0, "monocyte": 7}}
    look = {"looks": 8, "crop_um": 16.64, "taught": ["monocyte"], "data": taught}
    lines = card({**manifest(metrics), "second_look": look}).splitlines()
    assert "| lymphocyte | 3 | 0 | 2 | recall 0.500 (0.013-0.987), precision 1.000 |" in lines
    assert "| monocyte | 0 | 7 | 0 | nothing |" in lines
    assert "| blast | 0 | 0 | 0 | nothing: no photograph |" in lines
    assert "| lymphocyte | 3 | - | 0 | nothing |" in card(manifest({})), "without a second look, and not measured"


def test_an_experiment_is_called_one() -> None:
    look = {"looks": 8, "crop_um": 16.64, "taught": [], "data": {"sources": {}, "experiment": True}}
    assert "not to be handed on" in card({**manifest({}), "second_look": look})
    assert "not to be handed on" not in card({**manifest({}), "second_look": {**look, "data": {"sources": {}}}})


def test_what_was_not_measured_is_not_claimed(metrics: dict[str, Any]) -> None:
    assert "Nothing was measured" in card(manifest({}))
    measured = card(manifest(metrics)).split("## Measured")[1]
    assert "median" not in measured and "| monocyte |" not in measured
