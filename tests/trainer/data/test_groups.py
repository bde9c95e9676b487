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
