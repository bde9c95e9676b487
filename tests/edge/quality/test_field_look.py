"""How fields came out: what is measured of them, at which cost in pixels, and which are called bad and why."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contracts.detections import Image
from edge.quality import FieldWatch, focus_score
from edge.quality.field_limits import LIMITS, faults_of
from edge.quality.field_look import MOST_PX, FieldLook, look_at, rows_of_pixels

pytestmark = pytest.mark.timeout(60)
UM = 0.13


def blurred(image: Image, sigma_um: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_um / UM), np.uint8)


def cells(n: int, overlap: bool = False, seed: int = 3) -> Image:
    """Discs as large as red cells, apart from each other or not, on an even field with a little noise."""
    rng = np.random.default_rng(seed)
    image = np.full((574, 732, 3), (205, 200, 210), np.uint8)
    radius, placed = round(7.1 / UM / 2), list[tuple[int, int]]()
    while len(placed) < n:
        x, y = int(rng.integers(radius, 732 - radius)), int(rng.integers(radius, 574 - radius))
        if overlap or all((x - a) ** 2 + (y - b) ** 2 > (2.1 * radius) ** 2 for a, b in placed):
            placed.append((x, y))
            cv2.circle(image, (x, y), radius, (150, 120, 170), -1, cv2.LINE_AA)
            cv2.circle(image, (x, y), radius // 3, (175, 150, 190), -1, cv2.LINE_AA)
    noise = rng.normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_what_is_measured_of_a_drawn_field() -> None:
    apart, over = look_at(cells(60), UM), look_at(cells(220, overlap=True), UM)
    area = 60 * np.pi / 4 * 7.1**2 / (574 * 732 * UM**2)
    assert apart.covered == pytest.approx(area, rel=0.15)
    assert apart.crowding == pytest.approx(1.0, abs=0.15) and over.crowding is not None and over.crowding > 1.5
    assert (apart.brightness, apart.saturated) == (pytest.approx(200, abs=2), 0.0)


@pytest.mark.parametrize("shape", [(574, 732), (2048, 2448), (96, 96), (40, 5000), (5000, 40), (1, 1), (2, 9), (300, 13_000)])
@pytest.mark.parametrize("um_per_px", [0.02, 0.1, 0.13, 0.26, 1.0])
def test_no_more_pixels_are_looked_at_whatever_the_camera(shape: tuple[int, int], um_per_px: float) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    rows = rows_of_pixels(image, um_per_px)
    assert 0 < rows.shape[0] * rows.shape[1] <= max(MOST_PX, rows.shape[1])
    assert look_at(image, um_per_px) == FieldLook(0.0, 0.0, None, None)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.13, 0.5, 5.0]))
def test_any_image_has_a_look(height: int, width: int, seed: int, um_per_px: float) -> None:
    rng = np.random.default_rng(seed)
    look = look_at(rng.integers(0, 256, (height, width, 3)).astype(np.uint8), um_per_px)
    assert 0 <= look.brightness <= 255 and 0 <= look.saturated <= 1
    assert look.covered is None or 0 < look.covered < 1
    assert look.crowding is None or look.crowding > 0


BAD = [
    pytest.param(cells(60), (), id="a good one"),
    pytest.param(np.full((574, 732, 3), 205, np.uint8), (), id="an empty one, which is not bad"),
    pytest.param(blurred(cells(60), 1.5), ("blurred",), id="out of focus"),
    pytest.param((cells(60) // 5).astype(np.uint8), ("dark",), id="hardly any light"),
    pytest.param(np.full((574, 732, 3), 255, np.uint8), ("bright", "overexposed"), id="nothing but light"),
    pytest.param(
        np.where(np.arange(732)[None, :, None] % 60 < 55, cells(0), 90).astype(np.uint8)[:, ::-1].copy(),
        (),
        id="dirt in stripes",
    ),
    pytest.param(cells(900, overlap=True), ("thick",), id="a heap"),
]


@pytest.mark.parametrize(("image", "bad"), BAD)
def test_which_fields_are_bad(image: Image, bad: tuple[str, ...]) -> None:
    watch = FieldWatch("suggest", UM)
    watch.look("t", image)
    judged = watch.judged("t", 7, None)
    assert judged.quality is not None
    assert set(judged.quality.bad) >= set(bad) and bool(judged.quality.bad) == bool(bad)
    assert judged.sentence.startswith("field 7 came out badly: ") == bool(bad)
    assert not judged.quality.left_out
    assert watch.judged("t", 7, None).quality is None, "told once"


@pytest.mark.parametrize(
    ("policy", "is_known", "is_said", "is_left_out"),
    [
        ("off", False, False, False),
        ("mark", True, False, False),
        ("suggest", True, True, False),
        ("leave_out", True, True, True),
    ],
)
def test_what_becomes_of_a_bad_field(policy: str, is_known: bool, is_said: bool, is_left_out: bool) -> None:
    watch = FieldWatch(policy, UM)  # type: ignore[arg-type]
    watch.look("t", blurred(cells(60), 1.5))
    judged = watch.judged("t", 0, None)
    assert ((judged.quality is not None), bool(judged.sentence)) == (is_known, is_said)
    assert (judged.quality.left_out if judged.quality else False) == is_left_out


def test_the_profiles_focus_goes_first() -> None:
    image = cells(60)
    sharp = focus_score(image, UM)
    assert sharp is not None
    for min_focus, bad in ((1.05 * sharp, ("blurred",)), (0.95 * sharp, ())):
        watch = FieldWatch("mark", UM, min_focus)
        watch.look("t", image)
        judged = watch.judged("t", 0, None)
        assert judged.quality is not None and judged.quality.bad == bad


def test_stain_far_from_the_profiles_is_a_fault_and_what_was_not_measured_is_none() -> None:
    assert [fault for fault, _ in faults_of(None, None, 0.3)] == ["stain"]
    assert faults_of(None, None, None) == faults_of(FieldLook(200, 0, None, None), None, 0.1) == ()


def test_every_limit_says_where_it_is_from() -> None:
    assert all(limit.why.startswith("chosen here: ") for limit in LIMITS)
    assert len({(limit.fault, limit.is_least) for limit in LIMITS}) == len(LIMITS)


SOURCES = {"bccd": 0.073, "chula_wbc": 0.13, "pbc_more": 0.1, "rbc_fields": 0.16}


@pytest.mark.skipif("LEUKO_DATA" not in os.environ, reason="LEUKO_DATA names no folder of real fields")
@pytest.mark.parametrize("source", SOURCES)
def test_fields_of_real_slides_are_not_bad_and_are_when_out_of_focus(source: str) -> None:
    um = SOURCES[source]
    files = sorted(each for each in (Path(os.environ["LEUKO_DATA"]) / source).rglob("*") if each.suffix in {".jpg", ".png"})
    n_bad = n_blurred = n_seen = 0
    for file in files[:: max(1, len(files) // 25)][:25]:
        image = np.asarray(cv2.imread(str(file)), np.uint8)
        far = np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0 / um), np.uint8)
        n_seen += 1
        n_bad += bool(faults_of(look_at(image, um), focus_score(image, um), None))
        n_blurred += any(fault == "blurred" for fault, _ in faults_of(None, focus_score(far, um), None))
    assert n_bad <= 0.04 * n_seen and n_blurred >= 0.9 * n_seen
