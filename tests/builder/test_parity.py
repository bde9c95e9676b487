"""Two executors of one graph agree when they count the same cells; each kind of disagreement fails for its own reason."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_bundle import blob_field, tiny_model

from builder.executors import CpuExecutor
from builder.parity import LIMITS, TABLE, compare, count, find_cells, match, share_limits
from edge.contracts.bundle import Thresholds
from edge.contracts.cells import INDEX
from edge.contracts.detections import Cells, Float32
from edge.contracts.engine_files import ParityResult
from edge.contracts.errors import EngineError

_EVEN = ("neutrophil_segmented", "lymphocyte", "monocyte", "eosinophil")


def _cells(classes: list[str], *, score: float = 0.9, overflow: bool = False) -> Cells:
    """One field with a cell of 60 px per class, side by side."""
    n = len(classes)
    left = np.arange(n, dtype=np.float32)[:, None] * 100
    boxes = np.concatenate((left, left * 0, left + 60, left * 0 + 60), axis=1).astype(np.float32)
    scores = np.full(n, score, np.float32)
    labels = np.array([INDEX[name] for name in classes], np.int32).reshape(n)
    return Cells(boxes, scores, scores, labels, labels, scores, np.ones(n, np.bool_), overflow)


def _fields(n: int = 60) -> list[Cells]:
    return [_cells(list(_EVEN)) for _ in range(n)]


def _judge(candidate: list[Cells], reference: list[Cells] | None = None) -> ParityResult:
    return compare(reference or _fields(), candidate, "candidate", is_emulation=True)


def _changed(n: int, change: Callable[[Cells], Cells]) -> list[Cells]:
    """The fields of the reference, `n` of them changed."""
    return [change(field) if index < n else field for index, field in enumerate(_fields())]


def _without_first(field: Cells) -> Cells:
    shorter = _cells(list(_EVEN[1:]))
    return replace(shorter, boxes_px=field.boxes_px[1:])


def _other_class(field: Cells) -> Cells:
    return replace(field, classes=np.roll(field.classes, 1))


def _moved(by_px: float) -> Callable[[Cells], Cells]:
    return lambda field: replace(field, boxes_px=field.boxes_px + np.float32(by_px))


def _less_sure(field: Cells) -> Cells:
    return replace(field, scores=field.scores - np.float32(0.05))


def _all_lymphocytes(field: Cells) -> Cells:
    return replace(field, classes=np.full_like(field.classes, INDEX["lymphocyte"]))


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        pytest.param(_fields(), [], id="the same cells"),
        pytest.param(_changed(2, _without_first), [], id="2 of 240 cells at a threshold: 0.8 %"),
        pytest.param(_changed(3, _without_first), ["missed"], id="3 of 240: over 1 %"),
        pytest.param(_changed(1, _other_class), [], id="4 of 240 under another label, 1.7 %, that even out"),
        pytest.param(_changed(2, _other_class), ["another label"], id="8 of 240, 3.3 %, though every share is the same"),
        pytest.param(_changed(60, _all_lymphocytes), ["another label", *_EVEN], id="one class swallows the others"),
        pytest.param(_changed(60, _moved(0.1)), [], id="a tenth of a pixel"),
        pytest.param(_changed(60, _moved(1)), ["median IoU"], id="one pixel, everywhere"),
        pytest.param(_changed(60, _moved(3)), ["mean IoU", "median IoU"], id="three pixels"),
        pytest.param(_changed(15, _moved(6)), [], id="another of two saturated priors for every fourth cell"),
        pytest.param(_changed(60, _less_sure), ["scores"], id="scores that are all a little lower"),
        pytest.param([_cells([])] * 60, ["240 cells missed", *_EVEN], id="an engine that finds nothing"),
        pytest.param(_changed(1, lambda f: replace(f, overflow=True)), ["candidates than rows"], id="an overflow of one only"),
    ],
)
def test_each_disagreement_fails_for_its_own_reason(candidate: list[Cells], says: list[str]) -> None:
    failures = _judge(candidate).failures
    for reason in says:
        assert any(reason in failure for failure in failures), (reason, failures)
    assert len(failures) == len(says), failures


def test_too_few_cells_are_no_pass_even_when_they_agree() -> None:
    fields = _fields()[:49]
    result = _judge(fields, fields)
    assert not result.passed
    assert (result.failures, result.verdict) == ((), "not decided")
    assert result.undecided == "the reference finds only 196 cells where 200 are needed"


@pytest.mark.parametrize(
    ("n_changed", "verdict"),
    [
        pytest.param(0, "not decided", id="they agree, as any few might"),
        pytest.param(1, "not decided", id="1 of 40 missed, which 1 % would do to many a forty"),
        pytest.param(10, "failed", id="10 of 40 missed, which no luck explains"),
    ],
)
def test_what_differs_beyond_doubt_fails_however_few_cells_there_are(n_changed: int, verdict: str) -> None:
    reference = _fields(10)
    changed = [_without_first(field) if index < n_changed else field for index, field in enumerate(reference)]
    assert _judge(changed, reference).verdict == verdict


def test_cells_where_the_reference_has_none_fail() -> None:
    empty = [_cells([]) for _ in range(10)]
    assert _judge(_fields(10), empty).verdict == "failed"


def test_images_without_cells_are_no_pass() -> None:
    empty = [_cells([]) for _ in range(300)]
    result = _judge(empty, empty)
    assert (result.passed, result.failures) == (False, ())
    assert result.undecided == "the reference finds no cell where 200 are needed"


def test_other_fields_than_the_references_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _judge(_fields()[:59])


def test_one_cell_of_a_rare_class_does_not_decide() -> None:
    rare = [_cells(["blast"])]
    assert _judge([*_fields(), _cells(["promyelocyte"])], [*_fields(), *rare]).failures == ()


def test_a_rare_class_that_is_lost_fails() -> None:
    reference = [*_fields(100), *[_cells(["blast"]) for _ in range(12)]]
    lost = [*_fields(100), *[_cells(["promyelocyte"]) for _ in range(12)]]
    failures = _judge(lost, reference).failures
    assert any("blast are 0.0%" in failure and "reference has 2.9%" in failure for failure in failures)


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [
        pytest.param(0.0, 0.0, 0.018, id="none of 200"),
        pytest.param(0.01, 0.001, 0.036, id="1 %"),
        pytest.param(0.05, 0.024, 0.090, id="5 %"),
        pytest.param(0.10, 0.062, 0.150, id="10 %"),
        pytest.param(0.50, 0.429, 0.571, id="half"),
        pytest.param(1.0, 0.982, 1.0, id="all"),
    ],
)
def test_limits_of_a_share_are_the_published_ones(share: float, low: float, high: float) -> None:
    assert share_limits(share, 200) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_every_limit_has_a_reason() -> None:
    assert all(limit.why for limit in TABLE)
    assert len(LIMITS) == len(TABLE)


_BOXES = st.lists(st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(5, 40)] * 2), max_size=8).map(
    lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4)
)


@given(_BOXES, _BOXES)
def test_matching_is_symmetric_and_pairs_each_box_once(a: Float32, b: Float32) -> None:
    rows, columns, overlap = match(a, b, 0.5)
    _, _, other = match(b, a, 0.5)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(overlap)
    assert (overlap >= 0.5).all()
    assert float(overlap.sum()) == pytest.approx(float(other.sum()), abs=1e-4)


@given(_BOXES)
def test_a_field_matches_itself_whole(boxes: Float32) -> None:
    rows, _, overlap = match(boxes, boxes, 0.5)
    assert len(rows) == len(boxes)
    assert np.allclose(overlap, 1)


@given(st.lists(st.lists(st.sampled_from(list(INDEX)), max_size=6), min_size=1, max_size=80), st.floats(0.5, 1))
def test_what_is_identical_passes_whatever_it_is(fields: list[list[str]], score: float) -> None:
    cells = [_cells(classes, score=score) for classes in fields]
    result = compare(cells, cells, "same", is_emulation=False)
    assert result.passed == (sum(map(len, cells)) >= LIMITS["min_cells"])
    assert (result.missed, result.added, result.label_flips, result.min_iou) == (0, 0, 0, 1)
    assert result.counts == count(cells)


def test_cells_are_found_in_batches_and_each_frame_is_told() -> None:
    frames = np.stack([blob_field([("lymphocyte", 40, 40)]), blob_field(), blob_field([("eosinophil", 8, 60)] * 2)])
    executor = CpuExecutor(tiny_model(), is_emulation=False)
    told: list[int] = []
    one_by_one = find_cells(executor, frames, ["a", "b", "c"], Thresholds(), told.append)
    executor.max_batch = 2
    in_batches = find_cells(executor, frames, ["a", "b", "c"], Thresholds(), told.append)
    assert told == [1, 1, 1, 2, 1]
    assert count(one_by_one) == count(in_batches) == {"lymphocyte": 1, "eosinophil": 1}
    assert [len(field) for field in in_batches] == [1, 0, 1]


def test_a_failure_names_its_image_and_is_no_empty_field() -> None:
    frames = np.stack([blob_field(), np.zeros((128, 160, 3), np.uint8)])
    executor = CpuExecutor(tiny_model(fault="nan_if_black"), is_emulation=False)
    with pytest.raises(EngineError, match=r"image second\.png.*not finite"):
        find_cells(executor, frames, ["first.png", "second.png"], Thresholds())


def test_more_candidates_than_rows_stay_marked() -> None:
    executor = CpuExecutor(tiny_model(top_k=2), is_emulation=False)
    (field,) = find_cells(executor, blob_field([("lymphocyte", 40, 40)])[None], ["a"], Thresholds())
    assert field.overflow
