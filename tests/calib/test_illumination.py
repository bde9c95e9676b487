"""Light over the field from blank fields: what was put on them is found within one per cent; what is not blank is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.calib_here import leuko_calib, profile_file

from calib.flat_light import LightFit
from edge.camera.correction import Correction, light_at
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.contracts.profile import load_profile

pytestmark = pytest.mark.timeout(60)

WIDTH, HEIGHT = 732, 574
Floats = NDArray[np.float64]


def vignette(strength: float = 0.3, x: float = 0.1, y: float = -0.2, tint: tuple[float, float, float] = (1, 1, 1)) -> Floats:
    """[H, W, 3] relative to 1: a lamp off centre, its corners weaker in blue."""
    across, down = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    r2 = (across - x) ** 2 + (down - y) ** 2
    return np.stack([tint[k] * (1 - strength * (1 + 0.1 * k) * r2 / 2.5 - 0.03 * across * down) for k in range(3)], axis=2)


def blank(light: Floats, seed: int, level: float = 225, noise: float = 4, dirt: int = 3) -> Image:
    rng = np.random.default_rng(seed)
    field = level * light + rng.normal(0, noise, light.shape)
    for x, y, radius in rng.integers((0, 0, 3), (WIDTH, HEIGHT, 12), (dirt, 3)).tolist():
        cv2.circle(field, (x, y), radius, (90, 80, 70), -1)
    return np.asarray(field.clip(0, 255), np.uint8)


@pytest.mark.parametrize(
    ("light", "noise"),
    [
        pytest.param(vignette(), 4.0, id="a vignette off centre"),
        pytest.param(vignette(tint=(0.7, 0.9, 1.0)), 4.0, id="and a tint"),
        pytest.param(vignette(0.0), 9.0, id="even, and noisy"),
        pytest.param(vignette(0.36), 2.0, id="a strong one"),
    ],
)
def test_a_known_light_is_found_and_taken_away_within_a_per_cent(light: Floats, noise: float) -> None:
    fit = LightFit()
    for seed in range(6):
        fit.add(f"{seed}.png", blank(light, seed, noise=noise))
    found = fit.light()
    shade = light_at(found.shade, WIDTH, HEIGHT)
    assert np.abs(shade / (light / light.max(axis=(0, 1))) - 1).max() < 0.01
    assert found.white == pytest.approx(225 * light.max(axis=(0, 1)), rel=0.01)
    clean = np.asarray(np.rint(225 * light), np.uint8)
    flat = np.empty_like(clean)
    correction = Correction(shade=found.shade)
    correction.apply(clean, flat, correction.gains(WIDTH, HEIGHT))
    smooth = cv2.GaussianBlur(flat.astype(np.float32), (0, 0), 4)
    assert float((np.ptp(smooth, axis=(0, 1)) / smooth.mean(axis=(0, 1))).max()) < 0.02, "one per cent to either side"


def with_cells(image: Image) -> Image:
    rng = np.random.default_rng(9)
    for x, y in rng.integers((0, 0), (WIDTH, HEIGHT), (60, 2)).tolist():
        cv2.circle(image, (x, y), 26, (150, 140, 200), -1)
    return image


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param([blank(vignette(), 1)], "cannot tell light from dirt", id="one field only"),
        pytest.param([blank(vignette(0.1), k, level=262) for k in range(3)], "overexposed", id="a saturated blank"),
        pytest.param([blank(vignette(), k, level=35) for k in range(3)], "too dark", id="hardly any light"),
        pytest.param([with_cells(blank(vignette(), k)) for k in range(3)], "no blank field", id="red cells"),
        pytest.param(
            [blank(vignette(), k, level=225 if k else 190) for k in range(4)], "automatic exposure", id="one of other exposure"
        ),
        pytest.param([blank(vignette(0.95, 0, 0), k) for k in range(3)], "of the light of the brightest", id="black corners"),
        pytest.param(
            [blank(vignette(0.05) * np.where(np.arange(WIDTH) < 120, 0.75, 1.0)[None, :, None], k) for k in range(3)],
            "no blank field|not smooth",
            id="the border of a diaphragm",
        ),
    ],
)
def test_what_shows_no_light_is_a_sentence(fields: list[Image], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit = LightFit()
        for number, image in enumerate(fields):
            fit.add(f"{number}.png", image)
        fit.light()


def folder(path: Path, change: Callable[[Image], Image] = lambda image: image) -> Path:
    path.mkdir()
    for seed in range(4):
        cv2.imwrite(str(path / f"{seed}.png"), change(blank(vignette(tint=(0.8, 0.9, 1.0)), seed)))
    return path


def test_the_command_adds_the_light_to_a_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blanks, before, out = folder(tmp_path / "blank"), tmp_path / "before.json", tmp_path / "after.json"
    profile_file(before, (WIDTH, HEIGHT), None)
    words = ["illumination", f"folder:{blanks}", "--profile", before, "--out", out]
    assert leuko_calib(*words, "--json") == 0
    said, (profile, digest) = json.loads(capsys.readouterr().out), load_profile(out)
    assert said["profile_sha256"] == digest and said["fields"] == 4
    assert profile.instrument == "bench" and profile.illumination is not None
    assert profile.illumination.white == tuple(said["white"])
    assert Path(said["picture"]).is_file() and said["residual"] < 0.01
    assert leuko_calib(*words) == 3 and "already exists" in capsys.readouterr().err


def test_another_cameras_fields_are_not_added_to_a_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blanks, before = folder(tmp_path / "blank", lambda image: image[:400]), tmp_path / "before.json"
    profile_file(before, (WIDTH, HEIGHT), None)
    assert leuko_calib("illumination", f"folder:{blanks}", "--profile", before, "--out", tmp_path / "after.json") == 3
    assert "732 x 574 px" in capsys.readouterr().err and not (tmp_path / "after.json").exists()


def test_one_picture_again_and_again_is_not_several_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its dirt would be taken for light."""
    blanks, out = folder(tmp_path / "blank"), tmp_path / "after.json"
    for at in range(1, 4):
        (blanks / f"{at}.png").write_bytes((blanks / "0.png").read_bytes())
    assert leuko_calib("illumination", f"folder:{blanks}", "--out", out) == 7
    assert "are 1 picture again and again" in capsys.readouterr().err and not out.exists()
