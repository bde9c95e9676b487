"""A cut from an image holds its box."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.evaluation.summary import Miss
from trainer.reporting.error_gallery import MAX_SIDE_PX, MIN_SIDE_PX, Cropper, said


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


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        pytest.param({}, "Nothing is annotated; called a monocyte (score 0.90).", id="on nothing"),
        pytest.param(
            {"beside": "lymphocyte", "beside_px": (10.0, 10.0, 60.0, 60.0)},
            "A further box on a lymphocyte that is annotated; called a monocyte (score 0.90).",
            id="a second box on a cell",
        ),
    ],
)
def test_a_false_alarm_says_whether_a_cell_is_annotated_there(beside: dict[str, object], says: str) -> None:
    row = {"image": "a.jpg", "source": "LAB", "box_px": (12, 12, 80, 80), "truth": None, "predicted": "monocyte"}
    assert said(Miss.model_validate({**row, "score": 0.9, "kind": "false alarm", **beside})) == says
