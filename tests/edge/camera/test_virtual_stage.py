"""The virtual camera under a stage: what a trigger's position shows, again and from beside."""

import re
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.camera.frame import Frame, Trigger
from edge.camera.virtual import VirtualCamera, VirtualOptions
from edge.contracts.errors import FrameError
from edge.virtual import UM_PER_PX

STILL = "seed=6,wbc=4,mix=even,stain=0,variants=1,trigger=software,noise=0,blur=0,defocus=0,width=240,height=200"
NM_PER_PX = 130
_names = count()


@pytest.fixture(scope="module")
def camera() -> VirtualCamera:
    return VirtualCamera(STILL)


def exposed(camera: VirtualCamera, stage_nm: tuple[int, int] | None, field_index: int = 0) -> Frame:
    camera.expect(Trigger(f"t-{next(_names)}", field_index, stage_nm))
    return camera.read(1.0)


def image_of(frame: Frame) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    assert frame.image is not None, frame.detail
    return frame.image


PLACES = [
    pytest.param((0, 0), id="the origin, which is false in Python and a place all the same"),
    pytest.param((12_500_000, -3_000_000), id="on the slide, between pixels"),
    pytest.param((-1, 1), id="a nanometre off"),
    pytest.param((25_000_000, 75_000_000), id="at the other end of a real slide"),
    pytest.param((-(10**12), 10**12), id="as far as there is a slide"),
]


@pytest.mark.parametrize("stage_nm", PLACES)
def test_a_frame_is_of_the_place_that_was_announced(camera: VirtualCamera, stage_nm: tuple[int, int]) -> None:
    frame = exposed(camera, stage_nm, 7)
    truth = camera.truth_at(stage_nm, 7)
    assert frame.status == "ok" and frame.stage_nm == stage_nm, "not moved to a whole pixel: it is what the scanner said"
    assert np.array_equal(image_of(frame), truth.image)
    assert abs(truth.stage_um[0] * 1000 - stage_nm[0]) <= NM_PER_PX / 2 + 1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(-(10**8), 10**8),
    st.integers(-(10**8), 10**8),
    st.integers(-200, 200),
    st.integers(-160, 160),
)
def test_any_two_overlapping_exposures_agree_on_what_they_share(
    camera: VirtualCamera, x_nm: int, y_nm: int, dx_px: int, dy_px: int
) -> None:
    there = (x_nm + dx_px * NM_PER_PX, y_nm + dy_px * NM_PER_PX)
    first, second = camera.truth_at((x_nm, y_nm), 1), camera.truth_at(there, 2)
    # By whole pixels: where a position falls just between two, the two may be rounded apart by one.
    moved_px = np.rint(np.subtract(second.stage_um, first.stage_um) / UM_PER_PX)
    assert np.abs(moved_px - (dx_px, dy_px)).max() <= 1
    boxes = dict(zip(first.keys.tolist(), first.boxes_px, strict=True))
    for key, box, seen in zip(second.keys.tolist(), second.boxes_px, second.visible_fraction, strict=True):
        if key in boxes and seen == 1.0 and first.visible_fraction[first.keys == key] == 1.0:
            assert np.array_equal(boxes[key] - box, [*moved_px, *moved_px])
    x, y = (int(step) for step in moved_px)
    height, width = first.image.shape[:2]
    rows, columns = slice(max(y, 0), height + min(y, 0)), slice(max(x, 0), width + min(x, 0))
    again = second.image[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    # Not to the grey level: the light falls off towards the corners of the camera, not of the slide.
    assert np.corrcoef(first.image[rows, columns].ravel(), again.ravel())[0, 1] > 0.9


def test_a_place_that_is_visited_again_has_the_same_cells(camera: VirtualCamera) -> None:
    stage_nm = (40_000, 90_000)
    first = camera.truth_at(stage_nm, 3)
    for elsewhere in ((500_000, 0), (0, -500_000)):
        exposed(camera, elsewhere)
    again = camera.truth_at(stage_nm, 900)
    assert len(first.keys) and np.array_equal(first.keys, again.keys)
    assert np.array_equal(first.boxes_px, again.boxes_px) and np.array_equal(first.centres_um, again.centres_um)
    assert np.array_equal(image_of(exposed(camera, stage_nm, 5)), first.image)


def test_a_height_is_out_of_focus(camera: VirtualCamera) -> None:
    sharp, blurred = camera.truth_at((0, 0), 3, 0), camera.truth_at((0, 0), 3, -2_000)
    assert sharp.image.std() > blurred.image.std() and np.array_equal(sharp.boxes_px, blurred.boxes_px)
    camera.expect(Trigger("t-high", 3, (0, 0), z_nm=-2_000))
    frame = camera.read(1.0)
    assert np.array_equal(image_of(frame), blurred.image) and frame.z_nm == -2_000


def test_without_a_position_the_meander_is_exposed_as_ever(camera: VirtualCamera) -> None:
    for index in (0, 7, 39):
        frame = exposed(camera, None, index)
        truth = camera.truth(index)
        assert np.array_equal(image_of(frame), truth.image)
        assert frame.stage_nm == (round(truth.stage_um[0] * 1000), round(truth.stage_um[1] * 1000))


@pytest.mark.parametrize(
    ("stage_nm", "index", "says"),
    [
        pytest.param(None, 40, "fields 0 to 39 and field 40 was triggered without a stage position", id="past the meander"),
        pytest.param((10**12 + 1, 0), 3, "more than a kilometre from the origin", id="off any slide"),
        pytest.param((0, -(2**63)), 3, "more than a kilometre from the origin", id="the most negative number of the wire"),
    ],
)
def test_what_cannot_be_exposed_is_one_failed_field(
    camera: VirtualCamera, stage_nm: tuple[int, int] | None, index: int, says: str
) -> None:
    frame = exposed(camera, stage_nm, index)
    assert (frame.status, frame.image, frame.field_index, frame.stage_nm) == ("failed", None, index, stage_nm)
    assert says in frame.detail
    assert exposed(camera, (0, 0), index + 1).status == "ok", "the run goes on"


def test_the_slide_has_no_last_field_for_who_says_where_the_stage_is(camera: VirtualCamera) -> None:
    assert exposed(camera, (1_000_000, 0), 10_000).status == "ok"
    assert camera.info.n_fields is None, "run_start promises no number of fields"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("fail_every=1", id="failed"),
        pytest.param("lose_every=1", id="lost"),
        pytest.param("damage_every=1", id="incomplete"),
    ],
)
def test_a_fault_keeps_the_position(fault: str) -> None:
    frame = exposed(VirtualCamera(f"{STILL},{fault}"), (5, -5))
    assert frame.status != "ok" and frame.stage_nm == (5, -5)


def test_the_page_lists_every_option_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cameras.md").read_text(encoding="utf-8")
    table = page.split("## The virtual slide")[1].split("\n## ")[0]
    listed: dict[str, str] = {}
    for names, defaults in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]*) \|", table, re.MULTILINE):
        found = re.findall(r"\w+", names)
        values = re.findall(r"[\w.]+", defaults)
        listed |= dict(zip(found, values * len(found) if len(values) == 1 else values, strict=True))
    known = {name: option.default for name, option in VirtualOptions.model_fields.items()}
    assert listed == {name: value if isinstance(value, str) else f"{value:g}" for name, value in known.items()}


def test_truth_is_told_for_the_camera_alone() -> None:
    with pytest.raises(FrameError, match="nanometres"):
        VirtualCamera(STILL).truth_at((10**13, 0))
