"""What `runs verify` says of a run's sums: whole ones, older ones, and ones in which one thing is wrong."""

from pathlib import Path
from typing import Any

import pytest
from support.scripted_run import field_record, run_start, run_stop

from edge.contracts.messages import TriggerCommand
from edge.contracts.records import FieldRecord, FieldStatus, RunStop
from edge.counting import differential
from edge.counting.places import Places
from edge.journal.interrupted import end_interrupted
from edge.journal.memory_journal import MemoryJournal
from edge.journal.sqlite_journal import SqliteJournal
from edge.journal.sums_check import wrong_sums

pytestmark = pytest.mark.timeout(20)
OK = {"neutrophil_segmented": 1}


def records(n_fields: int = 3, **stop: Any) -> list[bytes]:  # noqa: ANN401
    last = run_stop("r", n_fields + 1).model_copy(update=stop)
    made = [run_start("r"), *(field_record("r", seq + 1) for seq in range(n_fields)), last]
    return [record.model_dump_json().encode() for record in made]


NAMES = ["t0", "t1", "t2"]


@pytest.mark.parametrize(
    ("contents", "announced", "says"),
    [
        pytest.param(records(), NAMES, "", id="whole"),
        pytest.param(records(), [], "", id="of a source that paced itself"),
        pytest.param(records()[:-1], [*NAMES, "t3"], "", id="not ended: it may still come"),
        pytest.param(records(), [*NAMES, "t3"], "t3 was announced and has 0 fields", id="a trigger without a field"),
        pytest.param(records(), NAMES[:2], "t2 was announced and has 1 fields", id="a field of nobody"),
        pytest.param(records(sums_match=False), NAMES, "says itself", id="it says so itself"),
        pytest.param(records(fields={FieldStatus.OK: 2}), NAMES, "run_stop says", id="another number of fields"),
        pytest.param(records(cells={"lymphocyte": 3}), NAMES, "run_stop says", id="other cells"),
        pytest.param([each.replace(b'"net":null,', b"") for each in records()], NAMES, "", id="of an older version"),
    ],
)
def test_a_run_is_what_its_last_record_says(contents: list[bytes], announced: list[str], says: str) -> None:
    found = wrong_sums(contents, announced)
    assert says in found
    assert bool(found) == bool(says)


def _replacing(status: FieldStatus, **stop: Any) -> list[bytes]:  # noqa: ANN401
    first, second = field_record("r", 1), field_record("r", 2, status).model_copy(update={"replaces": "t0"})
    counted = status is FieldStatus.OK
    second = second.model_copy(update={"counted": counted})
    places = Places()
    places.ended("t0", FieldStatus.OK, OK)
    places.claim("t1", "t0", is_open=False)
    places.ended("t1", status, OK if counted else None)
    cells = {"neutrophil_segmented": 1 + counted}
    fields = {FieldStatus.OK: 2} if counted else {FieldStatus.OK: 1, status: 1}
    known = {"triggers": 2, "cells": cells, "fields": fields, "net": places.result(), "differential": differential(cells)}
    last = run_stop("r", 3).model_copy(update=known | stop)
    return [record.model_dump_json().encode() for record in (run_start("r"), first, second, last)]


@pytest.mark.parametrize("status", [FieldStatus.OK, FieldStatus.LOST])
def test_net_sums_are_those_of_the_fields(status: FieldStatus) -> None:
    assert wrong_sums(_replacing(status), ["t0", "t1"]) == ""
    assert "net sums" in wrong_sums(_replacing(status, net=None), ["t0", "t1"])
    unknown = [each.replace(b'"replaces":"t0"', b'"replaces":"t7"') for each in _replacing(status)]
    assert "which it cannot" in wrong_sums(unknown, ["t0", "t1"])


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_run_that_was_interrupted_with_a_replacement_open_has_its_net_sums(tmp_path: Path, kind: str) -> None:
    """The lost one takes no place: the former field holds it."""
    journal = MemoryJournal() if kind == "memory" else SqliteJournal(tmp_path / "journal.sqlite", "normal")
    try:
        journal.append(run_start("r"))
        for index, replaces in enumerate((None, "t0", None)):
            order = TriggerCommand(cmd_id=f"c{index}", run_id="r", trigger_id=f"t{index}", field_index=index, replaces=replaces)
            journal.announce(order, lambda: None)
        journal.append(field_record("r", 1))
        journal.settle()
        assert end_interrupted(journal, "2030-01-02T03:04:06Z") == ["r"]
        journal.settle()
        contents = [content for _, content in journal.read("r", 0, 99)]
    finally:
        if isinstance(journal, SqliteJournal):
            journal.close()
    lost, stop = FieldRecord.model_validate_json(contents[2]), RunStop.model_validate_json(contents[-1])
    assert (lost.replaces, lost.counted) == ("t0", False)
    assert stop.net is not None
    assert (stop.net.fields, stop.net.cells) == ({FieldStatus.OK: 1, FieldStatus.LOST: 1}, OK)
    assert wrong_sums(contents, ["t0", "t1", "t2"]) == ""
