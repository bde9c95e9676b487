"""Running counts are sums, and the differential divides by leukocytes only."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.counting import RunningCounts, differential

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
