"""A stage whose matrix, backlash and error are known is measured; moves that show nothing certain are a sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.calib_here import leuko_calib, profile_file
from support.moved_stage import SIZE_PX, UM_PER_PX, DrawnStage, Floats, drawn_slide, grid, store, turned

from calib.field_shifts import ShiftedImages
from calib.move_grid import Moves, find_pairs
from calib.stage_fit import StageFit, approaches, fit_stage, place_images
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.contracts.profile import load_profile

pytestmark = pytest.mark.timeout(120)

SOAK = pytest.mark.soak


def measured(drawn: DrawnStage, commanded_um: Floats, spoil: Callable[[list[Image]], list[Image]] = list) -> StageFit:
    images = spoil(drawn.images(commanded_um))
    shifted = ShiftedImages(images, [tuple(place) for place in commanded_um.tolist()])
    moves = Moves([str(at) for at in range(len(images))], [], commanded_um)
    found = find_pairs(shifted, moves, SIZE_PX, UM_PER_PX)
    return fit_stage(commanded_um, place_images(len(images), found.pairs))


def off_nm(fit: StageFit, truth: Floats) -> float:
    """Rms distance over a field between places by the matrix that was found and by the true one."""
    wrong = fit.um_per_px - truth
    return 1000 * float(np.sqrt(np.trace(wrong @ np.diag(np.square(SIZE_PX) / 12.0) @ wrong.T)))


CAMERAS = [
    pytest.param(DrawnStage(turned(2.5)), marks=SOAK, id="turned a little"),
    pytest.param(DrawnStage(turned(3) @ np.diag([1, -1])), id="mirrored in y"),
    pytest.param(DrawnStage(turned(-2) @ np.diag([-1, 1])), marks=SOAK, id="mirrored in x"),
    pytest.param(DrawnStage(UM_PER_PX * np.array([[0.0, 1], [1, 0]])), id="x and y exchanged"),
    pytest.param(DrawnStage(turned(115)), marks=SOAK, id="turned far"),
    pytest.param(DrawnStage(turned(2) @ np.array([[1, 0.04], [0, 1.03]])), id="sheared, and pixels not square"),
    pytest.param(DrawnStage(turned(1), dust=True, light=True), id="dust and uneven light that stay with the camera"),
    pytest.param(DrawnStage(turned(1), jpeg=40), id="JPEG, whose blocks stay with the camera"),
    pytest.param(DrawnStage(turned(1), noise=15), marks=SOAK, id="noisy"),
    pytest.param(DrawnStage(turned(1, 0.1)), marks=SOAK, id="another scale"),
]


@pytest.mark.parametrize("drawn", CAMERAS)
def test_a_place_in_a_field_is_known_to_fifty_nanometres(drawn: DrawnStage) -> None:
    fit = measured(drawn, grid())
    assert off_nm(fit, drawn.um_per_px) < 50
    assert fit.sigma_um == pytest.approx((0.1, 0.1), abs=0.06)
    assert abs(fit.pixel_um - np.sqrt(abs(np.linalg.det(drawn.um_per_px)))) < 4 * fit.pixel_error_um + 1e-5
    assert fit.far_off == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_the_claimed_error_is_about_the_true_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = DrawnStage(turned(float(rng.uniform(0, 360))), (float(rng.uniform(0, 4)), -1.0), 0.3, seed=seed)
    fit = measured(drawn, grid(back=True))
    assert off_nm(fit, drawn.um_per_px) < 3 * fit.error_nm(*SIZE_PX)
    for axis in (0, 1):
        backlash = fit.backlash_um[axis]
        assert backlash is not None and backlash == pytest.approx(drawn.backlash_um[axis], abs=0.5)


@pytest.mark.parametrize(
    ("backlash_um", "step_um"),
    [
        pytest.param((3.0, 1.2), (30, 25), marks=SOAK, id="both axes fall short"),
        pytest.param((-1.5, 2.0), (30, 25), id="one is corrected too far"),
        pytest.param((0.0, 0.0), (30, 25), marks=SOAK, id="none"),
        pytest.param((3.0, 2.0), (9, 8), id="a third of the step"),
    ],
)
def test_backlash_has_its_size_and_sign(backlash_um: tuple[float, float], step_um: tuple[float, float]) -> None:
    fit = measured(DrawnStage(turned(4), backlash_um), grid(step_um=step_um, back=True))
    assert fit.backlash_um == pytest.approx(backlash_um, abs=0.25)
    assert fit.repeatability_um == pytest.approx((0.1, 0.1), abs=0.06)


def test_backlash_of_an_axis_that_never_turned_is_not_known() -> None:
    fit = measured(DrawnStage(turned(4), (2.0, 2.0)), grid())
    assert fit.backlash_um[0] == pytest.approx(2.0, abs=0.25) and fit.backlash_um[1] is None
    assert fit.repeatability_um == (None, None)


@pytest.mark.parametrize(("columns", "rows"), [(3, 2), (2, 4)])
def test_two_positions_along_an_axis_leave_its_scale_open(columns: int, rows: int) -> None:
    with pytest.raises(DataError, match="backlash cannot be told from the scale"):
        measured(DrawnStage(turned(4), (2.0, 2.0)), grid(columns, rows, back=True))


def test_how_a_position_was_approached() -> None:
    way = np.array([0.0, 0, 5, 10, 10, 8, 7.5, 4, 5, 20])
    assert approaches(way, 3.0).tolist()[2:] == pytest.approx([0.5, 0.5, 0.5, -1 / 6, -1 / 3, -0.5, -1 / 6, 0.5])
    assert np.isnan(approaches(way, 3.0)[:2]).all()
    assert approaches(way, -3.0)[5:].tolist() == [-0.5, -0.5, -0.5, 0.5, 0.5]


def _empty(at: int) -> Callable[[list[Image]], list[Image]]:
    return lambda images: [np.full_like(image, 231) if n % 7 == at else image for n, image in enumerate(images)]


def _one_is_another(images: list[Image]) -> list[Image]:
    return [*images[:5], images[10], *images[6:]]


@pytest.mark.parametrize(
    "spoil", [pytest.param(_empty(3), id="empty fields"), pytest.param(_one_is_another, id="an image of another position")]
)
def test_a_few_bad_images_change_nothing(spoil: Callable[[list[Image]], list[Image]]) -> None:
    assert off_nm(measured(DrawnStage(turned(2)), grid(), spoil), turned(2)) < 50


def test_a_position_that_the_stage_missed_is_named_and_changes_little() -> None:
    commanded = grid(5, 4, (24.0, 20.0))
    told = commanded.copy()
    told[7] += (4.0, -3.0)
    fit = measured(DrawnStage(turned(2)), commanded)
    images = DrawnStage(turned(2)).images(commanded)
    shifted = ShiftedImages(images, [tuple(place) for place in told.tolist()])
    found = find_pairs(shifted, Moves([str(at) for at in range(20)], [], told), SIZE_PX)
    missed = fit_stage(told, place_images(20, found.pairs))
    assert missed.far_off == [7] and off_nm(missed, turned(2)) < off_nm(fit, turned(2)) + 60


def _same(images: list[Image]) -> list[Image]:
    return [images[0]] * len(images)


def _same_but_noisy(images: list[Image]) -> list[Image]:
    rng = np.random.default_rng(4)
    return [np.clip(images[0] + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8) for image in images]


def _shuffled(images: list[Image]) -> list[Image]:
    return [images[at] for at in np.random.default_rng(3).permutation(len(images))]


def _one_later(images: list[Image]) -> list[Image]:
    return [*images[1:], images[0]]


def _all_empty(images: list[Image]) -> list[Image]:
    rng = np.random.default_rng(4)
    return [np.clip(231 + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8) for image in images]


@pytest.mark.parametrize(
    ("commanded_um", "spoil", "says"),
    [
        pytest.param(grid(3, 3, (0.5, 0.5)), list, "which is too little to say where its corners are", id="moves too small"),
        pytest.param(grid(3, 3, (70, 60)), list, "steps may be larger than half a field", id="moves too large"),
        pytest.param(grid(3, 3), _same, "do not move with the stage", id="the stage was off"),
        pytest.param(grid(3, 3), _same_but_noisy, "do not move with the stage", id="the cap was on"),
        pytest.param(grid(3, 3), _all_empty, "the fields empty", id="an empty slide"),
        pytest.param(grid(), _shuffled, "in another order than the images", id="images in another order"),
        pytest.param(grid(), _one_later, "in another order than the images", id="each image one line too early"),
    ],
)
def test_moves_that_show_nothing_are_a_sentence(
    commanded_um: Floats, spoil: Callable[[list[Image]], list[Image]], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        measured(DrawnStage(turned(2), sigma_um=0.02), commanded_um, spoil)


def test_what_repeats_is_no_place() -> None:
    ruler = np.full_like(drawn_slide(), 230)
    ruler[:, ::77] = ruler[:, 1::77] = 40
    crossed = ruler.copy()
    crossed[::77] = crossed[1::77] = 40
    for pattern in (ruler, crossed):
        images = DrawnStage(turned(2)).images(grid(), pattern)
        shifted = ShiftedImages(images, list(range(len(images))))
        with pytest.raises(DataError, match=r"in another order than the images"):
            find_pairs(shifted, Moves([], [], grid()), SIZE_PX)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    commanded = grid(3, 3, back=True)
    images = DrawnStage(turned(3) @ np.diag([1, -1]), (2.0, 1.0), 0.05).images(commanded)
    return store(tmp_path_factory.mktemp("stage") / "grid", images, commanded)


def test_the_profile_says_where_a_pixel_lies(taken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = profile_file(tmp_path / "before.json", SIZE_PX), tmp_path / "after.json"
    words = ("stage", taken.with_suffix(""), "--moves", taken, "--profile", before, "--out", after)
    assert leuko_calib(*words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    profile, digest = load_profile(after)
    stage = profile.stage
    assert stage is not None and profile.pixel_size == load_profile(before)[0].pixel_size
    assert told["profile_sha256"] == digest and told["mirrored"] is True and told["turn_deg"] == pytest.approx(3, abs=0.2)
    assert stage.backlash_um == pytest.approx((2, 1), abs=0.15) and stage.images == 17
    true_um = np.array([100, 200]) + turned(3) @ np.diag([1, -1]) @ np.array([200, -150])
    assert stage.place_um((100, 200), (200, -150)) == pytest.approx(true_um.tolist(), abs=0.15)
    assert (tmp_path / "after.png").stat().st_size > 0
    assert leuko_calib(*words) == 3 and "already exists" in capsys.readouterr().err


def test_without_a_stated_pixel_size_the_stage_says_one(
    taken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = profile_file(tmp_path / "before.json", SIZE_PX, None)
    out = tmp_path / "after.json"
    assert leuko_calib("stage", taken.with_suffix(""), "--moves", taken, "--profile", before, "--out", out) == 0
    said = capsys.readouterr().out
    assert "0.130" in said and "mirrored" in said and "x: backlash +" in said and "y: backlash +" in said


@pytest.mark.parametrize(("factor", "um_per_px"), [(1000, UM_PER_PX), (1000, None), (0.001, None)])
def test_positions_in_another_unit_are_no_stage(
    taken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], factor: float, um_per_px: float | None
) -> None:
    table, out = tmp_path / "other.csv", tmp_path / "after.json"
    rows = [line.split(",") for line in taken.read_text().splitlines()[1:]]
    table.write_text("image,x_um,y_um\n" + "".join(f"{name},{factor * float(x)},{factor * float(y)}\n" for name, x, y in rows))
    before = profile_file(tmp_path / "before.json", SIZE_PX, um_per_px)
    assert leuko_calib("stage", taken.with_suffix(""), "--moves", table, "--profile", before, "--out", out) == 7
    assert "in micrometres" in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize(
    ("um_per_px", "size_px", "code", "says"),
    [
        pytest.param(0.1333, SIZE_PX, 7, "more than the two can differ by", id="three per cent off"),
        pytest.param(0.26, SIZE_PX, 7, "another objective or binning", id="twice"),
        pytest.param(0.00013, SIZE_PX, 7, "seem to be in nanometres", id="positions in nm"),
        pytest.param(UM_PER_PX, (732, 574), 3, "without binning", id="another camera"),
    ],
)
def test_a_stage_that_contradicts_the_profile_is_refused(
    taken: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    um_per_px: float,
    size_px: tuple[int, int],
    code: int,
    says: str,
) -> None:
    before, out = profile_file(tmp_path / "before.json", size_px, um_per_px), tmp_path / "after.json"
    assert leuko_calib("stage", taken.with_suffix(""), "--moves", taken, "--profile", before, "--out", out) == code
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not out.exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda lines: ["image,x,y", *lines[1:]], "has not the columns image, x_um and y_um", id="other columns"),
        pytest.param(lambda lines: [*lines[:3], "m2.png,here,1"], "line 4 of", id="no number"),
        pytest.param(lambda lines: [*lines[:3], "m2.png,1"], "line 4 of", id="a number is missing"),
        pytest.param(lambda lines: lines[:-1], "has no position for m16.png", id="a line is missing"),
        pytest.param(lambda lines: [*lines, "m99.png,1,2"], "names m99.png, which is not in", id="an image is missing"),
        pytest.param(lambda lines: [*lines, lines[1]], "names m0.png twice", id="an image twice"),
        pytest.param(
            lambda lines: [lines[0], *(f"{line.split(',')[0]},5,{n}" for n, line in enumerate(lines[1:]))],
            "lie on one line",
            id="one axis",
        ),
        pytest.param(
            lambda lines: [lines[0], *(f"{line.split(',')[0]},5,5" for line in lines[1:])], "are the same", id="one position"
        ),
    ],
)
def test_a_table_that_is_wrong_is_a_sentence(
    taken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[list[str]], list[str]], says: str
) -> None:
    table = tmp_path / "moves.csv"
    table.write_text("\n".join(spoil(taken.read_text().splitlines())))
    before, out = profile_file(tmp_path / "before.json", SIZE_PX), tmp_path / "after.json"
    assert leuko_calib("stage", taken.with_suffix(""), "--moves", table, "--profile", before, "--out", out) == 7
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and not out.exists()


def test_damaged_and_other_images_are_named(taken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, out = profile_file(tmp_path / "before.json", SIZE_PX), tmp_path / "after.json"
    for spoil, says in ((lambda image: image[:-2], "m4.png is 480 x 378 px"), (None, "Take that image again")):
        folder = tmp_path / says[:2]
        folder.mkdir()
        for file in taken.with_suffix("").iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        image = cv2.imread(str(folder / "m4.png"))
        assert image is not None
        if spoil is not None:
            cv2.imwrite(str(folder / "m4.png"), spoil(image))
        else:
            (folder / "m4.png").write_bytes((folder / "m4.png").read_bytes()[:9000])
        assert leuko_calib("stage", folder, "--moves", taken, "--profile", before, "--out", out) == 7
        assert says in capsys.readouterr().err
