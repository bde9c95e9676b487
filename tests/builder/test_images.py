"""Where a builder's images come from: in order, fitted as the edge fits them, none left out, and their origin on record."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import made_profiles as made
from support.tiny_bundle import blob_field, write_tiny_bundle

from builder.images import read_images
from builder.profile_correction import seen_by
from edge.contracts.bundle import Bundle
from edge.contracts.errors import ConfigError, SourceError
from edge.contracts.profile import CameraGeometry, Profile, write_profile
from edge.pipeline.field_correction import correction_for
from edge.settings.resolution import resolve

WIDTH_PX, HEIGHT_PX = 160, 128


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_tiny_bundle(tmp_path / "tiny", width_px=WIDTH_PX, height_px=HEIGHT_PX)


def _folder(path: Path, *names: str, width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> Path:
    """Fields with a square each, further right from file to file."""
    path.mkdir()
    for index, name in enumerate(names):
        field = blob_field([("lymphocyte", 20 * index, 40)], width_px=width_px, height_px=height_px)
        assert cv2.imwrite(str(path / name), field)
    return path


def test_a_folder_is_read_in_natural_order_up_to_the_limit(bundle: Bundle, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "fields", "f2.png", "f10.png", "f1.png")
    found = read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=2, um_per_px=0.13)
    assert found.names == ("f1.png", "f2.png")
    assert found.frames.shape == (2, HEIGHT_PX, WIDTH_PX, 3)
    assert np.array_equal(found.frames[0], cv2.imread(str(folder / "f1.png")))
    assert not found.are_synthetic
    assert found.origin == f"the first 2 of 3 images of {folder}; frames of 160 x 128 px pass untouched."


def test_the_hash_is_of_the_pixels_in_their_order(bundle: Bundle, tmp_path: Path) -> None:
    def digest(name: str, *files: str) -> str:
        return read_images(_folder(tmp_path / name, *files), bundle, WIDTH_PX, HEIGHT_PX, limit=9, um_per_px=0.13).sha256

    png = digest("png", "a.png", "b.png")
    assert digest("bmp", "c.bmp", "d.bmp") == png, "names and file formats do not count"
    assert digest("turned", "b.png", "a.png") != png
    assert digest("fewer", "a.png") != png


def test_images_are_corrected_as_a_run_with_that_profile_would(tmp_path: Path) -> None:
    known = {"empty": (200, 200, 200), "red_cells": (150, 100, 150)}
    colours = {"reference_colours": {"sources": {"all": {"colours": known, "images": 9}}}, "moved_thresholds": {"detect": 0.45}}
    bundle = write_tiny_bundle(tmp_path / "knows", width_px=WIDTH_PX, height_px=HEIGHT_PX, colours=colours)
    camera = CameraGeometry(width_px=WIDTH_PX, height_px=HEIGHT_PX)
    lit = made.light().model_copy(update={"width_px": WIDTH_PX, "height_px": HEIGHT_PX})
    shown = made.colours(lit).model_copy(update={"width_px": WIDTH_PX, "height_px": HEIGHT_PX})
    profile = Profile(instrument="b", camera=camera, pixel_size=made.pixel_size(), illumination=lit, colours=shown)
    digest = write_profile(tmp_path / "p.json", profile)
    folder = _folder(tmp_path / "fields", "a.png")
    seen = seen_by(tmp_path / "p.json", bundle)
    found = read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=1, seen=seen)
    setup = resolve({"source": "none", "bundle": bundle.path, "profile": tmp_path / "p.json"})
    correction = correction_for(setup)
    assert correction is not None and correction.is_whole
    into = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    correction.apply(cv2.imread(str(folder / "a.png")), into, correction.gains(WIDTH_PX, HEIGHT_PX))
    assert np.array_equal(found.frames[0], into)
    assert seen.thresholds.detect == 0.45 and seen.profile_sha256 == digest
    assert f"corrected for light and colours by {correction.colour_name}" in found.origin
    plain = read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=1, um_per_px=0.13)
    assert plain.sha256 == found.sha256 and not np.array_equal(plain.frames, found.frames), "the hash is of what was read"
    small = _folder(tmp_path / "small", "a.png", width_px=100)
    with pytest.raises(SourceError, match="the profile is of a camera with"):
        read_images(small, bundle, WIDTH_PX, HEIGHT_PX, limit=1, seen=seen)
    with pytest.raises(ConfigError, match="no instrument's light and colours"):
        read_images(None, bundle, WIDTH_PX, HEIGHT_PX, limit=1, seen=seen)


def test_without_a_folder_fields_are_drawn_and_marked(bundle: Bundle) -> None:
    found = read_images(None, bundle, 300, 200, limit=3)
    assert found.frames.shape == (3, 200, 300, 3)
    assert found.are_synthetic
    assert found.origin.startswith("drawn fields, virtual:seed=1,")
    assert found.frames.std() > 5, "there is something in them"
    again = read_images(None, bundle, 300, 200, limit=3)
    assert (again.sha256, again.frames.tobytes()) == (found.sha256, found.frames.tobytes())


@pytest.mark.parametrize(
    ("um_per_px", "drawn"),
    [
        pytest.param(0.26, "width=602,height=402", id="coarser: the drawn field shows as much and is shrunk"),
        pytest.param(0.1, "width=232,height=155", id="finer: the drawn field is enlarged"),
        pytest.param(0.132, "width=301,height=201", id="near enough to pass untouched"),
    ],
)
def test_drawn_fields_have_the_bundles_scale_and_exactly_the_frames_size(tmp_path: Path, um_per_px: float, drawn: str) -> None:
    bundle = write_tiny_bundle(tmp_path / "scaled", um_per_px=um_per_px)
    found = read_images(None, bundle, 301, 201, limit=1)
    assert found.frames.shape == (1, 201, 301, 3)
    assert drawn in found.origin


@pytest.mark.parametrize(
    ("size", "um_per_px", "n_frames"),
    [
        pytest.param((100, 90), 0.13, 1, id="smaller: centred on background"),
        pytest.param((300, 128), 0.13, 3, id="wider: tiles that overlap by one cell"),
        pytest.param((320, 256), 0.065, 1, id="twice as fine: resampled"),
    ],
)
def test_images_of_another_size_are_fitted_as_in_a_run(
    bundle: Bundle, tmp_path: Path, size: tuple[int, int], um_per_px: float, n_frames: int
) -> None:
    folder = _folder(tmp_path / "fields", "a.png", "b.png", width_px=size[0], height_px=size[1])
    found = read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=9, um_per_px=um_per_px)
    assert found.frames.shape == (2 * n_frames, HEIGHT_PX, WIDTH_PX, 3)
    assert found.images == 2
    assert len(found.names) == 2 * n_frames
    assert found.names[0] == ("a.png" if n_frames == 1 else f"a.png, tile 1 of {n_frames}")
    assert f"frames of {size[0]} x {size[1]} px" in found.origin


def _damaged(folder: Path) -> None:
    (folder / "f2.png").write_bytes(b"")


def _larger(folder: Path) -> None:
    cv2.imwrite(str(folder / "f2.png"), blob_field(width_px=170))


def _deep(folder: Path) -> None:
    cv2.imwrite(str(folder / "f2.png"), np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint16))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_damaged, "f2.png is empty", id="an empty file"),
        pytest.param(_larger, "f2.png is 170 x 128 px and the first is 160 x 128 px", id="sizes differ"),
        pytest.param(_deep, "f2.png has 3 channel(s) of uint16", id="16 bits"),
    ],
)
def test_an_image_that_cannot_be_used_is_named_and_stops_the_command(
    bundle: Bundle, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    folder = _folder(tmp_path / "fields", "f1.png", "f2.png", "f3.png")
    spoil(folder)
    with pytest.raises(SourceError) as refused:
        read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=9, um_per_px=0.13)
    assert says in str(refused.value)


def test_images_that_ask_for_another_engine_say_for_which(bundle: Bundle, tmp_path: Path) -> None:
    """The edge runs images within 2 % of the field's size untouched, hence on an engine of their own size."""
    folder = _folder(tmp_path / "fields", "a.png", width_px=162)
    with pytest.raises(SourceError, match="need an engine for frames of 162 x 128 px"):
        read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=9, um_per_px=0.13)


@pytest.mark.parametrize(
    ("um_per_px", "says"),
    [
        pytest.param(None, "do not say how large a pixel is; give it with --um-per-px", id="nobody guesses a scale"),
        pytest.param(13.0, "13 um/px is out of range", id="no microscope's"),
        pytest.param(0.0005, "check the um/px you gave", id="a field smaller than any cell"),
    ],
)
def test_a_scale_is_given_and_possible(bundle: Bundle, tmp_path: Path, um_per_px: float | None, says: str) -> None:
    folder = _folder(tmp_path / "fields", "a.png")
    with pytest.raises(ConfigError, match=says):
        read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=9, um_per_px=um_per_px)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(False, "does not exist", id="no such folder"),
        pytest.param(True, "holds no image file", id="nothing in it"),
    ],
)
def test_a_folder_without_an_image_is_called_so(bundle: Bundle, tmp_path: Path, make: bool, says: str) -> None:
    folder = tmp_path / "fields"
    if make:
        folder.mkdir()
    with pytest.raises(SourceError, match=says):
        read_images(folder, bundle, WIDTH_PX, HEIGHT_PX, limit=9, um_per_px=0.13)
