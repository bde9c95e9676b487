"""One cell, one label: a table of candidate rows and the cells they must become."""

from collections.abc import Sequence

import numpy as np
import pytest

from edge.camera.resample import FitPlan, plan_fit
from edge.contracts.bundle import Thresholds
from edge.contracts.cells import INDEX, NAMES, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.detections import Cells, RawDetections
from edge.postprocess import OperatingPoint, field_counts, label_of, postprocess, to_detections
from edge.postprocess.suppression import _by_prior

pytestmark = pytest.mark.timeout(20)
K = 16
A = (100, 100, 200, 200)
SHIFTED = {iou: (100 + dx, 100, 200 + dx, 200) for iou, dx in ((0.9, 5), (0.48, 35), (0.3, 54))}
"""Boxes whose IoU with A is about the key: (100 - dx) / (100 + dx)."""
LYM, MON, NRBC, SMUDGE = "lymphocyte", "monocyte", "nrbc", "smudge"
Row = tuple[tuple[float, float, float, float], float, str]


def raw_of(*tiles: Sequence[Row], k: int = K) -> RawDetections:
    boxes, scores, labels = np.zeros((len(tiles), k, 4)), np.zeros((len(tiles), k)), np.zeros((len(tiles), k))
    for at, rows in enumerate(tiles):
        for row, (box, score, name) in enumerate(sorted(rows, key=lambda row: -row[1])):
            boxes[at, row], scores[at, row], labels[at, row] = box, score, INDEX[name]
    return RawDetections(boxes.astype(np.float32), scores.astype(np.float32), labels.astype(np.int32))


def whole_field() -> FitPlan:
    return plan_fit(732, 574, 0.13, 0.13, 732, 574)


def cells_of(*rows: Row, thresholds: Thresholds | None = None) -> Cells:
    return postprocess(raw_of(rows), whole_field(), OperatingPoint.of(thresholds or Thresholds()))


def labels(cells: Cells) -> list[str]:
    return [label_of(cells, index) for index in range(len(cells))]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([(A, 0.29, LYM)], [], id="below detect"),
        pytest.param([(A, 0.9, LYM)], [LYM], id="one certain cell"),
        pytest.param([(A, 0.49, LYM)], [UNIDENTIFIED], id="present, but below identify"),
        pytest.param([(A, 0.49, SMUDGE)], [UNIDENTIFIED_NON_WBC], id="likewise, most likely no leukocyte"),
        pytest.param([(A, 0.55, LYM), (A, 0.5, MON)], [UNIDENTIFIED], id="two classes of one prior too close"),
        pytest.param([(A, 0.6, LYM), (A, 0.3, MON)], [LYM], id="two classes of one prior, clear lead"),
        pytest.param([(A, 0.2, LYM), (A, 0.15, MON)], [UNIDENTIFIED], id="presence adds up over the classes of a prior"),
        pytest.param([(A, 0.2, LYM), (SHIFTED[0.9], 0.15, MON)], [], id="but not over neighbouring priors"),
        pytest.param([(A, 0.9, LYM), (SHIFTED[0.9], 0.8, LYM)], [LYM], id="the same cell twice"),
        pytest.param([(A, 0.9, LYM), (SHIFTED[0.48], 0.8, LYM)], [LYM], id="same class: merged from IoU 0.45"),
        pytest.param([(A, 0.9, LYM), (SHIFTED[0.48], 0.8, MON)], [LYM, MON], id="other class: two cells below IoU 0.5"),
        pytest.param([(A, 0.9, LYM), (SHIFTED[0.3], 0.8, LYM)], [LYM, LYM], id="touching neighbours stay two"),
        pytest.param([(A, 0.9, LYM), (SHIFTED[0.9], 0.85, MON)], [UNIDENTIFIED], id="a neighbouring prior of another opinion"),
        pytest.param([((-80, 10, 4, 90), 0.9, NRBC)], [NRBC], id="half outside the frame"),
        pytest.param([((740, 10, 800, 90), 0.9, NRBC)], [], id="wholly outside the frame"),
    ],
)
def test_rows_become_cells(rows: list[Row], expected: list[str]) -> None:
    cells = cells_of(*rows)
    assert labels(cells) == expected
    assert sum(field_counts(cells).values()) == len(expected)
    assert (np.diff(cells.presence) <= 0).all() and (cells.margins >= 0).all() and (cells.scores <= cells.presence).all()


def test_presence_score_runner_up_and_margin() -> None:
    cells = cells_of((A, 0.5, LYM), (A, 0.25, MON), (SHIFTED[0.9], 0.35, NRBC))
    assert len(cells) == 1
    np.testing.assert_allclose(cells.boxes_px, [A])
    assert cells.presence[0] == pytest.approx(0.75)
    assert (NAMES[cells.classes[0]], NAMES[cells.runner_up[0]]) == (LYM, NRBC)
    assert (cells.scores[0], cells.margins[0]) == (pytest.approx(0.5), pytest.approx(0.15))
    alone = cells_of((A, 0.9, LYM))
    assert alone.runner_up[0] == -1 and alone.margins[0] == pytest.approx(0.9)
    assert cells_of((A, 0.8, LYM), (A, 0.7, MON)).presence[0] == 1.0, "independent scores may add up to more than one"


def test_thresholds_per_class() -> None:
    strict = Thresholds(identify_by_class={LYM: 0.95})
    assert labels(cells_of((A, 0.9, LYM), (SHIFTED[0.3], 0.8, MON), thresholds=strict)) == [UNIDENTIFIED, MON]


def test_overflow_is_said_when_the_last_row_still_matters() -> None:
    rows: list[Row] = [((30 * i, 10, 30 * i + 25, 40), 0.9 - i / 100, LYM) for i in range(K)]
    assert cells_of(*rows).overflow and len(cells_of(*rows)) == K
    assert not cells_of(*rows[:-1]).overflow
    faint: list[Row] = [(A, 0.021, LYM)] * K
    assert cells_of(*faint).overflow, "rows too faint to be cells may hide the rest of a cell's presence"


def test_records_carry_micrometres_and_say_what_the_border_cuts() -> None:
    cells = cells_of(((0.2, 50, 80, 130), 0.9, LYM), ((300, 300, 400, 380), 0.4, MON))
    first, second = to_detections(cells, 0.13, 732, 574)
    assert (first.label, first.best_class, first.touches_border, first.runner_up) == (LYM, LYM, True, None)
    assert (second.label, second.best_class, second.is_wbc, second.touches_border) == (UNIDENTIFIED, MON, True, False)
    assert second.size_um == pytest.approx((13.0, 10.4)) and second.box_px == pytest.approx((300, 300, 400, 380))


def test_a_score_is_told_as_a_probability_where_one_was_measured() -> None:
    cells = cells_of(((50, 50, 130, 130), 0.9, LYM), ((300, 300, 400, 380), 0.4, MON))
    assert [one.probability for one in to_detections(cells, 0.13, 732, 574)] == [None, None]
    knots = ((0.0, 0.0), (0.5, 0.4), (1.0, 0.9))
    told = [one.probability for one in to_detections(cells, 0.13, 732, 574, knots)]
    assert told == pytest.approx([0.8, 0.32])
    assert to_detections(cells_of(), 0.13, 732, 574, knots) == ()


TILED = plan_fit(1300, 574, 0.13, 0.13, 732, 574)
"""Two tiles: 0..732 and 568..1300."""


@pytest.mark.parametrize(
    ("left", "right", "expected_boxes"),
    [
        pytest.param([((600, 50, 700, 150), 0.9, LYM)], [((32, 50, 132, 150), 0.8, LYM)], [(600, 50, 700, 150)], id="in both"),
        pytest.param(
            [((690, 50, 732, 150), 0.95, LYM)],
            [((122, 50, 222, 150), 0.6, LYM)],
            [(690, 50, 790, 150)],
            id="cut on the left, surer there: the whole one is kept",
        ),
        pytest.param([((540, 50, 600, 150), 0.7, MON)], [((1, 50, 32, 150), 0.9, LYM)], [(540, 50, 600, 150)], id="cut right"),
        pytest.param([((690, 50, 732, 150), 0.9, LYM)], [], [(690, 50, 732, 150)], id="cut, and missed by the other: kept"),
        pytest.param(
            [((690, 50, 732, 150), 0.9, LYM)],
            [((122, 50, 222, 150), 0.1, LYM)],
            [(690, 50, 732, 150)],
            id="a whole one that is not present hides nothing",
        ),
        pytest.param(
            [((0, 50, 40, 150), 0.9, LYM)], [((692, 50, 732, 150), 0.9, LYM)], [(0, 50, 40, 150), (1260, 50, 1300, 150)],
            id="the frame's own border is no seam",
        ),
    ],
)  # fmt: skip
def test_tiles_of_one_field_are_merged(left: list[Row], right: list[Row], expected_boxes: list[tuple[float, ...]]) -> None:
    assert TILED.n_tiles == 2
    cells = postprocess(raw_of(left, right), TILED, OperatingPoint.of(Thresholds()))
    assert sorted(tuple(round(v) for v in box) for box in cells.boxes_px.tolist()) == sorted(expected_boxes)


def test_rows_of_one_prior_are_put_together_whatever_their_order() -> None:
    """By the boxes' bytes: zeros of both signs are two boxes, and the order is that of the bytes."""
    rng = np.random.default_rng(3)
    some = np.array([[0, 0, 10, 10], [-0.0, 0, 10, 10], [300.25, 1.5, 731.9, 99], [300.25, 1.5, 731.9, 98]], np.float32)
    for n in (1, 2, 40, 256):
        boxes, which = some[rows := rng.integers(0, len(some), n)], rng.integers(0, len(NAMES), n).astype(np.int32)
        scores = rng.random(n).astype(np.float32)
        found, table = _by_prior(boxes, scores, which)
        assert [box.tobytes() for box in found] == sorted({some[row].tobytes() for row in rows.tolist()})
        for box, best in zip(found, table, strict=True):
            mine = [box.tobytes() == each.tobytes() for each in boxes]
            expected = np.zeros(len(NAMES), np.float32)
            for row in np.flatnonzero(mine):
                expected[which[row]] = max(expected[which[row]], scores[row])
            assert np.array_equal(best, expected)
