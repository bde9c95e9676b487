"""Fields imaged anew: each place counted once in the net sums, the raw sums as they were, and a refusal for what cannot be."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_run import run_start

from edge.contracts.messages import Rejected, TriggerCommand
from edge.contracts.records import FieldStatus
from edge.counting.places import Places
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.trigger_desk import TriggerDesk

pytestmark = pytest.mark.timeout(20)
OK, EMPTY, LOST = FieldStatus.OK, FieldStatus.EMPTY, FieldStatus.LOST
ONE, TWO = {"lymphocyte": 1}, {"lymphocyte": 2}


@pytest.mark.parametrize(
    ("ends", "fields", "cells"),
    [
        pytest.param([("a", None, OK, ONE), ("b", "a", OK, TWO)], {OK: 1}, TWO, id="the newer one counts"),
        pytest.param([("a", None, OK, ONE), ("b", "a", EMPTY, {})], {EMPTY: 1}, {}, id="also when it shows nothing"),
        pytest.param([("a", None, OK, ONE), ("b", "a", LOST, None)], {OK: 1}, ONE, id="not when it never came"),
        pytest.param([("a", None, LOST, None), ("b", "a", OK, TWO)], {OK: 1}, TWO, id="a lost one is exposed again"),
        pytest.param([("a", None, LOST, None), ("b", "a", LOST, None)], {LOST: 1}, {}, id="and lost again: one place"),
        pytest.param([("a", None, OK, ONE), ("b", "a", OK, TWO), ("c", "b", OK, ONE)], {OK: 1}, ONE, id="and again"),
        pytest.param([("a", None, OK, ONE), ("b", "a", LOST, None), ("c", "a", OK, TWO)], {OK: 1}, TWO, id="after a failure"),
        pytest.param(
            [("a", None, OK, ONE), ("x", None, OK, ONE), ("b", "a", OK, TWO)], {OK: 2}, {"lymphocyte": 3}, id="beside another"
        ),
    ],
)
def test_every_place_is_in_the_net_sums_once(
    ends: list[tuple[str, str | None, FieldStatus, dict[str, int] | None]],
    fields: dict[FieldStatus, int],
    cells: dict[str, int],
) -> None:
    places = Places()
    for trigger_id, replaces, status, counts in ends:
        if replaces is not None:
            assert places.claim(trigger_id, replaces, is_open=False) is None
        places.ended(trigger_id, status, counts)
    net, result = places.net, places.result()
    assert net is not None
    assert result is not None
    assert (net.fields, net.cells, net.wbc_total) == (fields, cells, sum(cells.values()))
    assert (result.fields, result.cells, result.differential.wbc_total) == (fields, cells, sum(cells.values()))


def test_without_a_replacement_the_raw_sums_are_all_there_is() -> None:
    places = Places()
    places.ended("a", OK, ONE)
    assert (places.net, places.result()) == (None, None)


@pytest.mark.parametrize(
    ("replaces", "code", "says"),
    [
        pytest.param("nobody", "unknown_trigger", "no trigger 'nobody'", id="of another run, or mistyped"),
        pytest.param("open", "not_finished", "wait for its field", id="its field has not come"),
        pytest.param("new", "unknown_trigger", "names itself", id="itself, whose field would be waited for in vain"),
        pytest.param("a", "already_replaced", "by 'b'", id="another one has its place"),
        pytest.param("x", "already_replaced", "by 'y'", id="another one is about to take it"),
        pytest.param("f", "not_counted", "name 'e'", id="it failed to take a place: the former one holds it"),
    ],
)
def test_what_cannot_be_replaced_is_refused_with_what_to_name_instead(replaces: str, code: str, says: str) -> None:
    journal = MemoryJournal()
    journal.append(run_start("r"))
    desk = TriggerDesk(journal, window=32)
    desk.begin()

    def announce(index: int, name: str, replaces: str | None = None) -> Rejected | None:
        order = TriggerCommand(cmd_id=f"c{name}", run_id="r", trigger_id=name, field_index=index, replaces=replaces)
        answer = desk.announce(order)
        assert answer is None or isinstance(answer, Rejected)
        return answer

    def end(name: str, status: FieldStatus) -> None:
        desk.places.ended(name, status, ONE if status is OK else None)
        desk.ledger.close(name, status)

    for index, name in enumerate("axe"):
        assert announce(index, name) is None
        end(name, OK)
    assert announce(3, "b", "a") is None
    end("b", OK)
    assert announce(4, "y", "x") is None
    assert announce(5, "f", "e") is None
    end("f", LOST)
    assert announce(6, "open") is None
    answer = announce(7, "new", replaces)
    assert answer is not None
    assert (answer.code, says in answer.reason) == (code, True), answer.reason
    assert announce(7, "newer", "b") is None, "the one that holds the place can be named"
    assert announce(8, "newest", "e") is None, "and so can one whose replacement failed"


def test_a_refused_announcement_leaves_the_place_to_the_next() -> None:
    places = Places()
    places.ended("a", OK, ONE)
    assert places.claim("b", "a", is_open=False) is None
    places.withdraw("b")
    assert places.claim("c", "a", is_open=False) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([OK, EMPTY, LOST])), max_size=40))
def test_any_row_of_replacements_leaves_one_field_a_place(steps: list[tuple[int, FieldStatus]]) -> None:
    """Against a model that keeps for each place the field that holds it."""
    places, holders, place_of = Places(), dict[int, tuple[FieldStatus, int]](), dict[str, int]()
    replaced = False
    for number, (aimed, status) in enumerate(steps):
        name, counts = f"t{number}", {"monocyte": number % 3 + 1} if status is OK else {} if status is EMPTY else None
        named = f"t{aimed}" if aimed < number else None
        claimed = named is not None and places.claim(name, named, is_open=False) is None
        place = place_of[named] if claimed and named is not None else number
        place_of[name] = place
        replaced = replaced or claimed
        places.ended(name, status, counts)
        if place not in holders or counts is not None:
            holders[place] = (status, sum((counts or {}).values()))
    net = places.net
    assert (net is not None) == replaced
    if net is not None:
        assert net.fields == {each: n for each, n in Counter(status for status, _ in holders.values()).items() if n}
        assert net.wbc_total == sum(cells for _, cells in holders.values())
