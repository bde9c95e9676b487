"""um/px from drawn stage micrometers whose spacing is known, and what is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.micrometer import Micrometer, draw

from calib.cli import main
from calib.lines import bright_lines, regular_spacing
from calib.stage_micrometer import measure_scale
from edge.contracts.bundle import sha256_of
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.contracts.profile import load_profile

MAX_ERROR = 0.003


@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(Micrometer(), id="upright"),
        pytest.param(Micrometer(rotation_deg=0.4), id="hardly turned"),
        pytest.param(Micrometer(rotation_deg=10), id="turned by 10 degrees"),
        pytest.param(Micrometer(rotation_deg=-30), id="turned the other way, as far as a slide will go"),
        pytest.param(Micrometer(rotation_deg=90), id="scale along y"),
        pytest.param(Micrometer(rotation_deg=12, tick_px=2000, major_px=2000), id="lines across the whole field"),
        pytest.param(Micrometer(noise=25), id="noise"),
        pytest.param(Micrometer(blur_px=5), id="out of focus"),
        pytest.param(Micrometer(gradient=1.2), id="one side three times as bright"),
        pytest.param(Micrometer(bright_lines=True), id="bright lines on dark"),
        pytest.param(Micrometer(base_line=True, rotation_deg=5), id="a line along the scale"),
        pytest.param(Micrometer(spacing_px=25.3, line_px=4, tick_px=80, major_px=300), id="short ticks among long ones"),
        pytest.param(Micrometer(spacing_px=6.4, line_px=2, blur_px=0.7), id="fine scale at low power"),
        pytest.param(Micrometer(spacing_px=120, line_px=20), id="few lines"),
        pytest.param(Micrometer(hidden=(1,)), id="a hidden line, and six in a row beside it"),
        pytest.param(Micrometer(line_px=38), id="lines as wide as the gaps"),
        pytest.param(Micrometer(31.7, 5, 120, 300, rotation_deg=22, noise=12, blur_px=1, gradient=0.8), id="all at once"),
    ],
)
def test_the_spacing_is_right(scale: Micrometer) -> None:
    found = measure_scale(draw(scale))
    assert found.spacing.spacing_px == pytest.approx(scale.spacing_px, rel=MAX_ERROR)
    assert found.spacing.standard_error_px < MAX_ERROR * scale.spacing_px
    assert (found.normal_deg + scale.rotation_deg + 90) % 180 - 90 == pytest.approx(0, abs=1)


def _grid() -> Image:
    lines = Micrometer(tick_px=2000, major_px=2000)
    return np.minimum(draw(lines), draw(Micrometer(rotation_deg=90, tick_px=2000, major_px=2000)))


@pytest.mark.parametrize(
    ("image", "says"),
    [
        pytest.param(lambda: draw(Micrometer(hidden=(-3, 2))), "evenly spaced", id="two hidden lines"),
        pytest.param(lambda: draw(Micrometer(lines=2, spacing_px=300, hidden=(1,))), "no lines", id="two lines"),
        pytest.param(lambda: draw(Micrometer(lines=0)), "no lines", id="one line"),
        pytest.param(lambda: draw(Micrometer(lines=-1)), "no lines", id="empty slide"),
        pytest.param(lambda: np.full((574, 732, 3), 128, np.uint8), "no lines", id="uniform"),
        pytest.param(lambda: np.zeros((574, 732, 3), np.uint8), "no lines", id="lamp off"),
        pytest.param(_grid, "no single line direction", id="a grid"),
        pytest.param(lambda: np.random.default_rng(1).integers(0, 255, (574, 732, 3), np.uint8), "no lines", id="pure noise"),
        pytest.param(lambda: draw(Micrometer())[:12, :12], "no lines", id="a scrap of an image"),
    ],
)
def test_what_shows_no_scale_is_refused(image: Callable[[], Image], says: str) -> None:
    pixels = image()
    with pytest.raises(DataError, match=says):
        measure_scale(pixels)


def test_the_standard_error_is_that_of_the_fit() -> None:
    centres = np.array([10.0, 20.03, 29.99, 40.01, 50.02])
    found = regular_spacing(centres)
    slope, covariance = np.polyfit(np.arange(5), centres, 1, cov=True)
    assert found.spacing_px == pytest.approx(slope[0])
    assert found.standard_error_px == pytest.approx(float(np.sqrt(covariance[0, 0])))


def test_a_line_cut_by_the_border_is_left_out() -> None:
    x = np.arange(200.0)
    profile = sum(np.exp(-(((x - centre) / 6) ** 2)) for centre in (1.0, 51.0, 101.0, 151.0))
    assert bright_lines(np.asarray(profile)).centre == pytest.approx([51, 101, 151], abs=0.01)


def test_the_command_writes_a_profile(tmp_path: Path) -> None:
    image, out = tmp_path / "micrometer.png", tmp_path / "profile.json"
    cv2.imwrite(str(image), draw(Micrometer(rotation_deg=3)))
    named = ["--instrument", "bench 3", "--objective", "50x", "--json"]
    command = [sys.executable, "-c", "from calib.cli import main; main()"]
    arguments = ["pixel-size", str(image), "--line-spacing-um", "10", "--out", str(out), *named]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    profile, digest = load_profile(out)
    said = json.loads(done.stdout)
    assert said["profile_sha256"] == digest
    assert said["um_per_px"] == profile.measured_scale.um_per_px == pytest.approx(10 / 76.92, rel=MAX_ERROR)
    assert (profile.instrument, profile.camera.objective) == ("bench 3", "50x")
    assert (profile.camera.width_px, profile.camera.height_px) == (732, 574)
    assert profile.measured_scale.image_sha256 == sha256_of(image)
    assert said["field_width_um"] == pytest.approx(732 * said["um_per_px"])
    picture = cv2.imread(str(tmp_path / "profile.png"))
    assert said["picture"] == str(tmp_path / "profile.png")
    red = (picture[:, :, 2] > 150) & (picture[:, :, 1] < 100)
    assert red.sum() > 100 * said["lines_found"], "every line that was found is drawn"


@pytest.mark.parametrize(
    ("prepare", "code", "says"),
    [
        pytest.param("16-bit", 4, "uint16", id="16 bits"),
        pytest.param("no image", 4, "cannot be decoded", id="not an image"),
        pytest.param("missing", 4, "cannot be read", id="no such file"),
        pytest.param("profile exists", 3, "already exists", id="never overwrites a profile"),
        pytest.param("empty slide", 7, "no lines", id="no scale in the image"),
    ],
)
def test_the_command_refuses_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prepare: str, code: int, says: str
) -> None:
    image, out = tmp_path / "micrometer.png", tmp_path / "profile.json"
    pixels = draw(Micrometer(lines=-1 if prepare == "empty slide" else 400))
    if prepare != "missing":
        cv2.imwrite(str(image), pixels.astype(np.uint16) * 257 if prepare == "16-bit" else pixels)
    if prepare == "no image":
        image.write_bytes(b"hello")
    if prepare == "profile exists":
        out.write_text("{}")
    monkeypatch.setattr(sys, "argv", ["leuko-calib", "pixel-size", str(image), "--line-spacing-um", "10", "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == code
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert out.exists() == (prepare == "profile exists")
