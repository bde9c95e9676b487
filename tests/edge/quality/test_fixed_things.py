"""What is fixed in the picture and counted in field after field is said to be no cell; cells never are, wherever they lie."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.folder_run import doubts_of, messages_of, records_over
from support.red_cell_fields import Smear, draw_smear
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.detections import Image
from edge.contracts.records import Detection
from edge.quality import FixedThings
from edge.quality.fixed_things import OF_THE_LAST, SEEN_IN

pytestmark = pytest.mark.timeout(60)

UM_PER_PX = 0.13
AT, SIDE = (220, 260), 90
"""Middle and side of the speck, in px."""

Box = tuple[float, float, float, float]
Paint = Callable[[Image, int], Image]


def cell(box: Box, label: str = "lymphocyte") -> Detection:
    return Detection(
        label=label,
        best_class=label,
        is_wbc=True,
        score=0.9,
        presence=0.9,
        margin=0.9,
        box_px=box,
        size_um=(12.0, 12.0),
        touches_border=False,
    )


def box_at(x: float, y: float, side: float = SIDE) -> Box:
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def trembling(seed: int) -> Box:
    """As a detector finds a speck: a few per cent off, each time."""
    x, y, side = np.array([*AT, SIDE]) + np.random.default_rng(seed).normal(0, 0.03 * SIDE, 3)
    return box_at(x, y, side)


def speck(image: Image, _: int = 0, at: tuple[int, int] = AT, dark: float = 0.25) -> Image:
    """A dark lump whose light is taken from what lies behind it."""
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.circle(mask, at, SIDE // 2 - 6, 1.0, -1)
    cv2.circle(mask, (at[0] - 20, at[1] + 12), 10, 0.6, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 3), np.float32)
    return np.asarray(image * (1 - (1 - dark) * mask[:, :, None]), np.uint8)


def leukocyte(image: Image, seed: int, at: tuple[int, int] = AT) -> Image:
    """Another cell each time, at the place of the others."""
    rng = np.random.default_rng(seed)
    painted = image.copy()
    cv2.circle(painted, at, SIDE // 2, (200, 160, 190), -1)
    for _ in range(3):
        dx, dy = rng.integers(-16, 17, 2).tolist()
        cv2.circle(painted, (at[0] + dx, at[1] + dy), int(rng.integers(12, 22)), (120, 40, 90), -1)
    return painted


def written(image: Image, _: int) -> Image:
    painted = image.copy()
    cv2.putText(painted, "50x", (AT[0] - 40, AT[1] + 15), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0, 0, 0), 6)
    return painted


def untouched(image: Image, _: int) -> Image:
    return image


def said_of(paint: Paint, n: int = 12, *, found: Callable[[int], bool] = lambda _: True, one_field: bool = False) -> list[str]:
    things, said = FixedThings(UM_PER_PX), []
    for number in range(n):
        image = paint(draw_smear(Smear(cells=25), 1 if one_field else number), number)
        things.look(str(number), image)
        sentence = things.counted(str(number), (cell(trembling(number)),) if found(number) else ())
        said += [sentence] if sentence else []
    return said


@pytest.mark.parametrize(
    ("paint", "says"),
    [
        pytest.param(speck, True, id="a speck"),
        pytest.param(lambda image, number: speck(image, number, dark=0.05), True, id="a black one"),
        pytest.param(written, True, id="writing"),
        pytest.param(leukocyte, False, id="another cell each time, as in a collection of cells cut out"),
        pytest.param(untouched, False, id="whatever lies there"),
        pytest.param(lambda image, n: speck(image, n, (AT[0] + 9 * n, AT[1])), False, id="the same cell as the stage moves on"),
    ],
)
def test_what_is_fixed(paint: Paint, says: bool) -> None:
    said = said_of(paint)
    assert len(said) == says, "once"
    assert not said or ("x 1" in said[0] and "called lymphocyte" in said[0])


@pytest.mark.parametrize(
    ("every", "says"),
    [
        pytest.param(2, True, id="every other field"),
        pytest.param(OF_THE_LAST // SEEN_IN, True, id="as seldom as may be"),
        pytest.param(OF_THE_LAST // (SEEN_IN - 1) + 1, False, id="more seldom"),
    ],
)
def test_dirt_that_the_model_takes_for_a_cell_now_and_then(every: int, says: bool) -> None:
    assert bool(said_of(speck, every * SEEN_IN, found=lambda number: number % every == 0)) == says


def test_one_field_again_and_again_is_no_proof() -> None:
    """The stage stands, or a recording is played in a circle: that is said elsewhere, and a cell is a cell there."""
    assert not said_of(speck, one_field=True)


def test_fields_that_failed_are_forgotten() -> None:
    things = FixedThings(UM_PER_PX)
    for number in range(200):
        things.look(str(number), np.zeros((60, 80, 3), np.uint8))
    assert len(things._looks) <= 64
    assert things.counted("0", (cell(box_at(30, 30, 20)),)) == "", "a field nobody remembers"


def test_cells_at_a_border_and_of_no_size_are_borne() -> None:
    things = FixedThings(UM_PER_PX)
    for number in range(12):
        things.look(str(number), draw_smear(Smear(cells=25, width_px=400, height_px=300), number))
        things.counted(str(number), (cell((-20.0, -20.0, 30.0, 30.0)), cell((399.0, 299.0, 400.0, 300.0))))


def test_cells_cut_out_one_by_one_are_no_dirt(real_data: Path) -> None:
    files = sorted((real_data / "pbc_tiles").glob("*/*.jpg"))
    things, said = FixedThings(0.10), ""
    for path in files:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        things.look(path.name, image)
        said += things.counted(path.name, (cell(box_at(image.shape[1] / 2, image.shape[0] / 2, 120)),))
    assert len(files) > 100 and said == ""


def test_a_speck_before_real_fields_is_found_out(real_data: Path) -> None:
    things, said = FixedThings(0.187), ""
    for number, path in enumerate(sorted((real_data / "rbc_fields" / "images").glob("d_*"))[:12]):
        things.look(path.name, speck(np.asarray(cv2.imread(str(path)), np.uint8)))
        said += things.counted(path.name, (cell(trembling(number)),))
    assert "the same thing is counted at the same place" in said


@pytest.mark.parametrize("paint", [pytest.param(speck, id="a speck"), pytest.param(untouched, id="nothing")])
def test_a_run_says_it_by_an_event_and_at_its_end(tmp_path: Path, paint: Paint) -> None:
    """The small network finds what is dark."""
    for number in range(12):
        field = draw_smear(Smear(cells=20, leukocytes=1, width_px=640, height_px=512, platelets=0), number)
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), paint(field, number))
    records = records_over(tmp_path, write_tiny_bundle(tmp_path / "bundle").path, UM_PER_PX)
    said = messages_of(records, "fixed_thing")
    assert bool(said) == (paint is speck) and doubts_of(records, "the same thing is counted") == said
