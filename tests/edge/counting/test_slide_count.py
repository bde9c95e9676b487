"""Each cell once, whatever the overlap, the stage's error and the order; what is final stays so."""

import random
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scattered_slide import Layout, Scan, anew, counted, scanned

from edge.counting import cell_registry
from edge.counting.cell_registry import View, cell_of
from edge.counting.same_cell import Box, Seen, Sides, apart_um
from edge.counting.slide_count import SlideCount

pytestmark = pytest.mark.timeout(120)
LEFT, TOP, RIGHT, BOTTOM = (tuple(side == at for side in range(4)) for at in range(4))


def tolerance_um(stage_error_um: float) -> float:
    """The larger of 3 um and three sigma of the difference of two positions, whose errors are spread evenly."""
    return float(max(3.0, 3 * np.sqrt(2) * stage_error_um / np.sqrt(3)))


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        pytest.param(((0, 0, 12, 12), ()), ((1, 0, 13, 12), ()), 1.0, id="whole, one um apart"),
        pytest.param(((0, 0, 12, 12), ()), ((4, 0, 16, 12), ()), None, id="whole, too far apart"),
        pytest.param(((0, 0, 12, 12), ()), ((1, 1, 11, 11), ()), 0.0, id="whole, one drawn tighter"),
        pytest.param(((0, 0, 12, 12), ()), ((6, 0, 12, 12), LEFT), 0.0, id="half of it, cut on its left"),
        pytest.param(((0, 0, 12, 12), ()), ((9, 2, 12, 10), LEFT), 0.0, id="a quarter of it, which shows less of its height"),
        pytest.param(((0, 0, 12, 12), ()), ((9, 2, 18, 10), LEFT), None, id="a larger cell that begins within it"),
        pytest.param(((0, 0, 6, 12), RIGHT), ((6, 0, 12, 12), LEFT), 1.5, id="two halves of one cell"),
        pytest.param(((0, 0, 6, 12), RIGHT), ((8, 0, 14, 12), LEFT), 1.5, id="two halves, the stage a little off"),
        pytest.param(((0, 0, 6, 12), RIGHT), ((10, 0, 16, 12), LEFT), None, id="too far from each other"),
        pytest.param(((0, 0, 6, 12), RIGHT), ((6, 9, 12, 21), LEFT), None, id="two cells at one border"),
        pytest.param(((0, 0, 16, 12), RIGHT), ((14, 0, 28, 12), LEFT), None, id="together larger than any cell"),
        pytest.param(((0, 0, 9, 12), RIGHT), ((0, 0, 7, 12), RIGHT), 0.0, id="cut on the same side at two places"),
        pytest.param(((0, 0, 9, 9), (False, False, True, True)), ((8, 0, 12, 8), LEFT), 1.75, id="the corner of a field"),
    ],
)
def test_when_two_views_are_of_one_cell(a: tuple[Box, Sides], b: tuple[Box, Sides], distance: float | None) -> None:
    one, other = (Seen(box, cut or (False,) * 4) for box, cut in (a, b))  # type: ignore[arg-type]
    found = apart_um(one, other, 3.0)
    assert found == (None if distance is None else pytest.approx(distance))
    assert apart_um(other, one, 3.0) == found


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.5, 20), st.floats(0.5, 20)), min_size=2, max_size=2),
    st.lists(st.tuples(*[st.booleans()] * 4), min_size=2, max_size=2),
    st.floats(0.5, 8),
)
def test_one_distance_from_both_sides(
    boxes: list[tuple[float, float, float, float]], cuts: list[Sides], limit_um: float
) -> None:
    one, other = (Seen((x, y, x + w, y + h), cut) for (x, y, w, h), cut in zip(boxes, cuts, strict=True))
    found = apart_um(one, other, limit_um)
    assert found == apart_um(other, one, limit_um)
    assert found is None or 0 <= found <= limit_um
    assert apart_um(one, one, limit_um) is not None


LAYOUTS = [
    Layout(seed=at, overlap=overlap, stage_error_um=error, order=order, revisits=revisits)
    for at, (overlap, error, order, revisits) in enumerate(
        (o, e, w, r) for o in (0.0, 0.05, 0.15, 0.3) for e in (0.0, 2.0) for w, r in (("snake", 0), ("random", 9))
    )
]


def _errors(layouts: list[Layout]) -> tuple[int, int, int, list[float]]:
    n_true = n_counted = n_raw = 0
    worst = []
    for layout in layouts:
        scan = scanned(layout)
        ends = np.random.default_rng(layout.seed).permutation(len(scan.fields)).tolist() if layout.order == "random" else None
        count = counted(scan, tolerance_um(layout.stage_error_um), ends)
        truth, final = scan.truth, count.final
        assert count.provisional == {} and count.frontier == len(scan.fields) - 1
        n_true, n_counted, n_raw = n_true + sum(truth.values()), n_counted + sum(final.values()), n_raw + scan.raw
        off = max(abs(final.get(label, 0) - truth.get(label, 0)) for label in {*truth, *final})
        worst.append(max(0, off - 1) * 200 / sum(truth.values()))
    return n_true, n_counted, n_raw, worst


def test_cells_are_counted_once() -> None:
    n_true, n_counted, n_raw, worst = _errors(LAYOUTS)
    assert n_raw > 1.2 * n_true, "nothing was to be merged"
    assert abs(n_counted - n_true) <= 0.005 * n_true
    assert max(worst) == 0, "a class is off by more than one cell"


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_cells_of_a_hundred_slides_are_counted_once() -> None:
    layouts = [
        Layout(
            seed=1000 + at, overlap=0.3 * (at % 10) / 9, stage_error_um=2.0 * (at // 10) / 9, order=("snake", "random")[at % 2]
        )
        for at in range(100)
    ]
    n_true, n_counted, _, worst = _errors(layouts)
    assert abs(n_counted - n_true) <= 0.005 * n_true
    assert max(worst) == 0


LAYOUT = st.builds(
    Layout,
    seed=st.integers(0, 10**6),
    overlap=st.floats(0, 0.3),
    stage_error_um=st.floats(0, 2),
    columns=st.integers(1, 5),
    rows=st.integers(1, 4),
    cells_per_field=st.floats(0, 5),
    lost=st.floats(0, 0.3),
    order=st.sampled_from(["snake", "random"]),
    revisits=st.integers(0, 5),
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(LAYOUT, st.sampled_from([None, 1, 4, 16]), st.randoms(use_true_random=False))
def test_any_layout_is_counted_once(layout: Layout, credit: int | None, chance: random.Random) -> None:
    """With every field announced ahead, the order in which fields end changes nothing; with credit they end as announced."""
    scan = scanned(layout)
    ends = list(range(len(scan.fields)))
    if credit is None:
        chance.shuffle(ends)
    count = counted(scan, tolerance_um(layout.stage_error_um), ends, credit)
    n_true, n_counted = sum(scan.truth.values()), sum(count.final.values())
    assert abs(n_counted - n_true) <= 1 + 0.005 * n_true
    assert count.provisional == {} and count.frontier == len(scan.fields) - 1


SMALL: Scan = scanned(Layout(seed=5, overlap=0.25, stage_error_um=1.0, columns=4, rows=3, cells_per_field=4))


@settings(max_examples=25)
@given(st.permutations(range(len(SMALL.fields))))
def test_the_order_of_the_ends_changes_nothing(ends: list[int]) -> None:
    assert counted(SMALL, 3.0, ends).final == counted(SMALL, 3.0).final


@settings(max_examples=25)
@given(st.permutations(range(len(SMALL.fields))), st.integers(1, 12))
def test_what_is_final_stays(ends: list[int], credit: int) -> None:
    """With fields announced as credit allows, final counts only grow, until they are all there is."""
    count, announced = SlideCount(3.0), 0
    before: dict[str, int] = {}
    ends = sorted(ends, key=lambda index: index // credit)
    for index in ends:
        while announced <= index:
            count.announce(announced, SMALL.fields[announced].area_um)
            announced += 1
        count.end(index, anew(SMALL.fields[index]))
        final = count.final
        assert all(final.get(label, 0) >= n for label, n in before.items())
        before = final
    assert count.provisional == {} and count.final == before


def _view(
    index: int, x_um: float, label: str = "lymphocyte", presence: float = 0.9, number: int = 0, cut: Sides = (False,) * 4
) -> View:  # type: ignore[assignment]
    return View(index, number, Seen((x_um - 6, 0, x_um + 6, 12), cut), label, presence)


AREA: Box = (-50, -40, 50, 40)


def test_the_best_whole_view_gives_the_label() -> None:
    count = SlideCount(3.0)
    for index in range(3):
        count.announce(index, AREA)
    count.end(0, [_view(0, 0, "monocyte", 0.99, cut=LEFT)])  # type: ignore[arg-type]
    count.end(1, [_view(1, 0, "lymphocyte", 0.5)])
    assert count.final == {} and count.provisional == {"lymphocyte": 1}
    ended = count.end(2, [_view(2, 1, "eosinophil", 0.7)])
    assert count.final == {"eosinophil": 1} and ended.final_fields == (0, 1, 2)
    assert {(one.field_index, one.of_field_index) for one in ended.merges} == {(2, 0), (2, 1)}


def test_a_revisit_behind_the_frontier_corrects_and_changes_nothing() -> None:
    count = SlideCount(3.0)
    count.announce(0, AREA)
    count.end(0, [_view(0, 0, "monocyte", 0.6)])
    assert count.final == {"monocyte": 1}
    count.announce(7, AREA)
    ended = count.end(7, [_view(7, 1, "lymphocyte", 0.9), _view(7, 30, "eosinophil", number=1)])
    (correction,) = ended.corrections
    assert (correction.field_index, correction.label, correction.would_be) == (0, "monocyte", "lymphocyte")
    assert count.final == {"monocyte": 1, "eosinophil": 1}
    count.announce(3, AREA)
    count.end(3, [_view(3, 29, "basophil", 0.3)])
    assert count.final == {"monocyte": 1, "eosinophil": 1}, "an index from before comes late"


def test_two_cells_of_one_field_stay_two() -> None:
    count = SlideCount(4.0)
    for index in range(2):
        count.announce(index, AREA)
    count.end(0, [_view(0, 0), _view(0, 5, number=1)])
    count.end(1, [_view(1, 2.4)])
    assert sum(count.final.values()) == 2


def test_fields_without_a_place_overlap_nothing() -> None:
    count = SlideCount(3.0)
    for index in range(2):
        count.announce(index, None)
    assert count.end(1, [_view(1, 0)]).final_fields == ()
    assert count.end(0, [_view(0, 0)]).final_fields == (0, 1)
    assert count.final == {"lymphocyte": 2}


def test_a_field_that_waits_holds_only_what_overlaps_it() -> None:
    count = SlideCount(3.0)
    count.announce(0, AREA)
    count.announce(1, (200, -40, 300, 40))
    count.announce(2, (20, -40, 120, 40))
    assert count.end(0, [_view(0, 40)]).final_fields == ()
    assert count.end(1, [_view(1, 250)]).final_fields == ()
    assert count.end(2, [_view(2, 41)]).final_fields == (0, 1, 2)
    assert count.final == {"lymphocyte": 2}


@pytest.mark.parametrize("twice", ["announce", "end"])
def test_a_field_is_announced_and_ends_once(twice: str) -> None:
    count = SlideCount(3.0)
    count.announce(0, None)
    if twice == "end":
        count.end(0)
    with pytest.raises(ValueError, match="field 0"):
        count.announce(0, None) if twice == "announce" else count.end(0)


def _compared(n_fields: int, monkeypatch: pytest.MonkeyPatch, columns: int = 100) -> tuple[int, int, int]:
    """Pairs that were compared for the first and the last tenth of the fields, and the peak of memory in bytes."""
    rng = np.random.default_rng(1)
    count, n_compared = SlideCount(3.0), 0

    def compare(a: Seen, b: Seen, limit_um: float) -> float | None:
        nonlocal n_compared
        n_compared += 1
        return apart_um(a, b, limit_um)

    monkeypatch.setattr(cell_registry, "apart_um", compare)
    marks = []
    tracemalloc.start()
    for index in range(n_fields):
        if index in {n_fields // 10, n_fields - n_fields // 10}:
            marks.append(n_compared)
        row, column = divmod(index, columns)
        x, y = column * 85.0, row * 67.0
        views = [
            View(index, at, Seen((cx - 6, cy - 6, cx + 6, cy + 6)), "lymphocyte", 0.9)
            for at, (cx, cy) in enumerate(rng.uniform((x, y), (x + 95, y + 74), (int(rng.poisson(2)), 2)).tolist())
        ]
        count.announce(index, (x, y, x + 95, y + 74))
        count.end(index, views)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return marks[0], n_compared - marks[1], peak


@pytest.mark.parametrize(
    "n_fields",
    [
        pytest.param(2_000, id="a slide"),
        pytest.param(100_000, id="the largest", marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
def test_a_field_of_a_large_slide_costs_what_the_first_did(n_fields: int, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last, peak = _compared(n_fields, monkeypatch)
    assert 0 < last < 1.5 * first + 20 and peak < 5e6 + 1500 * n_fields


def test_one_place_visited_for_ever_does_not_slow_down() -> None:
    count = SlideCount(3.0)
    for index in range(300):
        count.announce(index, AREA)
        count.end(index, [_view(index, 0), _view(index, 30, number=1)])
        assert len(count._registry._squares[0, 0]) <= 2, "a settled cell is one view"
    assert count.final == {"lymphocyte": 2}


def _provisional_anew(count: SlideCount) -> dict[str, int]:
    """As it is defined: all views of ended fields beyond the frontier, each cell once."""
    beyond = [view for _, found in count._ended.values() for view in found if view not in count._consumed]
    cells = {cell[0]: cell for cell in map(cell_of, beyond) if not cell[0].is_settled}
    return dict(Counter(min(cell, key=lambda view: view.rank).label for cell in cells.values()))


@settings(max_examples=25)
@given(
    st.permutations(range(len(SMALL.fields))), st.integers(1, 12), st.sets(st.integers(0, len(SMALL.fields) - 1), max_size=4)
)
def test_provisional_counts_are_kept_up_to_date(ends: list[int], credit: int, withdrawn: set[int]) -> None:
    count, announced = SlideCount(3.0), 0
    for index in sorted(ends, key=lambda index: index // credit):
        while announced <= index:
            count.announce(announced, SMALL.fields[announced].area_um)
            announced += 1
        count.end(index, anew(SMALL.fields[index]))
        if index in withdrawn:
            count.withdraw(index)
        assert count.provisional == _provisional_anew(count)


def test_a_field_that_was_imaged_anew_counts_no_more() -> None:
    count = SlideCount(3.0)
    for index, area in enumerate((AREA, AREA, (20, -40, 120, 40))):
        count.announce(index, area)
    count.end(0, [_view(0, 0), _view(0, 30, "smudge", number=1)])
    assert count.withdraw(0)
    assert count.provisional == {}
    count.end(1, [_view(1, 0)])
    count.end(2)
    assert count.final == {"lymphocyte": 1}
    assert not count.withdraw(1), "it is final"
    assert count.final == {"lymphocyte": 1}


def test_two_replaced_views_of_cells_that_hang_together_leave_one_count_each() -> None:
    """Both views of the field that goes hang together over the next field's: what is left was counted twice once."""
    count = SlideCount(3.0)
    for index in range(4):
        count.announce(index, AREA)
    count.end(0, [_view(0, 0), _view(0, 2.5, number=1)])
    count.end(1, [_view(1, 1)])
    count.end(2, [_view(2, 2)])
    count.withdraw(0)
    assert count.provisional == _provisional_anew(count)
