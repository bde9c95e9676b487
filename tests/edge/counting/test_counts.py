"""Running counts are sums; the differential divides by leukocytes only; its limits are exact."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.counting import RunningCounts, clopper_pearson, differential

pytestmark = pytest.mark.timeout(20)
WBC = {cell.name for cell in CELLS if cell.is_wbc} | {UNIDENTIFIED}
LABELS = [*(cell.name for cell in CELLS), UNIDENTIFIED, UNIDENTIFIED_NON_WBC]
fields = st.dictionaries(st.sampled_from(LABELS), st.integers(0, 40))


@given(st.lists(fields, max_size=8))
@settings(max_examples=40, deadline=None)
def test_running_counts_are_the_sum_of_the_fields_in_any_order(counts: list[dict[str, int]]) -> None:
    forward, backward = RunningCounts(), RunningCounts()
    for field in counts:
        forward.add(field)
    for field in reversed(counts):
        backward.add(field)
    expected = sum((Counter(field) for field in counts), Counter())
    assert forward.cells == backward.cells == dict(expected)
    assert forward.wbc_total == sum(count for label, count in expected.items() if label in WBC)
    assert forward.differential() == differential(expected)


@given(fields)
@settings(max_examples=60, deadline=None)
def test_the_differential_is_of_leukocytes_with_unidentified_ones_among_them(cells: dict[str, int]) -> None:
    result = differential(cells)
    total = sum(count for label, count in cells.items() if label in WBC)
    assert result.wbc_total == total
    if total == 0:
        assert result.rows == () and result.non_wbc_per_100_wbc == {}
        return
    assert {row.label for row in result.rows} == WBC
    assert sum(row.count for row in result.rows) == total
    assert sum(row.percent for row in result.rows) == pytest.approx(100.0)
    for row in result.rows:
        assert row.count == cells.get(row.label, 0)
        assert row.low_percent <= row.percent <= row.high_percent
    assert set(result.non_wbc_per_100_wbc) == {label for label, count in cells.items() if count and label not in WBC}


def test_a_differential_worked_by_hand() -> None:
    result = differential({"neutrophil_segmented": 100, "lymphocyte": 80, UNIDENTIFIED: 20, "nrbc": 4, UNIDENTIFIED_NON_WBC: 1})
    rows = {row.label: row for row in result.rows}
    assert result.wbc_total == 200
    assert (rows["neutrophil_segmented"].percent, rows[UNIDENTIFIED].percent, rows["basophil"].percent) == (50.0, 10.0, 0.0)
    assert round(rows["neutrophil_segmented"].low_percent, 1) == 42.9 and round(rows["basophil"].high_percent, 1) == 1.8
    assert result.non_wbc_per_100_wbc == {"nrbc": 2.0, UNIDENTIFIED_NON_WBC: 0.5}


@pytest.mark.parametrize("counts", [{"leucocyte": 1}, {"nrbc": -1}], ids=["unknown label", "negative count"])
def test_what_no_cell_can_be_is_refused_and_not_half_added(counts: dict[str, int]) -> None:
    running = RunningCounts()
    with pytest.raises(ValueError, match="cannot be counted"):
        running.add({"lymphocyte": 2, **counts})
    assert running.cells == {}


@pytest.mark.parametrize(
    ("k", "low_percent", "high_percent"),
    [(0, 0.0, 1.8), (2, 0.1, 3.6), (10, 2.4, 9.0), (20, 6.2, 15.0), (100, 42.9, 57.1)],
)
def test_tabled_limits_of_a_differential_of_200(k: int, low_percent: float, high_percent: float) -> None:
    low, high = clopper_pearson(k, 200)
    assert (round(100 * low, 1), round(100 * high, 1)) == (low_percent, high_percent)


@given(n=st.integers(1, 20_000), share=st.floats(0, 1), confidence=st.sampled_from([0.9, 0.95, 0.999]))
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_beta_quantiles(n: int, share: float, confidence: float) -> None:
    beta = pytest.importorskip("scipy.stats", reason="scipy is the independent reference here").beta
    k = round(share * n)
    low, high = clopper_pearson(k, n, confidence)
    half = (1 - confidence) / 2
    assert low == pytest.approx(beta.ppf(half, k, n - k + 1) if k else 0.0, rel=1e-9, abs=1e-12)
    assert high == pytest.approx(beta.ppf(1 - half, k + 1, n - k) if k < n else 1.0, rel=1e-9, abs=1e-12)


@given(n=st.integers(1, 60), share=st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_limits_leave_out_two_and_a_half_percent_each_side(n: int, share: float) -> None:
    k = round(share * n)
    low, high = clopper_pearson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    if k:
        at_least_k = math.fsum(math.comb(n, i) * low**i * (1 - low) ** (n - i) for i in range(k, n + 1))
        assert at_least_k == pytest.approx(0.025, rel=1e-8)
    mirrored = clopper_pearson(n - k, n)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)], ids=["nothing counted", "negative", "more than all"])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no binomial count"):
        clopper_pearson(k, n)
