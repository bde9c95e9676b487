"""Recall, precision, confusion and single errors at the model's thresholds, on images written down cell by cell."""

from pathlib import Path

import numpy as np
import pytest
from support.evaluated import FAR, A, B, Box, Found, result

from edge.contracts.cells import INDEX, N_CLASSES, UNIDENTIFIED
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.evaluation.cell_verdicts import (
    MISSED_COLUMN,
    confusion_of,
    exact_limits,
    hits_of_class,
    mean_accuracy,
    shows_one_typed_cell,
    truth_rows,
    worst_errors,
)
from trainer.evaluation.detect import ImageResult

LYM, MON, NRBC = INDEX["lymphocyte"], INDEX["monocyte"], INDEX["nrbc"]
SEG = INDEX["neutrophil_segmented"]


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        pytest.param([(A, 0.9, LYM)], [(A, LYM)], (1, 1), id="right"),
        pytest.param([(A, 0.9, LYM)], [(A, MON)], (0, 1), id="another-type"),
        pytest.param([(A, 0.9, LYM)], [], (0, 1), id="nothing-there"),
        pytest.param([(A, -0.9, LYM)], [(A, LYM)], (0, 0), id="unidentified-is-not-called-by-name"),
        pytest.param([(A, 0.9, LYM)], [(A, UNTYPED_WBC)], (0, 0), id="of-unknown-type"),
        pytest.param([(A, 0.9, LYM)], [(A, UNTYPED_NEUTROPHIL)], (0, 1), id="a-neutrophil-is-no-lymphocyte"),
        pytest.param([(A, 0.9, LYM)], [(A, IGNORE)], (0, 0), id="in-an-ignored-region"),
        pytest.param([(A, 0.9, MON), (A, 0.8, LYM)], [(A, LYM)], (0, 1), id="the-surer-cell-takes-the-truth"),
    ],
)
def test_hits_of_a_class(found: list[Found], truth: list[tuple[Box, int]], expected: tuple[int, int]) -> None:
    one = result(found, truth)
    assert hits_of_class([one], [truth_rows(one)], LYM) == expected


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        pytest.param(0, 200, 0.0, 0.0183, id="none-of-200"),
        pytest.param(10, 200, 0.0242, 0.0900, id="one-in-twenty"),
        pytest.param(100, 200, 0.4287, 0.5713, id="half"),
        pytest.param(4, 4, 0.3976, 1.0, id="all-of-four-says-little"),
        pytest.param(0, 0, None, None, id="no-trial-no-limit"),
    ],
)
def test_exact_limits_are_those_of_published_tables(hits: int, trials: int, low: float | None, high: float | None) -> None:
    for limit, expected in zip(exact_limits(hits, trials), (low, high), strict=True):
        assert limit == (None if expected is None else pytest.approx(expected, abs=1e-4))


@pytest.mark.parametrize(
    ("found", "column"),
    [
        pytest.param([(A, 0.9, LYM)], "lymphocyte", id="right"),
        pytest.param([(A, 0.9, MON)], "monocyte", id="wrong"),
        pytest.param([(A, -0.9, LYM)], UNIDENTIFIED, id="uncertain"),
        pytest.param([], "missed", id="not-found"),
        pytest.param([(FAR, 0.9, LYM)], "missed", id="found-elsewhere"),
    ],
)
def test_where_a_cell_stands_in_the_confusion_matrix(found: list[Found], column: str) -> None:
    one = result(found, [(A, LYM)])
    matrix = confusion_of([one], [truth_rows(one)])
    assert matrix.n == np.sum(matrix.counts) == 1
    assert matrix.counts[LYM][matrix.columns.index(column)] == 1
    assert matrix.shares[LYM] is not None and matrix.shares[MON] is None
    assert matrix.mean_accuracy == (column == "lymphocyte")
    assert matrix.mean_accuracy_best_class == (column in {"lymphocyte", UNIDENTIFIED})


def test_no_cell_at_all_is_an_empty_matrix_without_an_accuracy() -> None:
    matrix = confusion_of([], [])
    assert matrix.n == np.sum(matrix.counts) == 0 and matrix.mean_accuracy is None


def test_mean_accuracy_weighs_classes_not_cells() -> None:
    counts = np.zeros((N_CLASSES, MISSED_COLUMN + 1), np.int64)
    counts[LYM, LYM], counts[LYM, MON], counts[MON, MISSED_COLUMN], counts[NRBC, NRBC] = 98, 2, 1, 1
    assert mean_accuracy(counts) == pytest.approx((0.98 + 0 + 1) / 3)


def test_mean_accuracy_of_the_reference_is_the_mean_of_its_diagonal() -> None:
    """Wang et al. 2019, SSD300's confusion matrix: they print 0.9009."""
    diagonal = (95, 87, 82, 86, 88, 96, 90, 85, 99, 97, 86)
    counts = np.zeros((11, 12), np.int64)
    counts[range(11), range(11)] = diagonal
    counts[:, 11] = 100 - np.array(diagonal)
    assert mean_accuracy(counts) == pytest.approx(0.9009, abs=1e-4)


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        pytest.param([(A, LYM)], True, id="one-cell"),
        pytest.param([(A, LYM), (B, IGNORE)], True, id="an-ignored-region-is-no-cell"),
        pytest.param([(A, LYM), (B, MON)], False, id="two-cells"),
        pytest.param([(A, LYM), (B, UNTYPED_WBC)], False, id="another-cell-of-unknown-type"),
        pytest.param([(A, UNTYPED_NEUTROPHIL)], False, id="one-cell-of-unknown-type"),
        pytest.param([], False, id="none"),
    ],
)
def test_which_images_are_the_classification_set(truth: list[tuple[Box, int]], expected: bool) -> None:
    assert shows_one_typed_cell(result([], truth)) is expected


def errors(one: ImageResult) -> list[tuple[str, str | None, str | None, float | None]]:
    found = worst_errors([one], [truth_rows(one)], None)
    return [(e.kind, e.truth, e.predicted, None if e.score is None else round(e.score, 2)) for e in found]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(result([(A, 0.9, LYM)], [(A, LYM)]), [], id="no-error"),
        pytest.param(result([(A, 0.9, MON)], [(A, LYM)]), [("wrong type", "lymphocyte", "monocyte", 0.9)], id="wrong-type"),
        pytest.param(result([(A, -0.9, MON)], [(A, LYM)]), [], id="an-uncertain-cell-is-no-error"),
        pytest.param(result([(A, 0.9, LYM)], []), [("false alarm", None, "lymphocyte", 0.9)], id="false-alarm"),
        pytest.param(result([(A, 0.9, LYM)], [(A, IGNORE)]), [], id="in-an-ignored-region"),
        pytest.param(result([(A, 0.9, LYM)], [(A, UNTYPED_WBC)]), [], id="any-leukocyte-may-be-untyped"),
        pytest.param(result([(A, 0.9, SEG)], [(A, UNTYPED_NEUTROPHIL)]), [], id="segmented-fits-an-untyped-neutrophil"),
        pytest.param(
            result([(A, 0.9, NRBC)], [(A, UNTYPED_WBC)]), [("wrong type", "untyped_wbc", "nrbc", 0.9)], id="nrbc-is-none"
        ),
        pytest.param(result([], [(A, LYM)]), [("missed", "lymphocyte", None, None)], id="nothing-seen"),
        pytest.param(
            result([], [(A, LYM)], seen=[(A, 0.1, MON), (A, 0.25, LYM)]),
            [("missed", "lymphocyte", "lymphocyte", 0.25)],
            id="seen-below-the-threshold",
        ),
        pytest.param(
            result([(A, 0.6, MON), (FAR, 0.8, LYM)], [(A, LYM), (B, MON)]),
            [
                ("missed", "monocyte", None, None),
                ("false alarm", None, "lymphocyte", 0.8),
                ("wrong type", "lymphocyte", "monocyte", 0.6),
            ],
            id="worst-first",
        ),
    ],
)
def test_errors(one: ImageResult, expected: list[tuple[str, str | None, str | None, float | None]]) -> None:
    assert errors(one) == expected


def test_an_error_names_its_image_from_the_root_and_no_further() -> None:
    one = result([], [(A, LYM)], path=Path("/data/lab/slides/7.png"))
    inside, outside = (worst_errors([one], [truth_rows(one)], Path(root))[0] for root in ("/data/lab", "/elsewhere"))
    assert (inside.image, outside.image) == ("slides/7.png", "7.png")
    assert inside.box_px == tuple(map(float, A))
