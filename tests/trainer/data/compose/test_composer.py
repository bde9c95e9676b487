"""Composed and augmented fields: boxes stay on their cells, samples repeat, nothing unseen is called a cell."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.smears import CYTOPLASM, smear, write

from edge.contracts.errors import DataError
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.data.check.class_examples import contact_sheet
from trainer.data.compose.augment import AugmentSettings, augment
from trainer.data.compose.composer import CellPicker, Composer, ComposeSettings
from trainer.data.compose.field import Field, cut_boxes, resized, turned
from trainer.data.compose.painter import without_photographs
from trainer.data.compose.palette import palette_of, repainted
from trainer.data.compose.scenery import free_rectangles
from trainer.data.compose.training_set import TrainingSet
from trainer.data.image_store import MIN_IMAGE_PX, ImageStore

pytestmark = pytest.mark.timeout(60)

NONE = {"whole": 0.0, "mosaic": 0.0, "close": 0.0, "scenery": 0.0, "centred": 0.0, "painted": 0.0, "virtual": 0.0}


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> list[Annotation]:
    folder = tmp_path_factory.mktemp("tiles")
    found = []
    for k in range(10):
        cells = ((100 + 6 * k, 130, 40),) if k < 8 else ()
        image = smear(300, 280, cells, seed=k)
        boxes = np.array([(x - r, y - r, x + r, y + r) for x, y, r in cells], np.float32).reshape(-1, 4)
        labels = np.array([k % 3 - 1] * len(cells), np.int32)
        path = write(folder / f"{k}.png", image)
        found.append(Annotation(path, 300, 280, 0.1, boxes, labels, "AB"[k % 2], str(k), "train"))
    return found


def composer(annotations: list[Annotation], **shares: float) -> Composer:
    return Composer(ImageStore(0.13), annotations, ComposeSettings(**{**NONE, **shares}))


def cytoplasm_share(image: np.ndarray, box: np.ndarray) -> float:
    x1, y1, x2, y2 = box.round().astype(int)
    part = image[y1:y2, x1:x2].astype(int)
    return float((part[..., 0] < np.array(EMPTY_BLUE)).mean())


EMPTY_BLUE = (CYTOPLASM[0] + 215) / 2


def test_the_store_rescales_boxes_with_the_image(annotations: list[Annotation]) -> None:
    image, boxes, _ = ImageStore(0.13).get(annotations[0])
    assert image.shape == (215, 231, 3)
    np.testing.assert_allclose(boxes[0], np.array([60, 90, 140, 170]) / 1.3, rtol=0.01)


@pytest.mark.parametrize("kind", ["whole", "mosaic", "close", "scenery", "centred", "painted", "virtual"])
def test_every_builder_gives_a_full_field_and_boxes_within_it(annotations: list[Annotation], kind: str) -> None:
    made = composer(annotations, **{kind: 1.0})
    labels: list[int] = []
    for k in range(2 if kind == "virtual" else 6):  # each virtual slide takes a second to open
        field = made.compose(np.random.default_rng(k), 660, 500)
        assert field.image.shape == (500, 660, 3)
        assert field.image.dtype == np.uint8
        assert len(field.boxes) == len(field.labels)
        assert (field.boxes[:, :2] >= 0).all()
        assert (field.boxes[:, 2:] <= (660, 500)).all()
        assert (field.boxes[:, 2:] > field.boxes[:, :2]).all()
        labels += field.labels.tolist()
    assert any(label != IGNORE for label in labels)


@pytest.mark.parametrize("kind", ["whole", "mosaic", "close", "centred"])
def test_boxes_stay_on_their_cells(annotations: list[Annotation], kind: str) -> None:
    """In tiles with their own colours, leukocytes are the only thing bluish-dark, so a box must be full of it."""
    made = Composer(ImageStore(0.13), annotations[:8], ComposeSettings(**{**NONE, kind: 1.0, "own_colours": 1.0}))
    shares = []
    for k in range(8):
        field = made.compose(np.random.default_rng(k), 400, 300)
        shares += [cytoplasm_share(field.image, box) for box in field.boxes]
    assert np.median(shares) > 0.7


@pytest.mark.parametrize("size", [pytest.param((80, 60), id="a-part"), pytest.param((410, 330), id="more-than-there-is")])
def test_a_whole_image_is_shown_as_it_is(annotations: list[Annotation], size: tuple[int, int]) -> None:
    store = ImageStore(0.13)
    made = Composer(store, annotations[:1], ComposeSettings(**{**NONE, "whole": 1.0}))
    image, boxes, _ = store.get(annotations[0])
    views = {flips: turned(Field(image, boxes, annotations[0].labels), flips) for flips in range(4)}
    seen = set()
    for k in range(24):
        field = made.compose(np.random.default_rng(k), *size)
        for flips, view in views.items():
            larger, smaller = (field.image, view.image) if size[0] > 400 else (view.image, field.image)
            found = cv2.matchTemplate(larger, smaller, cv2.TM_SQDIFF)
            if found.min() < 1e-3 * smaller.size:
                seen.add(flips)
                top, left = np.unravel_index(int(found.argmin()), found.shape)
                if size[0] > 400:
                    np.testing.assert_allclose(field.boxes - [left, top, left, top], view.boxes, atol=1e-3)
    assert seen == {0, 1, 2, 3}, "every mirror image, and nothing else was done to it"


def test_what_has_a_photograph_is_not_painted(annotations: list[Annotation]) -> None:
    there = {int(label) for row in annotations for label in row.labels if label >= 0}
    made = composer(annotations, painted=1.0)
    drawn = [label for k in range(8) for label in made.compose(np.random.default_rng(k), 660, 500).labels.tolist()]
    assert set(drawn) - there - {IGNORE}, "the others are"
    assert without_photographs([np.arange(14, dtype=np.int32)]) == [14]
    assert without_photographs([np.arange(15, dtype=np.int32)]) == []
    assert not there & set(without_photographs([row.labels for row in annotations]))


def test_cells_set_close_are_more_than_whole_tiles_hold(annotations: list[Annotation]) -> None:
    counts = {}
    for kind in ("mosaic", "close"):
        made = composer(annotations, **{kind: 1.0})
        fields = [made.compose(np.random.default_rng(k), 400, 300) for k in range(6)]
        counts[kind] = sum(int((field.labels != IGNORE).sum()) for field in fields)
    assert counts["close"] > 1.5 * counts["mosaic"]


def test_scenery_without_cells_has_no_boxes_and_no_nuclei(annotations: list[Annotation]) -> None:
    made = Composer(ImageStore(0.13), annotations, ComposeSettings(**{**NONE, "scenery": 1.0}, cells_pasted=(1.0,)))
    for k in range(5):
        field = made.compose(np.random.default_rng(k), 300, 240)
        assert not len(field.boxes)
        assert (field.image[..., 1] < 70).mean() < 0.002, "a nucleus is far darker in green than any red cell"


def test_a_whole_image_that_is_ignored_lends_nothing_to_sceneries() -> None:
    whole = np.array([[0, 0, 300, 280]], np.float32)
    assert free_rectangles(0, 300, 280, whole) == []


def test_samples_depend_on_seed_and_index_only(annotations: list[Annotation]) -> None:
    settings = AugmentSettings()

    def fresh(seed: int) -> TrainingSet:
        made = composer(annotations, mosaic=1.0, scenery=1.0, centred=1.0, painted=1.0)
        return TrainingSet(made, settings, seed, 300, 240, (160, 128))

    first, second = fresh(7), fresh(7)
    wanted = {k: first.sample(k) for k in (5, 2, 9)}
    for k in (9, 5, 2):
        for one, other in zip(wanted[k], second.sample(k), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(wanted[5][0], fresh(8).sample(5)[0])
    image, boxes, labels = wanted[5]
    assert image.shape == (128, 160, 3)
    assert (image.dtype, boxes.dtype, labels.dtype) == (np.uint8, np.float32, np.int32)


def test_no_images_is_said() -> None:
    with pytest.raises(DataError, match="no annotated image"):
        Composer(ImageStore(0.13), [], ComposeSettings())


def test_a_scale_that_leaves_nothing_of_the_images_is_said(annotations: list[Annotation]) -> None:
    slip = [replace(row, um_per_px=0.0073) if row.source == "B" else row for row in annotations]
    with pytest.raises(DataError, match=r"1\.png is only 17x16 px at 0\.13 um/px, .* correct the um_per_px of B \(0\.0073\)"):
        composer(slip, scenery=1.0)


def test_scenery_is_sewn_of_the_smallest_images_that_are_taken(annotations: list[Annotation]) -> None:
    small = [replace(row, um_per_px=0.13 * MIN_IMAGE_PX / 280) if row.source == "B" else row for row in annotations]
    made = composer(small, scenery=1.0)
    for k in range(20):
        assert made.compose(np.random.default_rng(k), 300, 240).image.shape == (240, 300, 3)


@pytest.mark.parametrize(
    ("window", "box", "label"),
    [
        pytest.param((0, 0, 100, 100), [10, 10, 60, 60], 3, id="whole"),
        pytest.param((20, 0, 100, 100), [0, 10, 40, 60], 3, id="80 % seen: a cell, clipped"),
        pytest.param((40, 0, 100, 100), [0, 10, 20, 60], IGNORE, id="40 % seen: ignored"),
        pytest.param((57, 0, 100, 100), None, None, id="a sliver: dropped"),
        pytest.param((60, 0, 100, 100), None, None, id="not in the window"),
    ],
)
def test_cutting(window: tuple[float, ...], box: list[float] | None, label: int | None) -> None:
    boxes, labels = cut_boxes(np.array([[10, 10, 60, 60]], np.float32), np.array([3], np.int32), window)  # type: ignore[arg-type]
    assert boxes.tolist() == ([box] if box else [])
    assert labels.tolist() == ([label] if label is not None else [])


@given(turn=st.integers(0, 7), x=st.integers(0, 30), y=st.integers(0, 20), w=st.integers(1, 9), h=st.integers(1, 9))
def test_turning_moves_the_box_with_its_pixels(turn: int, x: int, y: int, w: int, h: int) -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    image[y : y + h, x : x + w] = 255
    field = turned(Field(image, np.array([[x, y, x + w, y + h]], np.float32), np.zeros(1, np.int32)), turn)
    x1, y1, x2, y2 = field.boxes[0].astype(int)
    assert field.image[y1:y2, x1:x2].all()
    assert field.image.astype(bool).sum() == 3 * w * h


def test_resizing_stretches_boxes() -> None:
    field = resized(
        Field(np.zeros((100, 200, 3), np.uint8), np.array([[20, 10, 60, 50]], np.float32), np.zeros(1, np.int32)), 100, 100
    )
    assert field.boxes.tolist() == [[10, 10, 30, 50]]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"blur_share": 1.0}, id="blur"),
        pytest.param({"blur_share": 0.0, "sharpen_share": 1.0}, id="sharpening"),
        pytest.param({"blur_share": 0.0, "sharpen_share": 0.0, "motion_share": 1.0}, id="motion"),
        pytest.param({"noise_share": 1.0, "noise": 20.0}, id="noise"),
        pytest.param({"jpeg_share": 1.0}, id="JPEG"),
        pytest.param({"light_change": 1.0, "vignetting": 0.9}, id="light"),
    ],
)
def test_augmentation_changes_pixels_and_keeps_shape_and_boxes(changes: dict[str, float]) -> None:
    field = Field(smear(240, 200, ((120, 100, 40),)), np.array([[80, 60, 160, 140]], np.float32), np.array([4], np.int32))
    before = field.image.copy()
    for k in range(4):
        other = augment(field, np.random.default_rng(k), AugmentSettings(**changes))
        assert other.image.shape == before.shape
        assert not np.array_equal(other.image, before)
        assert other.image.std() > 2, "the cell is still to be seen"
        np.testing.assert_array_equal(other.boxes, field.boxes)
    np.testing.assert_array_equal(field.image, before)


def test_augmentation_without_strength_changes_nothing_visible() -> None:
    still = AugmentSettings(
        stain_gain=0, stain_mix=0, saturation=0, depth=0, light_change=0, vignetting=0, blur_share=0, motion_share=0,
        sharpen_share=0, noise_share=0, jpeg_share=0,
    )  # fmt: skip
    image = smear(240, 200, ((120, 100, 40),))
    field = Field(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    other = augment(field, np.random.default_rng(0), still).image
    assert np.abs(other.astype(int) - image).max() <= 1


def test_repainting_reaches_the_wanted_colours() -> None:
    one = smear(240, 200, seed=3)
    other = (smear(240, 200, seed=4) * np.array([0.8, 0.95, 0.9])).astype(np.uint8)
    nothing = np.zeros((0, 4), np.float32)
    wanted = palette_of(other, nothing)
    reached = palette_of(repainted(one, palette_of(one, nothing), wanted), nothing)
    np.testing.assert_allclose(reached.empty, wanted.empty, atol=0.03)
    np.testing.assert_allclose(reached.red_cells, wanted.red_cells, atol=0.06)


def test_rare_classes_are_drawn_more_often_than_their_share_but_not_endlessly() -> None:
    labels = [np.array([0], np.int32)] * 400 + [np.array([1], np.int32)] * 20 + [np.array([IGNORE], np.int32)] * 50
    picker = CellPicker(labels, ["A"] * 470, balance=0.7)
    rng = np.random.default_rng(0)
    drawn = [picker.draw(rng)[0] for _ in range(2000)]
    assert 0.2 < np.mean([400 <= number < 420 for number in drawn]) < 0.4
    assert max(drawn) < 420, "ignored regions are not drawn"


def test_the_contact_sheet_shows_each_field_with_its_boxes_and_labels() -> None:
    nothing = Field(smear(60, 50, seed=9), np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    colours = {UNTYPED_WBC: (0, 160, 0), UNTYPED_NEUTROPHIL: (0, 160, 0), IGNORE: (128, 128, 128), 7: (200, 0, 0)}
    box = np.array([[5, 4, 55, 37]], np.float32)
    fields = [Field(smear(60, 50, seed=k), box, np.array([label], np.int32)) for k, label in enumerate(colours)]
    sheet = contact_sheet([*fields, nothing], columns=3)
    assert sheet.shape == (100, 180, 3)
    np.testing.assert_array_equal(sheet[50:, 60:120], nothing.image, "it has no box")
    assert (sheet[50:, 120:] == 255).all(), "the sixth place is empty"
    inside, frame = np.zeros((50, 60), bool), np.zeros((50, 60), bool)
    inside[4:37, 5:55] = True
    frame[[4, 36], 5:55] = frame[4:37, [5, 54]] = True
    for number, (field, colour) in enumerate(zip(fields, colours.values(), strict=True)):
        top, left = number // 3 * 50, number % 3 * 60
        drawn = sheet[top : top + 50, left : left + 60]
        np.testing.assert_array_equal(drawn[~inside], field.image[~inside], "nothing is drawn outside the box")
        assert (drawn[frame] == colour).all(), "the box is on the outermost pixels of its cell"
        changed = (drawn != field.image).any(axis=2) & ~frame
        assert changed[4:20].any() and not changed[20:].any(), "its label is under its upper edge"


def test_an_image_of_the_store_is_not_changed_by_composing(annotations: list[Annotation]) -> None:
    store = ImageStore(0.13)
    before = [store.get(row)[0].copy() for row in annotations]
    samples = TrainingSet(
        Composer(store, annotations, ComposeSettings(virtual=0.0)), AugmentSettings(), 0, 300, 240, (128, 128)
    )
    for k in range(10):
        samples.sample(k)
    for row, image in zip(annotations, before, strict=True):
        np.testing.assert_array_equal(store.get(row)[0], image)


def test_files_are_read_once(annotations: list[Annotation], tmp_path: Path) -> None:
    row = annotations[0]
    path = write(tmp_path / "once.png", smear(300, 280))
    moved = Annotation(path, 300, 280, 0.1, row.boxes_px, row.labels, "A", "once", "train")
    store = ImageStore(0.13)
    first = store.get(moved)[0]
    path.unlink()
    assert store.get(moved)[0] is first
