"""What people watch fits their terminal: the least important goes first, and the cells keep their room."""

import io
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from support.scripted_run import field_record, run_stop

from edge.contracts.records import FieldStatus
from edge.watch.journal_text import runs_table, shortest_beginnings
from edge.watch.view import LiveTable, PlainLines


def _console(width: int, height: int = 40) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None, highlight=False)


def _drawn(console: Console, *parts: RenderableType) -> list[str]:
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return captured.get().splitlines()


def _live(console: Console, n_fields: int, status: FieldStatus = FieldStatus.OK, source: str = "") -> LiveTable:
    view = LiveTable(console)
    for seq in range(1, n_fields + 1):
        record = field_record("r", seq, status)
        view.show(record.model_copy(update={"source_name": source or record.source_name}))
    return view


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        pytest.param(132, {"source", "total ms", "this field", "WBC so far"}, set(), id="room for all"),
        pytest.param(80, {"this field", "WBC", "ms"}, {"source"}, id="80: the source goes first"),
        pytest.param(60, {"status", "cells", "WBC"}, {"source", " ms", "this field"}, id="60"),
    ],
)
def test_the_source_goes_first_and_the_cells_keep_their_room(width: int, shown: set[str], left_out: set[str]) -> None:
    console = _console(width)
    lines = _drawn(console, _live(console, 3, source="scans/2030-01-02/slide 7/field")._table())
    text = "\n".join(lines)
    assert all(name in text for name in shown), text
    assert not any(name in text for name in left_out), text
    assert all(len(line) <= width for line in lines)
    assert "sNEU 0.94" in text, "a cell with its score is never broken up"
    assert "sNEU neutrophil segmented" in text, "the abbreviations are explained"


def test_a_status_is_shortened_and_its_reason_is_read_in_words() -> None:
    console = _console(80)
    text = "\n".join(_drawn(console, _live(console, 1, FieldStatus.INCOMPLETE)._table()))
    assert "incompl." in text and "incomplete" not in text
    assert "the file ends in the middle of its" in text


@pytest.mark.parametrize("height", [12, 16, 24, 50])
@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_the_table_is_never_higher_than_the_terminal(width: int, height: int) -> None:
    console = _console(width, height)
    lines = _drawn(console, _live(console, 60, FieldStatus.FAILED)._table())
    assert len(lines) <= height
    assert any("WBC so far" in line for line in lines), "the running counts are what people look at"


def test_abbreviations_are_explained_in_a_log_too() -> None:
    lines: list[str] = []
    view = PlainLines(lines.append)
    view.show(field_record("r", 1))
    view.show(run_stop("r", 2))
    assert lines[-1].startswith("sNEU neutrophil segmented")


def _run(run_id: str, slide: str | None) -> dict[str, Any]:
    return {
        "run": run_id,
        "slide": slide,
        "began": "2030-01-02T03:04:05+00:00",
        "outcome": "interrupted",
        "fields": 200,
        "leukocytes": 201,
        "records": 203,
        "not_acknowledged": 190,
    }


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        pytest.param(200, "", id="whole names of runs"),
        pytest.param(100, "", id="100: names by how they begin"),
        pytest.param(80, "", id="80"),
        pytest.param(60, "left out here: records, fields;", id="60"),
    ],
)
def test_runs_are_listed_whole_at_any_width(width: int, left_out: str) -> None:
    runs = [_run(str(UUID(int=n << 100)), slide) for n, slide in ((7, None), (8, "S-7"), (9, "S-8"))]
    lines = _drawn(_console(width), *runs_table(runs, width))
    text = " ".join("\n".join(lines).split())
    assert all(len(line) <= width for line in lines), lines
    assert text.count("interrupted") == 3, "no outcome is cut"
    assert text.count(" 190") == 3 and text.count(" 201") == 3
    assert left_out in text and ("left out" in text) == bool(left_out)
    assert all(str(run["run"])[: 36 if width == 200 else 8] in text for run in runs)


def test_a_name_that_is_as_long_as_names_may_be_hides_nothing() -> None:
    text = "".join(_drawn(_console(60), *runs_table([_run("a" * 128, "s" * 128), _run("a" * 127 + "b", "S")], 60)))
    assert text.count("interrupted") == 2
    assert text.count("a") >= 255


@given(st.lists(st.text("ab-", min_size=1, max_size=20), max_size=8, unique=True))
def test_how_runs_begin_tells_them_apart(names: list[str]) -> None:
    """A name that another one begins with is itself all there is to give."""
    found = shortest_beginnings(names, least=2)
    assert len(set(found)) == len(names)
    for name, short in zip(names, found, strict=True):
        assert name.startswith(short)
        assert [other for other in names if other.startswith(short)] == [name] or short == name
