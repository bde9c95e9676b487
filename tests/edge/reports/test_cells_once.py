"""Cells one by one, read back from a run's records, are those that the edge has counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlapping_run import Layout, overlapping_run

from edge.contracts.records import FieldRecord, RunStop, SameCell
from edge.reports import report_of

pytestmark = pytest.mark.timeout(120)

LAYOUTS = st.builds(
    Layout,
    seed=st.integers(0, 10_000),
    overlap=st.sampled_from([0.0, 0.1, 0.2, 0.4]),
    cells=st.sampled_from([0, 5, 40, 120]),
    turned_deg=st.sampled_from([0.0, 3.0, 90.0]),
    jitter_um=st.sampled_from([0.0, 0.3, 1.0]),
    shuffled=st.booleans(),
    lost=st.sampled_from([0.0, 0.2]),
    replaced=st.sampled_from([0.0, 0.3]),
    ahead=st.sampled_from([1, 3, 50]),
)


@settings(max_examples=40, deadline=None)
@given(LAYOUTS, st.floats(0, 1))
def test_the_cells_are_those_that_were_counted_whatever_the_slide_and_wherever_the_run_is(layout: Layout, part: float) -> None:
    records = overlapping_run(layout)
    for seen in (records, records[: 1 + round(part * (len(records) - 2))]):
        report = report_of(seen)
        assert [one.message for one in report.remarks if one.code == "cells_disagree"] == []


CROWDED = [
    pytest.param(Layout(9, overlap=0.4, cells=120, turned_deg=3, jitter_um=0.3, shuffled=True, replaced=0.2, ahead=50), id="9"),
    pytest.param(
        Layout(27, overlap=0.4, cells=120, turned_deg=3, jitter_um=0.3, shuffled=True, replaced=0.2, ahead=50), id="27"
    ),
    pytest.param(Layout(112, overlap=0.4, cells=120, turned_deg=3, jitter_um=1, shuffled=True, lost=0.1, ahead=3), id="112"),
    pytest.param(Layout(220, overlap=0.1, cells=120, jitter_um=0.3, shuffled=True, lost=0.1, replaced=0.2, ahead=3), id="220"),
]


@pytest.mark.parametrize("layout", CROWDED)
def test_crowded_fields_imaged_in_any_order_and_anew_are_counted(layout: Layout) -> None:
    """The first two once kept cells of replaced fields in the sums; the last two met a settled cell that hangs on another."""
    records = overlapping_run(layout)
    stop, last = records[-1], [record for record in records if isinstance(record, FieldRecord)][-1]
    assert isinstance(stop, RunStop) and stop.slide is not None and last.running.slide is not None
    assert last.running.slide.provisional == {}, "every field is final"
    assert stop.slide.cells == last.running.slide.final
    assert report_of(records).remarks[-1:] == () or report_of(records).remarks[-1].code != "cells_disagree"


def test_a_cell_that_an_earlier_run_has_shown_is_counted_there() -> None:
    records = overlapping_run(Layout(seed=5, columns=3, rows=2, cells=25))
    at, field = next((at, one) for at, one in enumerate(records) if isinstance(one, FieldRecord) and one.detections)
    stop = records[-1]
    assert isinstance(stop, RunStop) and stop.slide is not None and field.running.slide is not None
    seen = SameCell(detection=0, field_index=3, of_detection=1, run_id="before", distance_um=0.4)
    slide = field.running.slide.model_copy(update={"same_cells": (seen, *field.running.slide.same_cells)})
    records[at] = field.model_copy(update={"running": field.running.model_copy(update={"slide": slide})})
    records[-1] = stop.model_copy(update={"slide": stop.slide.model_copy(update={"run_ids": ("before",)})})
    report = report_of(records)
    there = [cell for cell in report.cells if cell.of_earlier_run]
    assert there[0].id == f"f{field.field_index}c0" and not any(cell.counts for cell in there)
    assert [one.code for one in report.remarks] == ["continued"] and report.result.cells == stop.slide.cells
