"""A laboratory left out: what is found, rightly called, left open, and found where there is no cell; limits of it all."""

import pytest
from support.evaluated import FAR, A, B, result

from edge.contracts.cells import INDEX
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.false_cells import FIELD_UM2, outside_cells
from trainer.evaluation.laboratory_figures import laboratory_figures
from trainer.evaluation.laboratory_table import cells_of

LYM, MON, BAND, NRBC = INDEX["lymphocyte"], INDEX["monocyte"], INDEX["neutrophil_band"], INDEX["nrbc"]


@pytest.mark.parametrize(
    ("one", "typed", "right", "unidentified"),
    [
        pytest.param(result([(A, 0.9, LYM)], [(A, LYM)]), 1, 1, 0, id="right"),
        pytest.param(result([(A, 0.9, MON)], [(A, LYM)]), 1, 0, 0, id="wrong"),
        pytest.param(result([(A, -0.9, LYM)], [(A, LYM)]), 1, 0, 1, id="left-open-though-its-likeliest-class-is-right"),
        pytest.param(result([], [(A, LYM)]), 0, 0, 0, id="missed-cells-are-not-among-the-found"),
        pytest.param(result([(A, 0.9, BAND)], [(A, UNTYPED_NEUTROPHIL)]), 1, 1, 0, id="band-or-segmented-nobody-said"),
        pytest.param(result([(A, 0.9, MON)], [(A, UNTYPED_NEUTROPHIL)]), 1, 0, 0, id="neither-of-them"),
        pytest.param(result([(A, 0.9, MON)], [(A, UNTYPED_WBC)]), 0, 0, 0, id="of-no-known-type"),
        pytest.param(result([(A, 0.9, NRBC)], [(A, NRBC)]), 0, 0, 0, id="no-leukocyte"),
        pytest.param(result([(A, 0.9, LYM), (B, 0.9, LYM)], [(A, LYM)]), 1, 1, 0, id="a-false-one-beside-it"),
    ],
)
def test_what_is_called_of_what_is_found(one: ImageResult, typed: int, right: int, unidentified: int) -> None:
    found = laboratory_figures([one], 0.3, [0], 10)
    assert found.found_typed == typed
    shares = (found.right_of_found.value, found.unidentified_of_found.value)
    assert shares == ((right / typed, unidentified / typed) if typed else (None, None))
    # The one that is left open here would have been called rightly.
    assert found.likeliest_of_found.value == ((right + unidentified) / typed if typed else None)


@pytest.mark.parametrize(
    ("one", "false", "free_px"),
    [
        pytest.param(result([(FAR, 0.9, LYM)], []), 1, 400 * 300, id="in-an-image-without-a-cell"),
        pytest.param(result([(A, 0.9, LYM)], [(A, LYM)]), 0, 400 * 300 - 3600, id="a-cell"),
        pytest.param(result([((10, 10, 130, 50), 0.9, LYM)], [(A, LYM)]), 1, 400 * 300 - 3600, id="a-box-that-reaches-far-out"),
        pytest.param(result([((10, 10, 40, 40), 0.9, LYM)], [(A, LYM)]), 0, 400 * 300 - 3600, id="a-second-box-on-a-cell"),
        pytest.param(result([(A, 0.9, LYM)], [(A, IGNORE)]), 0, 400 * 300 - 3600, id="where-nothing-is-tested"),
        pytest.param(result([(FAR, 0.9, NRBC)], [(A, LYM)]), 0, 400 * 300 - 3600, id="no-leukocyte"),
    ],
)
def test_false_leukocytes_are_those_outside_all_cells(one: ImageResult, false: int, free_px: float) -> None:
    found = outside_cells([one] * 3)
    assert (found.images, found.false_leukocytes) == (3, 3 * false)
    assert found.fields == pytest.approx(3 * free_px * 0.13**2 / FIELD_UM2, abs=0.01)
    assert found.per_1000 < found.high_per_1000


def test_counts_and_limits_of_several_images() -> None:
    right, missed, twice = (
        result([(A, 0.9, LYM)], [(A, LYM)]),
        result([], [(A, MON)]),
        result([(A, 0.9, LYM), (FAR, 0.8, MON)], [(A, LYM)]),
    )
    found = laboratory_figures([right, missed, twice] * 8, 0.3, range(24), 200)
    assert (found.images, found.leukocytes, found.counted, found.um_per_px) == (24, 24, 24, {"LAB": 0.13})
    assert (found.count_error.value, found.recall.value, found.precision.value) == (0.0, 2 / 3, 2 / 3)
    assert found.types.value == pytest.approx(0.5), "all lymphocytes and no monocyte"
    for one in (found.ap, found.recall, found.precision, found.count_error):
        assert one.value is not None and one.low is not None and one.high is not None
        assert one.low <= one.value <= one.high and one.low < one.high
    assert found.count_error.low is not None and found.count_error.low < 0, "an error of counting has a sign"
    assert found.empty is None
    told = cells_of(found)
    assert told[0] == "24" and told[4].startswith("24, +0.0 %") and "8 in" in told[-1]


def test_without_a_leukocyte_there_are_no_shares_but_false_ones() -> None:
    found = laboratory_figures([result([(A, 0.9, LYM)], [])], 0.3, [0], 10)
    assert (found.ap.value, found.recall.value, found.count_error.value, found.precision.value) == (None, None, None, 0.0)
    assert found.outside == found.empty and found.outside.false_leukocytes == 1
    assert cells_of(found)[1] == "no truth"
