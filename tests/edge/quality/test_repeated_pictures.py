"""Without a stage's places: pictures that come twice are found, whatever copied them, and other fields never."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.folder_run import doubts_of, messages_of, records_over
from support.stated_scan import Photographer, dusty, exposed_again, judged, places_of
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.contracts.detections import Image
from edge.quality.repeated_pictures import MOST_NAMED, REMEMBERED, RepeatedPictures

pytestmark = pytest.mark.timeout(120)

Copy = Callable[[Image, int], Image]


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    """Twelve fields apart from each other."""
    return list(Photographer.of(4).pictures(places_of(4, 3, -0.2)))


@pytest.fixture(scope="module")
def empty() -> list[Image]:
    """Fields in which nothing lies."""
    return list(Photographer.of(5, rbc=0.0, wbc=0.0).pictures(places_of(3, 2, 0.15)))


def again(shown: list[Image]) -> list[int | None]:
    said = judged(shown, [None] * len(shown))
    assert {note.code for note in said} <= {"picture_again"}
    assert [bool(note.doubt) for note in said] == [number == 0 for number in range(len(said))], "the result is doubted once"
    return [note.field_index for note in said]


def as_jpeg(image: Image, _: int) -> Image:
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def brighter(image: Image, _: int) -> Image:
    return np.asarray((image * 1.03).clip(0, 255), np.uint8)


@pytest.mark.parametrize("dust", [False, True], ids=["a clean camera", "dust and a scale bar"])
@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(lambda image, _: image, id="the same file"),
        pytest.param(as_jpeg, id="exported in another format, too"),
        pytest.param(exposed_again, id="a stage that rests"),
        pytest.param(brighter, id="under a lamp that warms up"),
    ],
)
def test_a_picture_behind_its_copy_is_found(pictures: list[Image], copied: Copy, dust: bool) -> None:
    fields = [dusty(one) for one in pictures] if dust else pictures
    shown = [*fields[:5], copied(fields[4], 1), copied(fields[4], 2), *fields[5:9], copied(fields[8], 3)]
    assert again(shown) == [5, 6, 11]


@pytest.mark.parametrize(
    ("width", "height"),
    [
        pytest.param(360, 300, id="39 um high"),
        pytest.param(230, 270, id="30 um wide"),
        pytest.param(732, 574, id="a whole field"),
    ],
)
@pytest.mark.parametrize(
    "copied",
    [pytest.param(as_jpeg, id="exported in another format, too"), pytest.param(exposed_again, id="a stage that rests")],
)
def test_small_fields_are_known_again_too(pictures: list[Image], copied: Copy, width: int, height: int) -> None:
    fields = [np.ascontiguousarray(one[120 : 120 + height, 120 : 120 + width]) for one in pictures]
    fields = [one if one.size else pictures[at] for at, one in enumerate(fields)]
    assert again([*fields[:5], copied(fields[4], 1), *fields[5:], copied(fields[-1], 3)]) == [5, 13]


def test_a_first_picture_of_another_size_is_no_hindrance(pictures: list[Image]) -> None:
    fields = [np.ascontiguousarray(pictures[0][:200, :300]), *pictures[1:5], exposed_again(pictures[4], 1)]
    assert again(fields) == [5]


def test_a_copy_of_the_whole_folder_is_found_at_each_picture(pictures: list[Image]) -> None:
    assert again(pictures + pictures) == list(range(12, 24))


@pytest.mark.parametrize("dust", [False, True], ids=["a clean camera", "dust and a scale bar"])
@pytest.mark.parametrize("which", ["full", "empty", "in turns"])
def test_fields_of_one_slide_are_not_taken_for_each_other(
    pictures: list[Image], empty: list[Image], which: str, dust: bool
) -> None:
    noisy = [exposed_again(empty[at % len(empty)], at) for at in range(12)]
    shown = {
        "full": pictures,
        "empty": noisy,
        "in turns": [each for pair in zip(pictures, noisy, strict=True) for each in pair],
    }[which]
    assert again([dusty(one) for one in shown] if dust else shown) == []


def test_pictures_without_anything_on_them_say_nothing() -> None:
    assert again([np.full((574, 732, 3), 255, np.uint8)] * 6) == [], "overexposed"
    assert again([blob_field([("lymphocyte", 40, 48)], width_px=732, height_px=574)] * 6) == [], "drawn with two colours"


def test_no_more_is_said_than_a_person_would_read(pictures: list[Image]) -> None:
    said = judged([pictures[0]] * 80, [None] * 80)
    assert [note.field_index for note in said] == list(range(1, 1 + MOST_NAMED)) and "not named" in said[-1].message


def test_a_field_that_is_imaged_anew_is_no_copy() -> None:
    repeated, shown = RepeatedPictures(), np.random.default_rng(0).integers(60, 220, (96, 120), np.uint8)
    noisy = np.asarray(np.clip(shown + np.random.default_rng(1).normal(0, 2, shown.shape), 0, 255), np.uint8)
    assert not repeated.ended(0, shown) and not repeated.ended(1, noisy, is_retake=True)
    assert repeated.ended(2, noisy.copy(), is_retake=True), "but the same exposure once more is none"


def test_what_is_remembered_is_bounded() -> None:
    repeated = RepeatedPictures()
    for number in range(REMEMBERED + 10):
        repeated.ended(number, np.array([[number & 255, number >> 8 & 255, number >> 16, *range(0, 240, 9)]], np.uint8))
    assert len(repeated._known) == REMEMBERED


def test_real_fields_and_two_pairs_of_one_place_among_them(real_data: Path) -> None:
    """Two places of the collection were photographed twice; all other fields show something else."""
    files = sorted((real_data / "chula_wbc" / "images").rglob("*.jpg"), key=lambda path: path.name)
    chosen = [path for path in files if path.name.startswith(("E-11_", "N-1B_"))]
    shown = [np.asarray(cv2.imread(str(path)), np.uint8) for path in chosen]
    found = again(shown)
    assert [chosen[at].name for at in found if at is not None] == ["E-11_0425.jpg", "N-1B_0254.jpg"]


def test_a_run_over_a_folder_with_copies_says_so_at_its_end(tmp_path: Path, pictures: list[Image]) -> None:
    for number, image in enumerate(pictures[:6]):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), image)
        if number == 2:
            cv2.imwrite(str(tmp_path / f"{number:02d} (copy).png"), image)
    records = records_over(tmp_path, write_tiny_bundle(tmp_path / "b", width_px=732, height_px=574).path)
    (said,) = messages_of(records, "picture_again")
    assert "shows the same as field 2, pixel for pixel" in said and doubts_of(records, "pictures come more than once")
