"""Pictures against the places that a stage states: what lies is found, and an ordinary slide is never called a lie."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stated_scan import SIZE, Photographer, Place, dusty, exposed_again, judged, places_of

from edge.contracts.detections import Image
from edge.contracts.stage_geometry import StageGeometry
from edge.quality.position_check import MOST_NAMED
from edge.virtual import UM_PER_PX

pytestmark = pytest.mark.timeout(300)
DATA = os.environ.get("LEUKO_DATA", "")
COLUMNS, ROWS = 6, 6


def codes(*arguments: object) -> list[str]:
    return [note.code for note in judged(*arguments)]  # type: ignore[arg-type] # passed on


@pytest.fixture(scope="module")
def places() -> list[Place]:
    """A snake whose fields overlap by 15 %."""
    return places_of(COLUMNS, ROWS, 0.15)


@pytest.fixture(scope="module")
def pictures(places: list[Place]) -> list[Image]:
    """Of an ordinary slide, as the stage says it."""
    return list(Photographer.of(4, stage_um=0.5).pictures(places))


@pytest.fixture(scope="module")
def pictures_apart(places: list[Place]) -> list[Image]:
    """Of the same slide, where no field overlaps another."""
    return list(Photographer.of(4, stage_um=0.5).pictures(apart(places)))


@pytest.fixture(scope="module")
def empty() -> list[Image]:
    """Fields in which nothing lies."""
    return list(Photographer.of(5, rbc=0.0, wbc=0.0).pictures(places_of(3, 2, 0.15)))


def apart(places: list[Place]) -> list[Place]:
    """The same order, and no field overlaps another."""
    return [(2 * x, 2 * y) for x, y in places]


ORDINARY = st.tuples(
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.12, 0.15, 0.3]),
    st.sampled_from(["snake", "rows", "random"]),
    st.sampled_from([(90.0, 0.3), (150.0, 0.1), (30.0, 1.0), (4.0, 0.1), (0.0, 0.3), (200.0, 2.0)]),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.booleans(),
)


def check_ordinary(drawn: tuple[int, float, str, tuple[float, float], float, bool], columns: int) -> None:
    seed, overlap, order, (rbc, wbc), stage_um, dust = drawn
    said_places = places_of(columns, columns, overlap, order, seed)
    shown = list(Photographer.of(seed, rbc=rbc, wbc=wbc, stage_um=stage_um).pictures(said_places))
    geometry = StageGeometry(um_per_px=((UM_PER_PX, 0.0), (0.0, UM_PER_PX)), sigma_um=stage_um / 2)
    assert codes([dusty(one) for one in shown] if dust else shown, said_places, geometry) == []


@settings(max_examples=2, deadline=None)
@given(ORDINARY)
def test_an_ordinary_slide_is_never_doubted(drawn: tuple[int, float, str, tuple[float, float], float, bool]) -> None:
    check_ordinary(drawn, 4)


@pytest.mark.soak
@settings(max_examples=60, deadline=None)
@given(ORDINARY)
def test_sixty_ordinary_slides_are_never_doubted(drawn: tuple[int, float, str, tuple[float, float], float, bool]) -> None:
    check_ordinary(drawn, 7)


@pytest.mark.parametrize("dust", [False, True], ids=["a clean camera", "dust and a scale bar"])
@pytest.mark.parametrize("overlap", [False, True], ids=["fields apart", "fields that overlap"])
def test_a_stage_that_stays_where_it_was_is_found_at_each_field(
    places: list[Place], pictures: list[Image], pictures_apart: list[Image], overlap: bool, dust: bool
) -> None:
    taken = pictures if overlap else pictures_apart
    shown = [exposed_again(taken[at - 1], at) if at in {9, 17} else one for at, one in enumerate(taken)]
    said = judged([dusty(one) for one in shown] if dust else shown, places if overlap else apart(places))
    assert [(note.code, note.field_index) for note in said] == [("same_picture", 9), ("same_picture", 17)]
    assert "same picture as field 8" in said[0].message and said[0].doubt and not said[1].doubt


@pytest.mark.parametrize("odd", [0, 5], ids=["the first", "one in between"])
def test_a_picture_of_another_size_is_no_hindrance(places: list[Place], pictures: list[Image], odd: int) -> None:
    shown = [exposed_again(pictures[at - 1], at) if at == 17 else one for at, one in enumerate(pictures)]
    shown[odd] = np.ascontiguousarray(shown[odd][:300, :400])
    assert [(note.code, note.field_index) for note in judged(shown, places)] == [("same_picture", 17)]


def test_places_are_judged_again_once_all_pictures_have_another_size(places: list[Place], pictures: list[Image]) -> None:
    """A camera whose binning changes in the midst of a run."""
    cut = [np.ascontiguousarray(one[:500, :700]) for one in pictures[4:]]
    cut[16] = exposed_again(cut[15], 1)
    assert [(note.code, note.field_index) for note in judged([*pictures[:4], *cut], places)] == [("same_picture", 20)]


def test_a_stage_that_never_moves_is_found_and_not_said_without_end(pictures: list[Image]) -> None:
    same = [exposed_again(pictures[0], at % 4) for at in range(4)] * 20
    said = judged(same, [(5000.0 + 90 * at, 0.0) for at in range(len(same))])
    assert [note.field_index for note in said] == list(range(3, 3 + MOST_NAMED)), "no more than a person would read"
    assert said[0].doubt and not any(note.doubt for note in said[1:]) and "not named" in said[-1].message


@pytest.mark.parametrize("dust", [False, True], ids=["a clean camera", "dust and a scale bar"])
@pytest.mark.parametrize("stuck", [False, True], ids=["it moves", "it does not, and nobody can know"])
def test_empty_fields_are_alike_and_nothing_is_said(places: list[Place], empty: list[Image], dust: bool, stuck: bool) -> None:
    shown = [exposed_again(empty[0 if stuck else at % len(empty)], at) for at in range(len(places))]
    assert codes([dusty(one) for one in shown] if dust else shown, places) == []


def test_empty_fields_among_full_ones_are_not_taken_for_each_other(
    places: list[Place], pictures_apart: list[Image], empty: list[Image]
) -> None:
    """A scan that leaves the smear and comes back: two empty fields in a row."""
    shown = [empty[at % len(empty)] if at in {8, 9, 10, 15, 16} else one for at, one in enumerate(pictures_apart)]
    assert codes([dusty(one) for one in shown], apart(places)) == []


def test_pictures_that_are_each_their_neighbour_s_are_found(places: list[Place], pictures: list[Image]) -> None:
    """The first exposure was lost before anybody counted: each picture is that of the next field."""
    said = judged(pictures[1:], places[:-1])
    assert [note.code for note in said] == ["pictures_shifted"]
    assert "the next field each" in said[0].message and said[0].doubt == said[0].message


def test_one_exposure_too_many_shifts_them_the_other_way(places: list[Place], pictures: list[Image]) -> None:
    said = judged([pictures[0], *pictures[:-1]], places)
    assert [note.code for note in said if note.code != "same_picture"] == ["pictures_shifted"]
    assert "the former field each" in said[-1].message


def test_shifted_pictures_of_a_scan_without_lines_are_found() -> None:
    """Where neighbours in time are none on the slide."""
    at = places_of(5, 5, 0.3, "random", seed=1)
    said = judged(list(Photographer.of(4).pictures(at[1:])), at[:-1])
    assert [note.code for note in said] == ["pictures_shifted"]


def test_places_that_are_wrong_altogether_are_found(places: list[Place], pictures: list[Image]) -> None:
    """A camera whose picture is mirrored over its stage, which no profile says."""
    said = judged(pictures, [(-x, y) for x, y in places])
    assert [note.code for note in said] == ["overlap_misfit"] and "leuko-calib stage" in said[0].doubt


@pytest.mark.parametrize("factor", [10, 1000], ids=["ten times", "micrometres taken for nanometres"])
def test_places_too_far_apart_are_found_by_what_both_pictures_show(
    places: list[Place], pictures: list[Image], factor: int
) -> None:
    said = judged(pictures, [(factor * x, factor * y) for x, y in places])
    assert [note.code for note in said] == ["overlap_misfit"] and said[0].doubt == said[0].message
    assert "the same cells show in both pictures" in said[0].message


def test_a_retake_at_its_own_place_and_fields_without_a_place_are_no_lie(places: list[Place], pictures: list[Image]) -> None:
    shown, at = [*pictures[:10], exposed_again(pictures[9], 99), *pictures[10:]], [*places[:10], places[9], *places[10:]]
    assert codes(shown, at) == []
    assert set(codes([exposed_again(pictures[0], k) for k in range(20)], [None] * 20)) == {"picture_again"}, "nothing of places"


TAKEN_TWICE = {"E-11_0425.jpg", "N-1B_0254.jpg", "BloodImage_00038.jpg"}
"""Pictures of these collections that do show the place of the one before, as everybody can see."""


@pytest.mark.skipif(not DATA, reason="LEUKO_DATA is not set: real fields are not here")
@pytest.mark.parametrize(
    ("folder", "pattern"), [("chula_wbc", "**/*.jpg"), ("rbc_fields", "**/*.[jp][pn]g"), ("bccd", "**/*.jpg")]
)
def test_of_real_fields_those_are_found_that_were_taken_twice_and_no_others(folder: str, pattern: str) -> None:
    files = [(file.name, cv2.imread(str(file))) for file in sorted(Path(DATA, folder).glob(pattern))]
    sizes = [image.shape for _, image in files if image is not None]
    most = max(set(sizes), key=sizes.count)
    files = [(name, image) for name, image in files if image is not None and image.shape == most]
    said = judged(
        [image for _, image in files if image is not None], [(1000.0 + 200.0 * at, 1000.0) for at in range(len(files))]
    )
    found = {files[note.field_index][0] for note in said if note.code == "same_picture" and note.field_index is not None}
    assert found == TAKEN_TWICE & {name for name, _ in files}
    others = [note.code for note in said if note.code != "same_picture"]
    assert others == ["overlap_misfit"] * (folder == "chula_wbc"), "neighbours of one collection were taken with overlap"


@pytest.mark.skipif(not DATA, reason="LEUKO_DATA is not set: real fields are not here")
def test_copies_of_real_fields_are_found_with_the_noise_of_another_exposure() -> None:
    fields = [cv2.imread(str(file)) for file in sorted(Path(DATA, "chula_wbc").glob("**/*.jpg"))[:40]]
    noise = np.random.default_rng(0).normal(0, 2, SIZE[::-1])[..., None]
    pictures = []
    for image in fields:
        assert image is not None
        picture = np.asarray(image[: SIZE[1], : SIZE[0]], np.uint8)
        pictures += [picture, np.asarray(np.clip(picture + noise, 0, 255), np.uint8)]
    said = judged(pictures, [(900.0 + 100.0 * at, 0.0) for at in range(len(pictures))])
    assert all(note.code == "same_picture" and note.field_index is not None and note.field_index % 2 for note in said)
    assert len(said) > 0.9 * len(fields)
