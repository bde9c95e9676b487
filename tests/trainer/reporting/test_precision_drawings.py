"""A thinned curve is the measured one."""

import numpy as np
import pytest

from trainer.evaluation.summary import CurvePoints
from trainer.reporting.precision_drawings import LEFT, SIDE, TOP, path_of


def points_of(path: str) -> np.ndarray:
    return np.array([[float(value) for value in pair.split()] for pair in path.removeprefix("M").split("L")])


def test_a_thinned_curve_stays_within_a_line_width_of_the_measured_one() -> None:
    recall = np.linspace(0, 0.97, 200)
    precision = np.clip(1 - recall**6 + 0.004 * np.sin(40 * recall), 0, 1)
    curve = CurvePoints(recall=tuple(recall), precision=tuple(precision), score=tuple(1 - recall))
    drawn = points_of(path_of(curve))
    assert 2 < len(drawn) < 60
    y = np.interp(LEFT + SIDE * recall, drawn[:, 0], drawn[:, 1])
    flat = recall < 0.6
    assert np.abs(y - (TOP + SIDE * (1 - precision)))[flat].max() < 1.0
    assert drawn[0].tolist() == pytest.approx([LEFT, TOP], abs=0.1)
    assert drawn[-1].tolist() == pytest.approx([LEFT + SIDE * 0.97, TOP + SIDE * (1 - precision[-1])], abs=0.1)


def test_a_class_without_detections_has_no_path() -> None:
    assert path_of(CurvePoints(recall=(), precision=(), score=())) == ""
