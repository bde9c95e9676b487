"""The sheet of the worst errors: a row a kind, worst first, each cell where it was, with what is wrong and its score."""

from pathlib import Path

import numpy as np
import pytest
from support.evaluated import FAR, A, B, result

from edge.contracts.cells import INDEX
from edge.contracts.detections import Image
from trainer.data.annotation import UNTYPED_WBC, Annotation
from trainer.evaluation.summary import Miss
from trainer.reporting.error_sheet import CAPTION_PX, FOUND, PER_KIND, TILE_PX, caption, error_sheet

LYM, MON = INDEX["lymphocyte"], INDEX["monocyte"]
TALL = TILE_PX + CAPTION_PX


def grey(row: Annotation) -> Image:
    return np.full((row.height_px, row.width_px, 3), 90, np.uint8)


@pytest.mark.parametrize(
    ("results", "rows", "columns"),
    [
        pytest.param([result([(A, 0.9, LYM)], [(A, LYM)])], 0, 0, id="no-error"),
        pytest.param([result([(A, 0.9, MON)], [(A, LYM)])], 1, 1, id="a-wrong-type"),
        pytest.param([result([(A, 0.9, MON), (FAR, 0.8, LYM)], [(A, LYM), (B, LYM)])], 3, 1, id="one-of-each-kind"),
        pytest.param([result([], [(A, LYM), (B, MON)])] * 9, 1, PER_KIND, id="no-more-than-a-row-has"),
        pytest.param([result([((-40, -40, 20, 20), 0.9, LYM)], [])], 1, 1, id="half-beside-the-image"),
        pytest.param([result([((390, 290, 470, 370), 0.9, LYM)], [(A, LYM)])], 2, 1, id="beyond-its-corner"),
    ],
)
def test_a_row_for_each_kind_there_is(results: list, rows: int, columns: int) -> None:  # type: ignore[type-arg]
    sheet = error_sheet(results, grey, Path())
    assert (sheet is None) if not rows else (sheet is not None and sheet.shape == (rows * TALL, columns * TILE_PX, 3))


def test_the_surest_comes_first_and_shows_its_place() -> None:
    def marked(row: Annotation) -> Image:
        image = grey(row)
        image[200:260, 200:260] = (0, 0, 200)
        return image

    both = [result([(A, 0.6, LYM)], [], path=Path("a.png")), result([(FAR, 0.95, LYM)], [], path=Path("b.png"))]
    sheet = error_sheet(both, marked, Path())
    assert sheet is not None and sheet.shape == (TALL, 2 * TILE_PX, 3)
    middle = TILE_PX // 2
    assert sheet[middle, middle].tolist() == [0, 0, 200] and sheet[middle, TILE_PX + middle].tolist() == [90, 90, 90]
    edge = TILE_PX // 4  # half of a tile's side is the cell's
    assert sheet[middle, edge].tolist() == list(FOUND)
    assert (sheet[TILE_PX:, :TILE_PX] < 128).any(), "what it is stands below it"


def miss(kind: str, truth: str | None, predicted: str | None, score: float | None, beside: str | None = None) -> Miss:
    named = {"kind": kind, "truth": truth, "predicted": predicted, "score": score, "beside": beside}
    return Miss.model_validate({"image": "a.png", "source": "LAB", "box_px": (0, 0, 9, 9), **named})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (miss("missed", "lymphocyte", None, None), "missed LYM (nothing seen)"),
        (miss("missed", "lymphocyte", "monocyte", 0.12), "missed LYM (seen MON 0.12)"),
        (miss("missed", "untyped_wbc", None, None), "missed WBC (nothing seen)"),
        (miss("wrong type", "eosinophil", "neutrophil_segmented", 0.88), "EO called sNEU 0.88"),
        (miss("false alarm", None, "basophil", 0.97), "false BA 0.97"),
        (miss("false alarm", None, "basophil", 0.97, "monocyte"), "false BA 0.97 beside MON"),
    ],
)
def test_an_error_in_a_few_letters(error: Miss, words: str) -> None:
    assert caption(error) == words


def test_untyped_cells_are_no_wrong_types() -> None:
    assert error_sheet([result([(A, 0.9, LYM)], [(A, UNTYPED_WBC)])], grey, Path()) is None
