"""Where boxes lie on the stage, and what the count across fields is told of fields, lost ones and retakes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contracts.records import Detection, SlideSums
from edge.contracts.stage_geometry import MeasuredStage, StageGeometry
from edge.counting.slide_account import FieldEnd, SlideAccount

pytestmark = pytest.mark.timeout(30)
UM = 0.13
SIZE = (732, 574)


def turned(degrees: float, mirrored: bool = False) -> StageGeometry:
    c, s = UM * math.cos(math.radians(degrees)), UM * math.sin(math.radians(degrees))
    return StageGeometry(um_per_px=((c, s), (s, -c)) if mirrored else ((c, -s), (s, c)))


def cell(x_px: float, y_px: float, label: str = "lymphocyte", side_px: float = 90) -> Detection:
    half = side_px / 2
    return Detection(
        label=label,
        best_class=label,
        is_wbc=True,
        score=0.9,
        presence=0.9,
        margin=0.8,
        box_px=(x_px - half, y_px - half, x_px + half, y_px + half),
        size_um=(side_px * UM, side_px * UM),
    )


class Scan:
    """Fields announced and ended by hand."""

    def __init__(self, geometry: StageGeometry) -> None:
        self.news: list[tuple[int, tuple[int, int] | None]] = []
        self.account = SlideAccount(geometry, *SIZE)

    def ended(
        self,
        index: int,
        stage_nm: tuple[int, int] | None,
        found: list[Detection],
        size_px: tuple[int, int] = SIZE,
        replaces_index: int | None = None,
    ) -> SlideSums | None:
        self.account.announce(self.news)
        self.news = []
        return self.account.ended(FieldEnd(index, stage_nm, found, size_px, 0, replaces_index))


@pytest.mark.parametrize("geometry", [StageGeometry.upright(UM), turned(3), turned(90), turned(-178), turned(5, mirrored=True)])
def test_one_cell_in_two_fields_is_one_however_the_camera_is_turned(geometry: StageGeometry) -> None:
    scan = Scan(geometry)
    # The second field is taken where the first shows (200, 80) px from its centre: what was there is in its middle.
    second = geometry.on_stage_nm((5_000_000, -7_000_000), (200, 80))
    scan.news = [(0, (5_000_000, -7_000_000)), (1, second)]
    scan.ended(0, (5_000_000, -7_000_000), [cell(566, 367), cell(120, 300, "monocyte")], SIZE)
    sums = scan.ended(1, second, [cell(366, 287, "eosinophil"), cell(500, 100)], SIZE)
    assert sums is not None and [(one.detection, one.of_detection) for one in sums.same_cells] == [(0, 0)]
    assert sums.same_cells[0].distance_um < 0.1
    assert (sums.final_until, sums.announced_until, sums.final_wbc, sums.provisional) == (1, 1, 3, {})


@given(
    st.floats(-180, 180),
    st.booleans(),
    st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9)),
    st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000)),
)
def test_a_position_is_seen_from_the_camera_as_far_as_it_is(
    degrees: float, mirrored: bool, stage_nm: tuple[int, int], from_centre_px: tuple[float, float]
) -> None:
    geometry = turned(degrees, mirrored)
    there = geometry.on_stage_nm(stage_nm, from_centre_px)
    here_um, there_um = geometry.seen_from_camera_um(stage_nm), geometry.seen_from_camera_um(there)
    moved_px = tuple((b - a) / geometry.pixel_um for a, b in zip(here_um, there_um, strict=True))
    assert moved_px == pytest.approx(from_centre_px, abs=0.05)


def test_without_a_position_there_is_no_count_across_fields() -> None:
    scan = Scan(StageGeometry.upright(UM))
    scan.news = [(0, None), (1, None)]
    assert scan.ended(0, None, [cell(300, 300)], SIZE) is None
    assert scan.ended(1, None, [cell(300, 300)], SIZE) is None
    assert scan.account.result() is None


def test_a_lost_field_holds_nothing_up() -> None:
    scan = Scan(StageGeometry.upright(UM))
    scan.news = [(index, (index * 80_000, 0)) for index in range(3)]
    for index in range(3):
        found = [] if index == 1 else [cell(366, 287)]
        sums = scan.ended(index, (index * 80_000, 0), found, (0, 0) if index == 1 else SIZE)
    assert sums is not None and sums.final == {"lymphocyte": 2} and sums.final_until == 2


@pytest.mark.parametrize(
    ("is_final", "counted"),
    [
        pytest.param(False, {"lymphocyte": 1}, id="before it is final, what was wrong in it goes"),
        pytest.param(True, {"lymphocyte": 1, "smudge": 1}, id="afterwards it stays, and that is said"),
    ],
)
def test_a_retake(is_final: bool, counted: dict[str, int]) -> None:
    scan = Scan(StageGeometry.upright(UM))
    retake, neighbour = (1, (0, 0)), (2, (60_000, 0))
    scan.news = [(0, (0, 0))] if is_final else [(0, (0, 0)), retake, neighbour]
    scan.ended(0, (0, 0), [cell(366, 287), cell(150, 400, "smudge")], SIZE)
    if is_final:
        scan.news = [retake, neighbour]
    scan.ended(1, (0, 0), [cell(366, 287)], SIZE, replaces_index=0)
    sums = scan.ended(2, (60_000, 0), [], SIZE)
    assert sums is not None and sums.final == counted
    assert [said.what for said in scan.account.said()] == (["kept"] if is_final else [])
    result = scan.account.result()
    assert result is not None and result.cells == counted


def test_what_comes_behind_the_frontier_is_said() -> None:
    scan = Scan(StageGeometry.upright(UM))
    scan.news = [(0, (0, 0))]
    # Cut by the left border, so the second field, which shows the whole of it, knows it better.
    scan.ended(0, (0, 0), [cell(30, 287, "monocyte")], SIZE)
    scan.news = [(1, (-20_000, 0))]
    sums = scan.ended(1, (-20_000, 0), [cell(30 + 20_000 / 130, 287, "lymphocyte")], SIZE)
    assert sums is not None and sums.final == {"monocyte": 1}
    assert "final as monocyte would now be called lymphocyte" in scan.account.said()[0].message


def test_a_measured_stage_turns_the_fields_and_sets_the_tolerance() -> None:
    (a, b), (c, d) = turned(7).um_per_px
    stage = MeasuredStage.model_construct(um_per_px=((2 * a, 2 * b), (2 * c, 2 * d)), sigma_um=(0.5, 1.5))
    geometry = StageGeometry.of(stage, UM)
    assert geometry.um_per_px == (pytest.approx((a, b)), pytest.approx((c, d))) and geometry.pixel_um == pytest.approx(UM)
    assert geometry.tolerance_um == pytest.approx(6.364, abs=0.001)
    assert StageGeometry.of(None, UM) == StageGeometry.upright(UM)


def test_the_tolerance_follows_the_stage() -> None:
    assert StageGeometry.upright(UM).tolerance_um == 3.0
    assert StageGeometry(um_per_px=((UM, 0), (0, UM)), sigma_um=1.0).tolerance_um == pytest.approx(4.243, abs=0.001)


def test_a_field_without_a_position_of_its_own_lies_where_it_was_announced() -> None:
    """Else all such fields would lie over each other, and their cells be one."""
    scan = Scan(StageGeometry.upright(UM))
    scan.news = [(index, (index * 200_000, 0)) for index in range(3)]
    for index in range(3):
        sums = scan.ended(index, None, [cell(366, 287)])
    assert sums is not None and sums.final == {"lymphocyte": 3}
