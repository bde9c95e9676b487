"""The virtual slide: its truth must be true, and the same glass must lie under every field."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from edge.contracts.cells import CELLS, NAMES
from edge.virtual import UM_PER_PX, SlideSettings, VirtualSlide
from edge.virtual.placement import Placement
from edge.virtual.settings import FIELD_AREA_UM2
from edge.virtual.slide import JUDGED_FRACTION

EVEN = dict.fromkeys(NAMES, 1.0)
CLEAR = {"noise": 0.0, "blur_px": 0.0, "defocus_px": 0.0, "vignetting": 0.0}


def crowded(**changes: object) -> SlideSettings:
    """Cells of every class, no camera in the way, few variants so that opening is quick."""
    return SlideSettings.model_validate(
        {"seed": 3, "wbc_per_field_mean": 4.0, "class_mix": EVEN, "variants": 1, **CLEAR, **changes}
    )


@pytest.fixture(scope="module")
def slide() -> VirtualSlide:
    return VirtualSlide(crowded())


@pytest.fixture(scope="module")
def bare() -> VirtualSlide:
    """The same cells without anything between them."""
    return VirtualSlide(crowded(rbc_per_field_mean=0.0, platelets_per_field_mean=0.0, stain_variation=0.0))


def test_one_seed_is_one_slide_and_another_seed_another(slide: VirtualSlide) -> None:
    again, other = VirtualSlide(crowded()).render(500.0, -300.0), VirtualSlide(crowded(seed=4)).render(500.0, -300.0)
    first = slide.render(500.0, -300.0)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.boxes_px, again.boxes_px)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize(
    ("dx_px", "dy_px"),
    [
        pytest.param(300, 0, id="beside"),
        pytest.param(0, -250, id="above"),
        pytest.param(-411, 207, id="diagonal, no multiple of any tile or square"),
    ],
)
def test_overlapping_fields_show_the_same_pixels_and_cells(slide: VirtualSlide, dx_px: int, dy_px: int) -> None:
    x_um, y_um = -1234.5, 678.9
    first = slide.render(x_um, y_um, field_key=1)
    second = slide.render(x_um + dx_px * UM_PER_PX, y_um + dy_px * UM_PER_PX, field_key=2)
    height, width = first.image.shape[:2]
    rows, columns = slice(max(dy_px, 0), height + min(dy_px, 0)), slice(max(dx_px, 0), width + min(dx_px, 0))
    moved_rows = slice(rows.start - dy_px, rows.stop - dy_px)
    moved_columns = slice(columns.start - dx_px, columns.stop - dx_px)
    assert np.array_equal(first.image[rows, columns], second.image[moved_rows, moved_columns])
    whole = {key: box for key, box, seen in zip(first.keys, first.boxes_px, first.visible_fraction, strict=True) if seen == 1.0}
    both = [
        (whole[key], box)
        for key, box, seen in zip(second.keys, second.boxes_px, second.visible_fraction, strict=True)
        if key in whole and seen == 1.0
    ]
    for there, here in both:
        assert np.array_equal(there - here, [dx_px, dy_px, dx_px, dy_px])


def test_overlapping_fields_share_cells_by_key(slide: VirtualSlide) -> None:
    """Guards the test above: without shared whole cells it would compare nothing."""
    shared = 0
    for row in range(6):
        here, there = slide.render(0.0, 90.0 * row), slide.render(40.0, 90.0 * row)
        shared += len(set(here.keys[here.visible_fraction == 1.0]) & set(there.keys[there.visible_fraction == 1.0]))
    assert shared >= 5


def test_cells_lie_where_box_and_stage_say(slide: VirtualSlide) -> None:
    """The place is the middle of the drawing: an uneven shape may be off by a quarter of its side. It is one number."""
    places: dict[int, tuple[float, float]] = {}
    for column in range(6):
        field = slide.render(60.0 * column, -40.0 * column)
        whole = field.visible_fraction == 1.0
        middle_px = (field.boxes_px[:, :2] + field.boxes_px[:, 2:]) / 2
        size_px = np.array([field.image.shape[1], field.image.shape[0]])
        off_um = np.abs(field.stage_um + (middle_px - size_px / 2) * UM_PER_PX - field.centres_um)[whole]
        sides_um = ((field.boxes_px[:, 2:] - field.boxes_px[:, :2]) * UM_PER_PX)[whole]
        assert (off_um <= 0.25 * sides_um + UM_PER_PX).all()
        for key, centre in zip(field.keys.tolist(), field.centres_um.tolist(), strict=True):
            assert places.setdefault(key, tuple(centre)) == tuple(centre)
    assert len(places) > 10


def test_a_stage_out_of_focus_blurs_alike_above_and_below_and_moves_nothing(slide: VirtualSlide) -> None:
    fields = {z: slide.render(0.0, 0.0, defocus_um=z) for z in (0.0, 0.5, -0.5, 3.0, 1e9)}
    contrast = {z: float(field.image.astype(np.float32).std()) for z, field in fields.items()}
    assert contrast[0.0] > contrast[0.5] > contrast[3.0] > contrast[1e9]
    assert np.array_equal(fields[0.5].image, fields[-0.5].image)
    assert all(np.array_equal(field.boxes_px, fields[0.0].boxes_px) for field in fields.values())


def test_boxes_are_where_the_dye_is(bare: VirtualSlide) -> None:
    """On a slide with nothing else, every dark pixel lies in a box and every box is filled to its four sides."""
    light = np.asarray(bare.stain.light_bgr)
    checked = 0
    for column in range(8):
        field = bare.render(200.0 * column, 0.0)
        stained = (light - field.image).max(2) > 15
        outside = stained.copy()
        for x1, y1, x2, y2 in field.boxes_px.astype(int):
            # 3 px: the soft edge; a smudge or a precipitate frays beyond half of its strength.
            outside[max(y1 - 3, 0) : y2 + 3, max(x1 - 3, 0) : x2 + 3] = False
        # Along the frame's border the soft edge of a cell that is hardly inside may be all that shows of it.
        assert not outside[4:-4, 4:-4].any()
        rows = zip(field.boxes_px.astype(int), field.labels, field.visible_fraction, strict=True)
        for (x1, y1, x2, y2), label, seen in rows:
            if CELLS[label].is_wbc and seen > 0.1:
                inside = stained[y1:y2, x1:x2]
                down, across = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
                assert down[0] <= 3 and across[0] <= 3
                assert down[-1] >= y2 - y1 - 4 and across[-1] >= x2 - x1 - 4
                checked += 1
    assert checked >= 10


def test_cells_cut_by_the_border_say_how_much_is_left(bare: VirtualSlide) -> None:
    whole = next(field for field in (bare.render(200.0 * n, 0.0) for n in range(20)) if (field.visible_fraction == 1.0).any())
    row = int(np.flatnonzero(whole.visible_fraction == 1.0)[0])
    x1, _, x2, _ = whole.boxes_px[row]
    seen = []
    # Move the field's left border across the cell.
    for cut in (0.25, 0.5, 0.75):
        border_px = x1 + cut * (x2 - x1)
        field = bare.render(whole.stage_um[0] + float(border_px) * UM_PER_PX, whole.stage_um[1])
        at = int(np.flatnonzero(field.keys == whole.keys[row])[0])
        assert field.boxes_px[at, 0] == 0.0
        assert field.judged[at] == (field.visible_fraction[at] >= JUDGED_FRACTION)
        seen.append(float(field.visible_fraction[at]))
    assert 1.0 > seen[0] > seen[1] > seen[2] > 0.0
    assert 0.3 < seen[1] < 0.7


@pytest.mark.parametrize(
    ("wbc", "stretch_um"),
    [pytest.param(0.16, 8000.0, id="normal density"), pytest.param(3.0, 1400.0, id="dense, thinned by spacing")],
)
def test_density_and_mix_are_the_asked_ones(wbc: float, stretch_um: float) -> None:
    settings = SlideSettings(seed=11, wbc_per_field_mean=wbc)
    cells = Placement(settings, red_variants=1, platelet_variants=1).labelled((0.0, 0.0, stretch_um, stretch_um))
    is_wbc = np.array([cell.is_wbc for cell in CELLS])
    expected = wbc * stretch_um**2 / FIELD_AREA_UM2
    assert int(is_wbc[cells.label].sum()) == pytest.approx(expected, abs=5 * math.sqrt(expected))
    for label, weight in enumerate(settings.weights()):
        mean = weight * len(cells)
        assert (cells.label == label).sum() == pytest.approx(mean, abs=5 * math.sqrt(mean) + 1), NAMES[label]


def test_most_fields_of_a_normal_slide_hold_no_leukocyte() -> None:
    slide = VirtualSlide(SlideSettings(seed=5, variants=1, class_mix={"lymphocyte": 1.0}))
    fields = [slide.render(200.0 * n, 0.0, field_key=n) for n in range(40)]
    empty = [field for field in fields if not len(field.labels)]
    # exp(-0.16) of the centres, fewer because cells at the border reach in.
    assert 25 <= len(empty) <= 39
    for field in empty:
        assert field.boxes_px.shape == (0, 4) and field.labels.dtype == np.int32
        assert field.visible_fraction.shape == (0,) and field.judged.shape == (0,)
        assert field.image.std() > 3.0  # red cells are still there


def test_noise_and_focus_belong_to_the_exposure() -> None:
    slide = VirtualSlide(SlideSettings(seed=3, variants=1, wbc_per_field_mean=2.0))
    first, second, again = (slide.render(0.0, 0.0, field_key=key) for key in (1, 2, 1))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, second.image)
    assert np.array_equal(first.boxes_px, second.boxes_px)


def test_light_differs_between_slides_and_not_without_variation() -> None:
    lights = {VirtualSlide(crowded(seed=seed, class_mix={"nrbc": 1.0, "lymphocyte": 1.0})).stain.light_bgr for seed in range(3)}
    fixed = {VirtualSlide(crowded(seed=seed, class_mix={"lymphocyte": 1.0}, stain_variation=0.0)).stain for seed in range(2)}
    assert len(lights) == 3 and len(fixed) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"class_mix": {"leucocyte": 1.0}}, "unknown classes", id="misspelt class"),
        pytest.param({"class_mix": {"smudge": 1.0}}, "at least 2 % leukocytes", id="density is per leukocyte"),
        pytest.param({"wbc_per_field_mean": 6.0, "class_mix": {"blast": 1.0, "smudge": 9.0}}, "do not fit", id="no room"),
        pytest.param({"wbc": 1.0}, "wbc", id="unknown setting"),
    ],
)
def test_settings_that_cannot_be_used_say_why(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SlideSettings.model_validate(changes)
