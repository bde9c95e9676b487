"""Micrometer images with what spoils them: every answer is right within half a per cent, or the image is refused."""

from collections.abc import Callable

import pytest
from support.micrometer_scene import Scene, draw_scene
from support.micrometer_seeds import crowded_scene, good_scene, random_scene

from calib.stage_micrometer import measure_scale
from edge.contracts.errors import DataError

WITHIN = 0.005
FULL = (3000.0, 3000.0, 3000.0)


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(Scene(ticks_px=(20, 60, 110)), id="short ticks among long ones"),
        pytest.param(Scene(ticks_px=(45, 170, 300), top_px=-320), id="ticks cut by the border of the field"),
        pytest.param(Scene(spacing_px=8, duty=0.4, ticks_px=(60, 90, 130)), id="fine scale"),
        pytest.param(Scene(spacing_px=100, ticks_px=(260, 300, 400)), id="few lines"),
        pytest.param(Scene(duty=0.6), id="lines wider than the gaps"),
        pytest.param(Scene(ticks_px=FULL, top_px=-1500), id="lines across the field"),
        pytest.param(Scene(dust=30), id="dust"),
        pytest.param(Scene(dust=25, scratches=2), id="dust and scratches"),
        pytest.param(Scene(is_inverted=True, dust=30, scratches=2), id="bright lines on dirty glass"),
        pytest.param(Scene(contrast=0.1, blur_px=3), id="faint and soft"),
        pytest.param(Scene(light=1, vignette=0.5), id="uneven light"),
        pytest.param(Scene(field_stop=True), id="a round field in black"),
        pytest.param(Scene(jpeg=60), id="compressed"),
        pytest.param(Scene(rotation_deg=40), id="turned far"),
        pytest.param(Scene(base_line=True, ticks_px=(30, 60, 100), rotation_deg=90), id="a base line, along y"),
        pytest.param(Scene(ticks_px=FULL, top_px=-1500, rotation_deg=90), id="lines along the camera's rows, over the field"),
        pytest.param(Scene(flicker=0.05, flicker_px=60, rotation_deg=0), id="flicker across the scale"),
        pytest.param(Scene(base_line=True, blur_px=1.5), id="a soft base line"),
        pytest.param(Scene(numerals_px=30), id="figures"),
        pytest.param(Scene(is_centred=True, thin=0.5), id="ticks on both sides, thinner than each fifth"),
    ],
)
def test_the_spacing_is_right_all_the_same(scene: Scene) -> None:
    found = measure_scale(draw_scene(scene))
    assert found.spacing.spacing_px == pytest.approx(scene.spacing_px, rel=WITHIN)
    assert len(found.lines) == found.spacing.lines


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        pytest.param(Scene(lines=0, flicker=0.08), "flickering", id="an empty field under a flickering lamp"),
        pytest.param(Scene(lines=0, flicker=0.3, flicker_is_square=True), "flickering", id="dimmed by pulses"),
        pytest.param(Scene(lines=0, dust=40, scratches=3), "no lines", id="dirt alone"),
        pytest.param(Scene(ghost=0.4), "every second line", id="a double image"),
        pytest.param(Scene(lines=3), "no lines", id="three lines"),
        pytest.param(
            Scene(spacing_px=12, duty=0.25, ticks_px=(8, 24, 200), blur_px=5),
            "focus",
            id="short ticks lost in blur: not ten times",
        ),
        pytest.param(
            Scene(spacing_px=350, ticks_px=FULL, top_px=-1500), "no lines", id="wide lines that are too few: not half"
        ),
        pytest.param(Scene(spacing_px=3, duty=0.5), "line", id="lines closer than the camera separates"),
        pytest.param(
            Scene(spacing_px=9.5, duty=0.44, ticks_px=(8, 8, 48), rotation_deg=90, top_px=14, is_inverted=True, blur_px=5),
            "no single line direction|finer ticks",
            id="ticks wiped out between every tenth line",
        ),
        pytest.param(Scene(lines=0, barcode=True), "no single", id="a bar code"),
        pytest.param(Scene(lines=0, cells_px=50), "no lines", id="red cells"),
        pytest.param(Scene(ticks_px=FULL, top_px=-1500, crossed_px=40), "line direction", id="a grid"),
    ],
)
def test_what_could_be_read_wrongly_is_refused(scene: Scene, says: str) -> None:
    with pytest.raises(DataError, match=says):
        measure_scale(draw_scene(scene))


Maker = Callable[[int], Scene]


def _is_measured(make: Maker, seed: int) -> bool:
    """Fails when it was measured wrongly."""
    scene = make(seed)
    try:
        found = measure_scale(draw_scene(scene, seed))
    except DataError:
        return False
    named = f"{make.__name__}({seed})"
    assert scene.lines, f"{named}: a number for a picture without a scale, {scene}"
    assert found.spacing.spacing_px == pytest.approx(scene.spacing_px, rel=WITHIN), f"{named}: {scene}"
    return True


def _share(make: Maker, seeds: range, say: Callable[[str, object], None]) -> float:
    measured = sum(_is_measured(make, seed) for seed in seeds)
    say("said", f"{make.__name__}: {measured} of {len(seeds)} images measured, all of them right; the others refused")
    return measured / len(seeds)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("make", "at_least"),
    [
        pytest.param(random_scene, 0.15, id="spoilt in many ways"),
        pytest.param(crowded_scene, 0.1, id="in company"),
        pytest.param(good_scene, 0.9, id="good"),
    ],
)
def test_random_scenes_are_right_or_refused(
    make: Maker, at_least: float, record_property: Callable[[str, object], None]
) -> None:
    assert _share(make, range(20), record_property) >= at_least, "refusing everything is no measurement"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("make", "at_least"), [(random_scene, 0.2), (crowded_scene, 0.15), (good_scene, 0.9)], ids=["spoilt", "crowded", "good"]
)
def test_many_random_scenes_are_right_or_refused(
    make: Maker, at_least: float, record_property: Callable[[str, object], None]
) -> None:
    assert _share(make, range(20, 320), record_property) >= at_least
