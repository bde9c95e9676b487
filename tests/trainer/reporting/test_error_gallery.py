"""What the drawings are made of: thinned curves, tints, cuts."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.evaluation.summary import CurvePoints
from trainer.reporting.confusion_tables import _tinted
from trainer.reporting.error_gallery import MAX_SIDE_PX, MIN_SIDE_PX, Cropper
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


@pytest.mark.parametrize(
    ("share", "text", "look"),
    [
        pytest.param(0.0, "0", "h0", id="none"),
        pytest.param(0.001, "<.01", "h1", id="little-is-not-none"),
        pytest.param(0.07, "0.07", "h1", id="few"),
        pytest.param(0.96, "0.96", "h10", id="most"),
        pytest.param(1.0, "1.00", "h10", id="all"),
    ],
)
def test_tints(share: float, text: str, look: str) -> None:
    cell = _tinted(share)
    assert (cell.text, cell.look) == (text, look)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        pytest.param((300, 200, 360, 260), (120, 120), id="surroundings-of-a-cell"),
        pytest.param((0, 0, 20, 30), (40, 45), id="at-the-corner"),
        pytest.param((100, 100, 110, 110), (MIN_SIDE_PX, MIN_SIDE_PX), id="tiny-box"),
        pytest.param((100, 50, 500, 450), (MAX_SIDE_PX, 144), id="large-one-is-shrunk"),
    ],
)
def test_a_cut_holds_its_box(tmp_path: Path, box: tuple[float, float, float, float], size: tuple[int, int]) -> None:
    field = np.full((480, 600, 3), 200, np.uint8)
    x1, y1, x2, y2 = (round(side) for side in box)
    field[y1:y2, x1:x2] = (120, 40, 90)
    assert cv2.imwrite(str(tmp_path / "f.png"), field)
    cut = Cropper(tmp_path).cut("f.png", box)
    assert (cut.width_px, cut.height_px) == size
    coded = np.frombuffer(base64.b64decode(cut.jpeg.split(",")[1]), np.uint8)
    pixels = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert pixels is not None and pixels.shape[:2] == (cut.height_px, cut.width_px)
    dark = np.argwhere(pixels[..., 1] < 120)
    found = (*dark.min(axis=0)[::-1], *(dark.max(axis=0)[::-1] + 1))
    assert found == pytest.approx(cut.box_px, abs=2)
