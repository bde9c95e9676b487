"""An order through a whole edge: refused in one sentence, echoed, advised upon, and its overshoot told at the end."""

from contextlib import closing
from pathlib import Path

import pytest
from support.served_run import Conveyor, PlainCamera, served

from edge.contracts.errors import StreamError
from edge.contracts.records import Advice, Event, FieldRecord, RunOutcome, RunStart
from edge.contracts.run_order import OrderSetting, RunOrder
from edge.journal.archive import Archive
from edge.local.replay import recounted

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        pytest.param(RunOrder(target_leukocytes=0), r"refused \(invalid\): `order.target_leukocytes` is 0", id="a value"),
        pytest.param(
            RunOrder.model_validate_json('{"quality": "later"}'), r"refused \(unsupported\): `order.quality`", id="a word"
        ),
    ],
)
def test_a_wrong_order_refuses_the_run(order: RunOrder, said: str) -> None:
    with served(PlainCamera()) as edge:
        with pytest.raises(StreamError, match=said):
            edge.controller.start_run(order=order)
        run_id = edge.controller.start_run(order=RunOrder(target_leukocytes=1))
        edge.announce(run_id, 0)
        edge.controller.stop_run(run_id)
        assert edge.to_the_end()[0].outcome is RunOutcome.STOPPED


def test_stop_is_advised_and_what_comes_beyond_is_told() -> None:
    with served(PlainCamera()) as edge:
        run_id = edge.controller.start_run(order=RunOrder(target_leukocytes=3, quality="off"))
        edge.announce(run_id, *range(6))
        records = edge.until(lambda record: isinstance(record, Advice) and record.final is True)
        edge.controller.stop_run(run_id)
        stop, more = edge.to_the_end()
        (start,) = (record for record in records if isinstance(record, RunStart))
        assert start.order == RunOrder(target_leukocytes=3, quality="off") and start.stage is not None
        advice = [record for record in [*records, *more] if isinstance(record, Advice)]
        assert [(each.advice, each.field_index) for each in advice if each.final] == [("stop", 2)]
        assert stop.slide is not None and stop.slide.stop is not None
        assert (stop.slide.stop.wbc, stop.slide.stop.overshoot_wbc, stop.slide.stop.overshoot_fields) == (6, 3, 3)
        fields = [record for record in [*records, *more] if isinstance(record, FieldRecord)]
        assert [
            field.running.slide.stop.final is not None for field in fields if field.running.slide and field.running.slide.stop
        ] == [index >= 2 for index in range(6)]


def test_a_bad_field_is_left_out_of_the_slide_and_of_no_raw_number() -> None:
    """The made-up camera's images are black."""
    with served(PlainCamera()) as edge:
        run_id = edge.controller.start_run(order=RunOrder(quality="leave_out", field_cap=2))
        edge.announce(run_id, *range(3))
        edge.controller.stop_run(run_id)
        stop, records = edge.to_the_end()
        fields = [record for record in records if isinstance(record, FieldRecord)]
        assert [field.quality.bad for field in fields if field.quality and field.quality.left_out] == [("dark",)] * 3
        assert all(field.counted and field.counts == {"neutrophil_segmented": 1} for field in fields)
        asked = [record for record in records if isinstance(record, Event) and record.code == "reimage_suggested"]
        assert [event.field_index for event in asked] == [0, 1, 2]
        assert "field 1 came out badly: dark (brightness of the empty slide 0, below 50)" in asked[1].message
        assert stop.cells == {"neutrophil_segmented": 3} and stop.slide is not None
        assert (stop.slide.cells, stop.slide.left_out) == ({}, 3)
        assert stop.slide.stop is not None and stop.slide.stop.final is not None and stop.slide.stop.final.reason == "fields"


def test_a_run_goes_on_with_the_slide_of_the_one_before(tmp_path: Path) -> None:
    """Two edges, one journal: the second field of either shows the same places, and its cells are counted once."""
    journal, ends = tmp_path / "journal.sqlite", []
    for run_id, before in (("one", None), ("two", "one")):
        with served(PlainCamera(), journal) as edge:
            edge.controller.start_run(run_id=run_id, continues_run_id=before, order=RunOrder(target_leukocytes=3))
            for index in range(2):
                place_nm = (index + (run_id == "two")) * 40_000, 0
                edge.controller.trigger(run_id, f"t{index}", index, place_nm, timeout_s=20)
            edge.controller.stop_run(run_id)
            stop, records = edge.to_the_end()
            ends.append(stop)
    first, second = (end.slide for end in ends)
    assert first is not None and second is not None and second.stop is not None
    assert (first.cells, first.run_ids) == ({"neutrophil_segmented": 2}, ())
    assert (second.cells, second.run_ids, second.same_cells) == ({"neutrophil_segmented": 3}, ("one",), 1)
    assert second.stop.final is not None and (second.stop.final.run_id, second.stop.final.field_index) == (None, 1)
    (repeated,) = [
        same
        for record in records
        if isinstance(record, FieldRecord) and record.running.slide
        for same in record.running.slide.same_cells
    ]
    assert (repeated.run_id, repeated.field_index) == ("one", 1)
    assert ends[1].cells == {"neutrophil_segmented": 2} and ends[1].carried is not None
    assert ends[1].carried.cells == {"neutrophil_segmented": 4}, "raw sums stay raw"
    with closing(Archive(journal)) as archive:
        for run_id in ("one", "two"):
            found = recounted(archive, archive.run(run_id))
            assert found.differences == [], "counted anew, it is the same"
            assert not any("overlapping" in remark for remark in found.remarks)


def test_the_advice_of_the_last_field_is_on_record() -> None:
    """The source ends with the very field that reaches the target."""
    source = Conveyor(2, live=False)
    with served(source, order=OrderSetting(target_leukocytes=2)) as edge:
        edge.controller.start_run()
        source.go.release(2)
        stop, records = edge.to_the_end()
        assert [(each.advice, each.final) for each in records if isinstance(each, Advice)] == [("stop", True)]
        assert stop.slide is not None and stop.slide.stop is not None and stop.slide.stop.overshoot_wbc == 0
        (start,) = (record for record in records if isinstance(record, RunStart))
        assert start.order is not None and start.order.target_leukocytes == 2, "of the settings, where RUN_START has none"
