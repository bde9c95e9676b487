"""The um/px that single red cells show: right for every stain and camera, a sentence where there are too few of them."""

import queue
import threading
import time

import numpy as np
import pytest
from support.red_cell_fields import Smear, draw_smear

from edge.contracts.detections import Image
from edge.quality.red_cell_scale import ENOUGH_CELLS, USUAL_UM, RedCells, RedCellSizes
from edge.quality.red_cell_watch import AT_MOST_FIELDS, RedCellWatch
from edge.quality.red_cells import RoundThings, find_red_cells

WITHIN = 0.05
TRUE_UM_PER_PX = 0.13
WRONG = (0.5, 0.8, 1.25, 2.0)


def _measured(fields: list[Image]) -> RedCells | str:
    sizes = RedCellSizes()
    for field in fields:
        sizes.add(find_red_cells(field).diameters_px, field.shape[0] * field.shape[1])
    return sizes.found()


def _fields(what: Smear, n: int = 5) -> list[Image]:
    return [draw_smear(what, seed) for seed in range(n)]


@pytest.mark.parametrize(
    "smear",
    [
        pytest.param(Smear(), id="ordinary"),
        pytest.param(Smear(diameter_px=110, cells=12), id="high power"),
        pytest.param(Smear(diameter_px=24, cells=120), id="low power"),
        pytest.param(Smear(diameter_px=60, cells=200, width_px=2448, height_px=2048), id="a large camera"),
        pytest.param(Smear(middle=0.05), id="rings: the middle is as pale as the slide"),
        pytest.param(Smear(cell=(215, 208, 222), noise=1), id="pale"),
        pytest.param(Smear(cell=(60, 40, 110), slide=(250, 250, 250)), id="dark on white"),
        pytest.param(Smear(cell=(190, 150, 120)), id="blue"),
        pytest.param(Smear(slide=(120, 200, 215), cell=(70, 110, 160)), id="yellow light"),
        pytest.param(Smear(cell=(150, 150, 150), slide=(220, 220, 220)), id="grey"),
        pytest.param(Smear(vignette=0.6), id="vignette"),
        pytest.param(Smear(noise=14), id="noise"),
        pytest.param(Smear(blur_px=5), id="out of focus"),
        pytest.param(Smear(leukocytes=3, platelets=30), id="among leukocytes and platelets"),
        pytest.param(Smear(apart=0.8, cells=60), id="many touch"),
    ],
)
def test_the_diameter_is_right(smear: Smear) -> None:
    found = _measured(_fields(smear, 5 if smear.cells > 20 else 12))
    assert isinstance(found, RedCells), found
    assert found.diameter_px == pytest.approx(smear.diameter_px, rel=WITHIN)
    right = USUAL_UM / smear.diameter_px
    assert not found.contradicts(right)
    assert not found.contradicts(1.06 * right)
    assert all(found.contradicts(wrong * right) for wrong in WRONG)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(_fields(Smear(cells=0, platelets=0)), id="an empty slide"),
        pytest.param(_fields(Smear(cells=0, platelets=25)), id="platelets alone"),
        pytest.param(_fields(Smear(cells=3)), id="hardly any"),
        pytest.param(_fields(Smear(cells=300, apart=0.35)), id="in heaps"),
        pytest.param([np.full((574, 732, 3), value, np.uint8) for value in (0, 128, 255)], id="uniform"),
        pytest.param([np.random.default_rng(1).integers(0, 255, (574, 732, 3), np.uint8)] * 3, id="noise alone"),
        pytest.param([draw_smear(Smear())[:20, :20]] * 60, id="scraps"),
        pytest.param([], id="no field"),
    ],
)
def test_without_enough_red_cells_there_is_a_sentence(fields: list[Image]) -> None:
    found = _measured(fields)
    assert isinstance(found, str), found
    assert "red cells" in found


def test_the_limits_hold_what_it_may_be() -> None:
    found = RedCells(100, 5, 55.0, 1.0)
    least, most = found.limits_um_per_px
    assert least < found.um_per_px < most
    assert (least, most) == (pytest.approx(6.7 / 56), pytest.approx(7.7 / 54))
    assert "29 % too large" in found.sentence(1.29 * USUAL_UM / 55)
    assert "20 % too small" in found.sentence(0.8 * USUAL_UM / 55)


@pytest.mark.parametrize(("um_per_px", "is_said"), [(TRUE_UM_PER_PX, False), (1.3 * TRUE_UM_PER_PX, True)])
def test_a_run_is_told_once(um_per_px: float, is_said: bool) -> None:
    watch = RedCellWatch(um_per_px)
    for field in _fields(Smear(), 4):
        watch.offer(field)
    first = watch.contradiction(is_last=True)
    assert bool(first) == is_said
    assert watch.judged == first
    assert watch.contradiction(is_last=True) == ""


def test_a_slide_without_cells_costs_a_run_no_more_than_its_first_fields() -> None:
    watch, blank = RedCellWatch(TRUE_UM_PER_PX), np.full((60, 80, 3), 230, np.uint8)
    for _ in range(AT_MOST_FIELDS * 50):
        watch.offer(blank)
        watch.contradiction()
    assert watch.contradiction(is_last=True) == ""
    assert watch.n_taken <= AT_MOST_FIELDS


def test_nothing_is_measured_before_the_cells_of_a_field_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first field of a run has the cores for itself."""
    measured: list[Image] = []

    def measure(image: Image) -> RoundThings:
        measured.append(image)
        return find_red_cells(image)

    monkeypatch.setattr("edge.quality.red_cell_watch.find_red_cells", measure)
    watch, before = RedCellWatch(TRUE_UM_PER_PX), set(threading.enumerate())
    for field in _fields(Smear(), 2):
        watch.offer(field)
    assert not measured and set(threading.enumerate()) <= before, "nobody is there to measure"
    assert watch.contradiction(is_last=True) == "" and len(measured) == 2


def test_the_next_is_measured_behind_a_field_and_not_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scanner's fields leave the engine idle between them; measured at any time it took a core from every tenth field."""
    begun: queue.Queue[Image] = queue.Queue()

    def measure(image: Image) -> RoundThings:
        begun.put(image)
        return find_red_cells(image)

    monkeypatch.setattr("edge.quality.red_cell_watch.find_red_cells", measure)
    monkeypatch.setattr("edge.quality.red_cell_watch._REST", 0)
    watch = RedCellWatch(TRUE_UM_PER_PX)
    for _ in range(2):
        watch.offer(np.full((60, 80, 3), 230, np.uint8))
    watch.contradiction()
    begun.get(timeout=20)
    while not watch._waits_for_gap:
        time.sleep(0.001)
    assert begun.empty(), "no field has ended since"
    watch.contradiction()
    begun.get(timeout=20)
    watch.close()


def test_a_measurement_that_crashes_does_not_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: Image) -> None:
        raise ValueError("scripted")

    monkeypatch.setattr("edge.quality.red_cell_watch.find_red_cells", crash)
    watch = RedCellWatch(TRUE_UM_PER_PX)
    watch.offer(draw_smear(Smear()))
    assert watch.contradiction(is_last=True) == ""


def test_a_few_cells_are_no_evidence() -> None:
    sizes = RedCellSizes()
    sizes.add(np.full(ENOUGH_CELLS - 1, 30.0), 1e6)
    assert isinstance(sizes.found(), str)
    sizes.add(np.full(10, 30.0), 1e6)
    assert isinstance(sizes.found(), RedCells)
