"""What must stay together: crops of one field, copies, pictures moved a little; strangers stay apart."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.smears import smear, write

from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from trainer.data.annotation import Annotation
from trainer.data.groups import groups_of, near_duplicates, same_picture

pytestmark = pytest.mark.timeout(20)

SIZE = (400, 320)


def picture(seed: int) -> Image:
    return smear(*SIZE, ((200, 160, 40),), seed)


def row(folder: Path, name: str, image: Image, source: str = "LAB") -> Annotation:
    path = write(folder / source / f"{name}.png", image)
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    return Annotation(path, image.shape[1], image.shape[0], 0.1, *none, source, name, "train")


def test_crops_of_one_field_belong_together_by_their_names(tmp_path: Path) -> None:
    names = ["95-7-24-2_214_1", "95-7-24-2_214_2", "95-7-24-2_215_1"]
    rows = [row(tmp_path, name, picture(k)) for k, name in enumerate(names)]
    assert groups_of(rows, {"LAB": r"(.+)_\d+$"}) == [0, 0, 1]
    assert groups_of(rows, {}) == [0, 1, 2]
    with pytest.raises(DataError, match=r"214_1' does not match group_by 'slide_"):
        groups_of(rows, {"LAB": r"slide_(\d+)"})


def test_two_sources_that_name_their_slides_alike_are_not_one(tmp_path: Path) -> None:
    rows = [row(tmp_path, "slide_1", picture(k), source) for k, source in enumerate(("LAB", "WARD"))]
    assert groups_of(rows, {}) == [0, 1]


def _shifted(image: Image) -> Image:
    return np.roll(image, 3, axis=1)


def _compressed(image: Image) -> Image:
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def _halved(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: image, id="a copy"),
        pytest.param(_shifted, id="the stage moved a little"),
        pytest.param(_compressed, id="saved again as a poor JPEG"),
        pytest.param(_halved, id="at half the size"),
        pytest.param(lambda image: (image * 0.8).astype(np.uint8), id="darker"),
    ],
)
def test_the_same_picture_joins_the_groups_of_both_names(tmp_path: Path, change: object) -> None:
    changed = change(picture(1))  # type: ignore[operator]
    rows = [row(tmp_path, "slide_1", picture(1)), row(tmp_path, "other", picture(2)), row(tmp_path, "copy", changed, "WARD")]
    assert groups_of(rows, {}) == [0, 1, 0]
    assert same_picture(rows[0].path, rows[2].path)
    assert not same_picture(rows[0].path, rows[1].path)


def _faint(image: Image) -> Image:
    """Out of focus and weakly stained."""
    return np.asarray(200 + 0.25 * (cv2.GaussianBlur(image, (0, 0), 2).astype(np.float32) - 215), np.uint8)


def _falling_light(image: Image) -> Image:
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    return np.asarray(image * (1 - 0.3 * (x * x + y * y))[..., None], np.uint8)


def _round_field(image: Image) -> Image:
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.circle(mask, (image.shape[1] // 2, image.shape[0] // 2), image.shape[0] // 2, 1.0, -1)
    return np.asarray(image * cv2.GaussianBlur(mask, (0, 0), 2)[..., None] + 4, np.uint8)


def _scale_bar(image: Image) -> Image:
    marked = image.copy()
    cv2.rectangle(marked, (280, 290), (380, 298), (0, 0, 0), -1)
    cv2.putText(marked, "20 um", (290, 282), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2)
    return marked


def _dusty(image: Image) -> Image:
    for x, y, radius in ((60, 50, 5), (210, 120, 7), (330, 40, 4), (120, 260, 6), (300, 220, 5)):
        cv2.circle(image, (x, y), radius, (60, 60, 60), -1)
    return image


CAMERAS = [
    pytest.param(_falling_light, id="light-that-falls-off-to-the-corners"),
    pytest.param(_round_field, id="a-round-field-of-view"),
    pytest.param(_scale_bar, id="a-scale-bar-in-every-picture"),
    pytest.param(_dusty, id="dust-on-the-sensor"),
    pytest.param(lambda image: _scale_bar(_falling_light(_dusty(image))), id="all-of-it"),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_whole_fields_of_one_camera_are_strangers_and_their_copies_are_not(tmp_path: Path, camera: object) -> None:
    """What all fields of a camera share is not what they show: as one group they could not be divided."""
    fields = [camera(_faint(smear(*SIZE, (), seed))) for seed in range(12)]  # type: ignore[operator]
    rows = [row(tmp_path, f"slide_{k}", field) for k, field in enumerate(fields)]
    assert groups_of(rows, {}) == list(range(12))
    copies = [row(tmp_path, f"copy_{k}", _compressed(_halved(field)), "WARD") for k, field in enumerate(fields)]
    assert groups_of([*rows, *copies], {}) == [*range(12), *range(12)]


def test_two_fields_with_nothing_in_them_are_like_nothing_but_their_copies(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    empty = [_falling_light((230 + rng.normal(0, 3, (320, 400, 3))).clip(0, 255).astype(np.uint8)) for _ in range(3)]
    rows = [row(tmp_path, f"slide_{k}", field) for k, field in enumerate([*empty, empty[0]])]
    assert groups_of(rows, {}) == [0, 1, 2, 0]


def test_duplicates_join_whole_slides_in_a_chain(tmp_path: Path) -> None:
    """a1 and a2 are of one slide; a2 is also b1, of another: all four stay together."""
    names = {"a_1": 1, "a_2": 2, "b_1": 2, "b_2": 3, "c_1": 4}
    rows = [row(tmp_path, name, picture(seed)) for name, seed in names.items()]
    assert groups_of(rows, {"LAB": r"(.)_"}) == [0, 0, 0, 0, 1]


def test_every_close_pair_is_found_across_blocks() -> None:
    rng = np.random.default_rng(0)
    hashes = list(rng.random((2600, 256)) < 0.5)
    for first, second in ((3, 1500), (1023, 1024), (10, 2599)):
        hashes[second] = hashes[first].copy()
        hashes[second][:40] ^= True
    assert sorted(near_duplicates(hashes)) == [(3, 1500), (10, 2599), (1023, 1024)]
