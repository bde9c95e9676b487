"""An instrument's colours from ordinary fields: found as they were drawn, and refused where they are not of one stain."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.calib_here import leuko_calib
from support.smears import EMPTY, RED, smear
from support.tiny_bundle import write_tiny_bundle

from calib.stain_colours import StainFit, require_known_stain, turned_deg
from edge.contracts.bundle import Bundle
from edge.contracts.colours import Colours, ReferenceColours, SourceColours
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.contracts.profile import load_profile, part_sha256

pytestmark = pytest.mark.timeout(60)

WIDTH, HEIGHT = 400, 360
KNOWN = {"by hand": {"colours": {"empty": EMPTY, "red_cells": RED}, "images": 9}}
REFERENCE = ReferenceColours(sources={"by hand": SourceColours(colours=Colours(empty=EMPTY, red_cells=RED), images=9)})


def fields(n: int, change: Callable[[Image, int], object] = lambda image, _: image) -> list[Image]:
    cells = ((120, 120, 36),)
    return [np.asarray(change(smear(WIDTH, HEIGHT, cells if k % 2 else (), seed=k), k), np.uint8) for k in range(n)]


def tinted(image: Image, gain: tuple[float, float, float]) -> object:
    return (image * np.array(gain)).clip(0, 255)


def fitted(images: list[Image]) -> StainFit:
    fit = StainFit(0.13)
    for image in images:
        fit.add(image)
    return fit


@pytest.mark.parametrize(
    "gain", [pytest.param((1.0, 1.0, 1.0), id="as drawn"), pytest.param((0.7, 0.8, 0.95), id="under a tint")]
)
def test_colours_are_found_as_they_were_drawn(gain: tuple[float, float, float]) -> None:
    found = fitted(fields(16, lambda image, _: tinted(image, gain))).colours()
    assert found.colours.empty == pytest.approx(np.array(EMPTY) * gain, abs=3)
    assert found.colours.red_cells == pytest.approx(np.array(RED) * gain, abs=4)
    assert found.colours.nuclei is not None and (found.fields, found.with_nuclei) == (16, 8)
    assert max(found.spread.empty) < 3 and not found.overexposed


def test_an_overexposed_slide_is_measured_and_said() -> None:
    found = fitted(fields(12, lambda image, _: tinted(image, (1.3, 1.3, 1.0)))).colours()
    assert found.overexposed == ("blue", "green")


@pytest.mark.parametrize(
    ("images", "says"),
    [
        pytest.param(fields(1), "1 field is too few", id="one field only"),
        pytest.param(fields(9), "9 fields are too few", id="a few"),
        pytest.param([np.full((HEIGHT, WIDTH, 3), 225, np.uint8)] * 20, "show no red cells", id="blank fields"),
        pytest.param(
            fields(20, lambda image, k: tinted(image, (0.6, 0.9, 1.0)) if k % 2 else image),
            "different stains",
            id="two stains in turn",
        ),
        pytest.param(
            fields(20, lambda image, k: tinted(image, (0.6, 0.9, 1.0)) if k % 5 == 0 else image),
            "lie far from the rest",
            id="a slide of another stain among them",
        ),
        pytest.param(fields(20, lambda image, k: tinted(image, (0.6 + 0.02 * k,) * 3)), "exposure", id="automatic exposure"),
        pytest.param(
            fields(12, lambda image, _: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)),
            "are grey",
            id="a grey camera",
        ),
        pytest.param(fields(20, lambda image, _: image[..., ::-1]), "red and blue are most likely exchanged", id="RGB for BGR"),
    ],
)
def test_fields_of_no_one_stain_are_a_sentence(images: list[Image], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fitted(images).colours()


@pytest.mark.parametrize(
    ("red_cells", "known"),
    [
        pytest.param(RED, True, id="as the model knows them"),
        pytest.param((170, 140, 190), True, id="a little greyer"),
        pytest.param((212, 190, 90), False, id="blue cells: they take red away, and no blue"),
        pytest.param((90, 190, 235), False, id="yellow ones"),
    ],
)
def test_another_stain_is_refused(red_cells: tuple[float, float, float], known: bool) -> None:
    own = Colours(empty=EMPTY, red_cells=red_cells)
    if known:
        require_known_stain(own, REFERENCE)
        return
    assert turned_deg(own, REFERENCE) > 25
    with pytest.raises(DataError, match="another stain"):
        require_known_stain(own, REFERENCE)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("b") / "bundle", colours={"reference_colours": {"sources": KNOWN}})


def folder(path: Path, images: list[Image]) -> Path:
    path.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(path / f"{number:02d}.png"), image)
    return path


def test_light_first_then_colours_under_it(tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """The walk of an installation: blank fields, then ordinary ones, with the same vignette over both."""
    dimmer = np.linspace(1.0, 0.7, WIDTH)[None, :, None]
    rng = np.random.default_rng(2)
    blank = [np.asarray((230 * dimmer + rng.normal(0, 3, (HEIGHT, WIDTH, 3))).clip(0, 255), np.uint8) for _ in range(4)]
    blanks, ordinary = folder(tmp_path / "blank", blank), folder(tmp_path / "fields", fields(14, lambda i, _: i * dimmer))
    light, out = tmp_path / "light.json", tmp_path / "colours.json"
    assert leuko_calib("illumination", f"folder:{blanks}", "--out", light) == 0
    given = ["--um-per-px", "0.13", "--profile", str(light), "--bundle", str(bundle.path), "--out", str(out), "--json"]
    capsys.readouterr()
    assert leuko_calib("colour", f"folder:{ordinary}", *given) == 0
    said, (profile, digest) = json.loads(capsys.readouterr().out), load_profile(out)
    assert profile.illumination is not None and profile.colours is not None and profile.pixel_size is None
    assert said["profile_sha256"] == digest and profile.colours.illumination_sha256 == part_sha256(profile.illumination)
    assert profile.colours.colours.empty == pytest.approx(EMPTY, rel=0.03), "as at the brightest part"
    assert Path(said["picture"]).is_file() and profile.colours.fields == 14


def test_a_bundle_that_knows_no_colours_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, ordinary = write_tiny_bundle(tmp_path / "plain"), folder(tmp_path / "fields", fields(10))
    given = ["--um-per-px", "0.13", "--bundle", str(plain.path), "--out", str(tmp_path / "p.json")]
    assert leuko_calib("colour", f"folder:{ordinary}", *given) == 3
    assert "leuko-train colours" in capsys.readouterr().err and not (tmp_path / "p.json").exists()


def test_new_light_lets_go_of_the_colours_that_were_measured_without_it(tmp_path: Path, bundle: Bundle) -> None:
    ordinary = folder(tmp_path / "fields", fields(10))
    blanks = folder(tmp_path / "blank", [np.full((HEIGHT, WIDTH, 3), grey, np.uint8) for grey in (224, 225, 226)])
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    given = ["--um-per-px", "0.13", "--bundle", str(bundle.path), "--out", str(first)]
    assert leuko_calib("colour", f"folder:{ordinary}", *given) == 0
    assert leuko_calib("illumination", f"folder:{blanks}", "--profile", first, "--out", second) == 0
    assert load_profile(first)[0].colours is not None and load_profile(second)[0].colours is None
