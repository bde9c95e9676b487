"""The trace of a run's stages: bars that nest, rows that do not overlap, and every field in it."""

import json
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_run import field_record, run_start, run_stop

from edge.contracts.records import Advice, Event, FieldStatus, StageTimes
from edge.watch.stage_trace import trace_document, trace_events

pytestmark = pytest.mark.timeout(30)
MS = st.floats(0, 500)


def bytes_of(*records: object) -> list[bytes]:
    return [record.model_dump_json().encode() for record in records]  # type: ignore[attr-defined]


def test_a_run_as_it_was() -> None:
    said = {"run_id": "r", "wall_time": "2030-01-02T03:04:06Z"}
    records = bytes_of(
        run_start("r"),
        field_record("r", 1),
        Event(seq=2, severity="warning", code="late_frame", message="x", **said),
        Advice(seq=3, advice="pause", reason="x", **said),
        field_record("r", 4, FieldStatus.LOST).model_copy(update={"times": None}),
        run_stop("r", 5),
    )
    document = json.loads("".join(trace_document(records)))
    events = document["traceEvents"]
    assert [event["name"] for event in events] == [
        *("process_name", "thread_name", "field 0", "acquire", "fit", "batch", "infer", "postprocess"),
        *("late_frame", "advice: pause", "field 3: lost", "run_stop: completed"),
    ]
    bars = {event["name"]: event for event in events if event["ph"] == "X"}
    assert (bars["field 0"]["ts"], bars["field 0"]["dur"]) == (0, 17200), "1.5 ms to memory, 15.7 ms from there"
    assert (bars["infer"]["ts"], bars["infer"]["dur"]) == (1900, 14900)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.lists(MS, min_size=7, max_size=7)), max_size=20))
def test_bars_lie_within_each_other_or_apart(fields: list[tuple[int, list[float]]]) -> None:
    names = list(StageTimes.model_fields)
    records = []
    for number, (at_ns, times) in enumerate(sorted(fields)):
        stages = StageTimes(**dict(zip(names, times, strict=True)))
        records.append(field_record("r", number + 1).model_copy(update={"t_host_ns": at_ns, "times": stages}))
    bars = [event for event in trace_events(bytes_of(*records)) if event["ph"] == "X"]
    assert len([bar for bar in bars if bar["name"].startswith("field ")]) == len(fields)
    rows = defaultdict(list)
    for bar in bars:
        rows[bar["tid"]].append((round(bar["ts"] * 1000), round((bar["ts"] + bar["dur"]) * 1000)))
    for row in rows.values():
        for number, (start, end) in enumerate(row):
            for other_start, other_end in row[number + 1 :]:
                apart = other_start >= end or other_end <= start
                within = start <= other_start and other_end <= end
                assert apart or within


def test_what_is_no_record_is_left_out() -> None:
    records = [b"{", b"[]", b'{"type":"field"}', *bytes_of(field_record("r", 1)), b'{"type":"later_kind"}']
    assert [event["name"] for event in trace_events(records)][:2] == ["thread_name", "field 0"]
