"""The sharpest height of stacks whose truth is known, and what is refused."""

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.calib_here import leuko_calib, profile_file
from support.made_profiles import focus_range

from calib.focus_profile import FocusMeasured, as_lines
from calib.focus_range import find_focus
from calib.profile_contents import contents
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.contracts.profile import load_profile
from edge.pipeline.field_correction import watch_for
from edge.quality import FieldWatch, focus_score
from edge.quality.focus_score import _WHITE
from edge.settings.resolution import resolve
from edge.virtual.slide import SlideSettings, VirtualSlide

pytestmark = pytest.mark.timeout(60)

UM_PER_PX = 0.13
SHARP_UM, BLUR_UM_PER_UM = 3.1, 0.2
"""Where the drawn stack is sharpest, and how the radius of its blur grows with the distance from there."""


@lru_cache
def field(seed: int = 5, size_px: tuple[int, int] = (380, 300)) -> Image:
    """Not to be written into."""
    return VirtualSlide(SlideSettings(seed=seed)).render(0, 0, *size_px).image


def defocused(image: Image, z_um: float, rng: np.random.Generator, um_per_px: float = UM_PER_PX) -> Image:
    """As a stage at `z_um` shows it: blurred, and with the camera's noise, which the optics do not blur."""
    radius_px = abs(z_um - SHARP_UM) * BLUR_UM_PER_UM / um_per_px
    blurred = cv2.GaussianBlur(image, (0, 0), radius_px) if radius_px > 0.1 else image
    return np.clip(blurred + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def size_px(image: Image) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def stack(folder: Path, heights_um: list[float], image: Image) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(1)
    for at, z_um in enumerate(heights_um):
        assert cv2.imwrite(str(folder / f"z_{at}.png"), defocused(image, z_um, rng))
    return folder


HEIGHTS = [at * 0.4 for at in range(16)]
WHOLE = (732, 574)


def test_the_peak_is_where_it_was_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = field(size_px=WHOLE)
    folder = stack(tmp_path / "stack", HEIGHTS, image)
    before, after = profile_file(tmp_path / "profile.json", size_px(image)), tmp_path / "after.json"
    assert leuko_calib("focus", folder, "--step-um", 0.4, "--profile", before, "--out", after, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    profile, digest = load_profile(after)
    assert told["profile_sha256"] == digest and profile.focus is not None
    assert profile.pixel_size == load_profile(before)[0].pixel_size
    assert profile.focus.peak_z_um == pytest.approx(SHARP_UM, abs=0.1)
    low, high = profile.focus.usable_um
    assert (low + high) / 2 == pytest.approx(SHARP_UM, abs=0.15) and 0.5 < high - low < 3
    assert (tmp_path / "after.png").stat().st_size > 0
    # What it is for: other fields of the instrument are told sharp from blurred by it.
    rng = np.random.default_rng(2)
    for seed in (6, 7, 8):
        sharp = focus_score(defocused(field(seed, WHOLE), SHARP_UM, rng), UM_PER_PX)
        blurred = focus_score(defocused(field(seed, WHOLE), SHARP_UM + 3, rng), UM_PER_PX)
        assert sharp is not None and blurred is not None and blurred < profile.focus.min_score < sharp


def test_heights_from_a_table_in_any_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = field()
    shuffled = np.random.default_rng(3).permutation(HEIGHTS).tolist()
    folder = stack(tmp_path / "stack", shuffled, image)
    table = tmp_path / "z.csv"
    table.write_text("image,z_um\n" + "".join(f"z_{at}.png,{z_um - 100}\n" for at, z_um in enumerate(shuffled)))
    before = profile_file(tmp_path / "profile.json", size_px(image))
    assert leuko_calib("focus", folder, "--heights", table, "--profile", before, "--out", tmp_path / "p.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["peak_z_um"] == pytest.approx(SHARP_UM - 100, abs=0.1)


@pytest.mark.parametrize(
    ("heights_um", "words", "code", "says"),
    [
        pytest.param(HEIGHTS[:7], ["--step-um", 0.4], 7, "go on above it", id="the stack ends before the focus"),
        pytest.param(HEIGHTS[8:], ["--step-um", 0.4], 7, "go on below it", id="it begins within it"),
        pytest.param(HEIGHTS[4:10], ["--step-um", 0.4], 7, "6 images is too small", id="too few"),
        pytest.param([at * 1.6 - 3 for at in range(8)], ["--step-um", 1.6], 7, "steps of", id="steps that miss it"),
        pytest.param(HEIGHTS, [], 2, "--step-um", id="no heights"),
        pytest.param(HEIGHTS, ["--heights", "absent.csv"], 7, "absent.csv cannot be read", id="no such table"),
    ],
)
def test_a_stack_that_shows_no_peak_is_a_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    heights_um: list[float],
    words: list[object],
    code: int,
    says: str,
) -> None:
    image = field()
    folder = stack(tmp_path / "stack", heights_um, image)
    out = tmp_path / "p.json"
    before = profile_file(tmp_path / "profile.json", size_px(image))
    assert leuko_calib("focus", folder, *words, "--profile", before, "--out", out) == code
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param("image,height\nz_0.png,1\n", "columns image and z_um", id="another column"),
        pytest.param("", "columns image and z_um", id="nothing in it"),
        pytest.param("image,z_um\nz_0.png,high\n", "line 2 of", id="no number"),
        pytest.param("image,z_um\nz_0.png,nan\n", "line 2 of", id="not a height"),
        pytest.param("image,z_um\nz_9.png,1\n", "names z_9.png, which is not in", id="an image that is not there"),
        pytest.param("image,z_um\nz_0.png,1\n", "no height for z_1.png", id="an image without a height"),
        pytest.param("image,z_um\nz_0.png,1\nz_1.png,1\n", "one height twice", id="one height twice"),
    ],
)
def test_a_table_that_is_wrong_names_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str, says: str) -> None:
    image = field()
    folder = stack(tmp_path / "stack", [0, 1], image)
    table = tmp_path / "z.csv"
    table.write_text(rows)
    before = profile_file(tmp_path / "profile.json", size_px(image))
    assert leuko_calib("focus", folder, "--heights", table, "--profile", before, "--out", tmp_path / "p.json") == 7
    assert says in capsys.readouterr().err


def _damaged(folder: Path) -> None:
    file = folder / "z_3.png"
    file.write_bytes(file.read_bytes()[:5000])


def _other_size(folder: Path) -> None:
    image = cv2.imread(str(folder / "z_3.png"))
    assert image is not None and cv2.imwrite(str(folder / "z_3.png"), image[:-2])


def _blank(folder: Path) -> None:
    image = cv2.imread(str(folder / "z_3.png"))
    assert image is not None and cv2.imwrite(str(folder / "z_3.png"), np.full_like(image, 240))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_damaged, "A stack with a hole", id="damaged"),
        pytest.param(_other_size, "is of another size than the images before it", id="another size"),
        pytest.param(_blank, "shows nothing that could be in focus", id="an empty field"),
    ],
)
def test_one_image_that_cannot_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: "object", says: str
) -> None:
    image = field()
    folder = stack(tmp_path / "stack", HEIGHTS, image)
    assert callable(spoil)
    spoil(folder)
    before = profile_file(tmp_path / "profile.json", size_px(image))
    assert leuko_calib("focus", folder, "--step-um", 0.4, "--profile", before, "--out", tmp_path / "p.json") == 7
    assert says in capsys.readouterr().err


def test_two_layers_in_focus_are_not_one_peak() -> None:
    z_um = [at * 0.5 for at in range(20)]
    two = [np.exp(-((z - 3) ** 2)) + 0.9 * np.exp(-((z - 7) ** 2)) + 0.1 for z in z_um]
    with pytest.raises(DataError, match="two peaks, at 3 and 7 um"):
        find_focus(z_um, two, 0.6)


def test_what_rises_again_in_the_blur_is_noise() -> None:
    z_um = [at * 0.5 for at in range(15)]
    noisy = [0.7 * np.exp(-((z - 3.5) ** 2) / 2) + 0.06 * (z - 3.5) ** 2 for z in z_um]
    with pytest.raises(DataError, match=r"rises again below the focus, to 0\.74 at 0 um"):
        find_focus(z_um, noisy, 0.6)


@pytest.mark.parametrize("z0_um", [2.0, 2.13, 2.25])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_peak_lies_between_planes(z0_um: float, noise: float) -> None:
    rng = np.random.default_rng(4)
    z_um = [at * 0.25 for at in range(18)]
    scores = [float(2 * np.exp(-((z - z0_um) ** 2)) * (1 + noise * rng.standard_normal())) for z in z_um]
    focus = find_focus(z_um, scores, 0.6)
    assert focus.peak_z_um == pytest.approx(z0_um, abs=0.05)
    half_um = np.sqrt(-np.log(0.6))
    assert focus.usable_um == pytest.approx((z0_um - half_um, z0_um + half_um), abs=0.06)


@pytest.mark.parametrize(
    ("folder", "um_per_px"), [("chula_wbc", 0.13), ("bccd", 0.073), ("pbc_more", 0.1), ("rbc_fields", 0.18)]
)
def test_photographs_lose_score_with_focus_and_with_nothing_else(real_data: Path, folder: str, um_per_px: float) -> None:
    files = sorted(file for file in (real_data / folder).rglob("*") if file.suffix in {".jpg", ".png"})
    for file in files[:: max(1, len(files) // 6)]:
        image = cv2.imread(str(file))
        assert image is not None
        scores = [focus_score(image, um_per_px)]
        scores += [focus_score(cv2.GaussianBlur(image, (0, 0), s_um / um_per_px), um_per_px) for s_um in (0.15, 0.3, 0.5, 0.8)]
        known = [score for score in scores if score is not None]
        assert len(known) == 5 and known == sorted(known, reverse=True), file
        dimmed = focus_score(np.asarray(image * 0.6, np.uint8), um_per_px)
        assert dimmed == pytest.approx(known[0], rel=0.05)


def _as_taken(image: Image, kind: str, sigma: float, rng: np.random.Generator) -> Image:
    """With the noise of a bare sensor, of one with a Bayer mosaic, of few photons, or of a sensor behind JPEG."""
    light = image.astype(np.float32)
    shape = np.sqrt(np.maximum(light, 1) / 128) if kind == "photons" else 1.0
    noisy = np.clip(light + sigma * shape * rng.standard_normal(image.shape, np.float32) + 0.5, 0, 255).astype(np.uint8)
    if kind == "bayer":
        mosaic = np.empty(image.shape[:2], np.uint8)
        for y, x, channel in ((0, 0, 2), (0, 1, 1), (1, 0, 1), (1, 1, 0)):
            mosaic[y::2, x::2] = noisy[y::2, x::2, channel]
        return np.asarray(cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB), np.uint8)
    if kind.startswith("jpeg"):
        packed = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(kind[4:])])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return noisy


SENSORS = [("bare", 0), ("bare", 2), ("bare", 5), ("bare", 10), ("bayer", 2), ("bayer", 6), ("photons", 6), ("jpeg80", 5)]


@pytest.mark.parametrize(("kind", "sigma"), SENSORS)
@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_noise_is_no_sharpness(kind: str, sigma: float, gain: float) -> None:
    """A quiet camera and a noisy one see the same in focus, and neither sees anything sharp far out of it."""
    rng = np.random.default_rng(7)
    clean = np.asarray(field() * gain, np.uint8)
    scores = []
    for blur_um in (0, 0.3, 0.6, 1, 1.5, 2.5, 4):
        out = clean if blur_um == 0 else np.asarray(cv2.GaussianBlur(clean, (0, 0), blur_um / UM_PER_PX), np.uint8)
        scores.append(focus_score(_as_taken(out, kind, sigma * gain, rng), UM_PER_PX))
    known = [score for score in scores if score is not None]
    assert len(known) >= 6
    quiet = focus_score(clean, UM_PER_PX)
    assert quiet is not None and known[0] == pytest.approx(quiet, rel=0.2)
    assert known[0] > known[1] > known[2] and (known[2] > max(known[3:]) or kind == "jpeg80")
    assert max(known[4:]) < (0.35 if kind == "jpeg80" else 0.25) * known[0]


@pytest.mark.parametrize("sigma", [1, 4, 16, 60])
def test_noise_alone_has_no_score_or_none_that_counts(sigma: float) -> None:
    rng = np.random.default_rng(8)
    empty = np.clip(200 + sigma * rng.standard_normal((574, 732, 3)), 0, 255).astype(np.uint8)
    assert (focus_score(empty, UM_PER_PX) or 0) < 0.02


def test_the_share_of_white_noise_is_the_filters() -> None:
    square = np.random.default_rng(9).standard_normal((1024, 1024)).astype(np.float32)
    half = cv2.pyrDown(square)
    finer, fine = square - cv2.pyrUp(half), half - cv2.pyrUp(cv2.pyrDown(half))
    assert float(np.mean(fine**2) / np.mean(finer**2)) == pytest.approx(_WHITE, rel=0.03)


@pytest.mark.parametrize(("kind", "sigma"), [("bare", 8), ("bayer", 6), ("jpeg80", 4)])
def test_a_stack_that_goes_far_out_with_a_noisy_camera_has_one_peak(kind: str, sigma: float) -> None:
    rng = np.random.default_rng(10)
    image = field()
    z_um = [at * 0.8 - 11 for at in range(30)]
    radii_px = [abs(z - SHARP_UM) * BLUR_UM_PER_UM / UM_PER_PX for z in z_um]
    out = [np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.1, r)), np.uint8) for r in radii_px]
    scores = [focus_score(_as_taken(each, kind, sigma, rng), UM_PER_PX) for each in out]
    focus = find_focus(z_um, scores, 0.4)
    assert focus.peak_z_um == pytest.approx(SHARP_UM, abs=0.3)
    far = [score for z, score in zip(z_um, scores, strict=True) if score is not None and abs(z - SHARP_UM) > 6]
    assert len(far) > 10 and max(far) < 0.25 * focus.peak_score


def test_a_rise_below_the_usable_range_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    z_um = [at * 0.5 for at in range(15)]
    scores = [float(np.exp(-((z - 3) ** 2))) + 0.014 * (z - 3) ** 2 for z in z_um]
    focus = find_focus(z_um, scores, 0.6)
    assert [z for z, _ in focus.rises] == [7] and focus.rises[0][1] == pytest.approx(0.22, abs=0.01)
    said = as_lines(FocusMeasured([], [], focus), tmp_path / "p.json", tmp_path / "p.png")
    assert sum("the sharpness rises again, at 7 um to 22% of its peak" in line for line in said) == 1


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        pytest.param([0.1, 0.2, 0.6, 0.3, 0.55, 0.2, 0.5, 0.1, 0.1], "jumps from image to image", id="noise"),
        pytest.param(
            [None] * 3 + [0.1, 0.3, 0.6, 0.3, 0.1, None], "9 um shows nothing|3 um shows nothing|0 um shows", id="few"
        ),
        pytest.param([0.1, 0.1, 0.2, 0.5, None, 0.5, 0.2, 0.1, 0.1], "4 um shows nothing", id="a blank in the middle"),
        pytest.param([None, 0.5, 0.6, 0.7, 0.6, 0.4, 0.2, 0.1, 0.1], "go on below it", id="a blank is no end of the focus"),
    ],
)
def test_what_the_scores_do_not_show_is_a_sentence(scores: list[float | None], says: str) -> None:
    with pytest.raises(DataError, match=says):
        find_focus([float(z) for z in range(len(scores))], scores, 0.6)


def test_faint_cells_that_are_blurred_away_at_the_ends_are_no_hole() -> None:
    scores = [None, None, 0.05, 0.1, 0.4, 0.6, 0.62, 0.4, 0.1, 0.05, None]
    focus = find_focus([at * 0.5 for at in range(len(scores))], scores, 0.6)
    assert focus.peak_z_um == pytest.approx(2.75, abs=0.1) and focus.usable_um[0] > 1.5


def test_a_stack_of_nothing_but_noise_is_said_to_be_that() -> None:
    with pytest.raises(DataError, match="shows anything finer than the camera's noise"):
        find_focus([float(z) for z in range(9)], [0.0, 0.01, 0.0, 0.02, 0.0, 0.01, 0.0, 0.0, 0.01], 0.6)


def _bad(watch: FieldWatch) -> tuple[str, ...]:
    watch.look("t", field(6, WHOLE))
    quality = watch.judged("t", 0, None).quality
    assert quality is not None
    return quality.bad


def test_a_profile_by_the_older_sharpness_is_read_and_not_compared_with(tmp_path: Path) -> None:
    path = profile_file(tmp_path / "profile.json", WHOLE)
    profile, _ = load_profile(path)
    old = focus_range().model_dump()
    del old["metric"]
    path.write_text(json.dumps(profile.model_dump() | {"focus": old}))
    read, _ = load_profile(path)
    assert read.focus is not None and not read.focus.compares
    assert next(part for part in contents(read) if part.step.part == "focus").expired
    setup = resolve({"source": "virtual:seed=0", "um_per_px": 0.13, "profile": str(path), "correct": "nothing"})
    assert [warning for warning in setup.warnings if "repeat `leuko-calib focus`" in warning]
    watch = watch_for(setup, None, UM_PER_PX)
    assert _bad(watch) == (), "1.2, the least score of that profile, is more than any field has"


def test_an_empty_slide_has_no_score() -> None:
    assert focus_score(np.full((574, 732, 3), 235, np.uint8), UM_PER_PX) is None
    assert focus_score(np.zeros((50, 50, 3), np.uint8), UM_PER_PX) is None
