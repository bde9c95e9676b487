"""The painted cells: every class, its size, and what distinguishes it."""

import numpy as np
import pytest

from edge.contracts.cells import INDEX, NAMES
from edge.contracts.errors import ConfigError
from edge.virtual import PLATELET, RED_CELL, UM_PER_PX, CellAtlas, draw_stain
from edge.virtual.placement import Float64
from edge.virtual.stain import EOSIN, PURPLE

LARGEST_UM = 32.0


@pytest.fixture(scope="module")
def atlas() -> CellAtlas:
    return CellAtlas(seed=1, variants=6)


@pytest.mark.parametrize("label", [pytest.param(label, id=name) for label, name in enumerate([*NAMES, "red cell", "platelet"])])
def test_every_class_is_painted_in_several_ways_with_a_tight_box(atlas: CellAtlas, label: int) -> None:
    sprites = [atlas.sprite(label, variant) for variant in range(3)]
    for sprite in sprites:
        assert sprite.bgr.shape == sprite.transmission.shape == (*sprite.alpha.shape, 3)
        assert sprite.bgr.dtype == np.uint8 and sprite.alpha.dtype == np.float32
        solid = sprite.alpha >= 0.5
        x1, y1, x2, y2 = sprite.box_px
        rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
        assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (x1, y1, x2, y2)
        assert 0.5 < (x2 - x1) * UM_PER_PX < LARGEST_UM and 0.5 < (y2 - y1) * UM_PER_PX < LARGEST_UM
        assert sprite.transmission[solid].mean() < 240
    assert len({sprite.bgr.tobytes() for sprite in sprites}) == 3


def test_a_sprite_depends_on_seed_label_and_variant_only(atlas: CellAtlas) -> None:
    other = CellAtlas(seed=1, variants=2)
    other.sprite(INDEX["monocyte"], 1)
    assert np.array_equal(atlas.sprite(2, 1).bgr, other.sprite(2, 1).bgr)
    assert not np.array_equal(atlas.shape(2, 1)[1].shape, CellAtlas(seed=2).shape(2, 1)[1].shape)


def test_another_stain_changes_colour_and_not_shape(atlas: CellAtlas) -> None:
    label = INDEX["neutrophil_segmented"]
    usual = atlas.sprite(label, 0)
    other = atlas.sprite(label, 0, draw_stain(np.random.default_rng(5), 1.0))
    assert np.array_equal(usual.alpha, other.alpha)
    assert np.abs(usual.bgr.astype(int) - other.bgr).mean() > 5


def mean_dyes(atlas: CellAtlas, name: str) -> Float64:
    """Mean amounts of the four dyes within cells of one class."""
    shapes = [atlas.shape(INDEX[name], variant) for variant in range(6)]
    return np.asarray(np.mean([dyes[alpha >= 128].mean(0) for dyes, alpha in shapes], 0))


def mean_diameter_um(atlas: CellAtlas, label: int) -> float:
    return float(np.mean([np.mean(atlas.shape(label, variant)[1].shape) * UM_PER_PX for variant in range(6)]))


def test_classes_differ_as_a_haematologist_says(atlas: CellAtlas) -> None:
    assert mean_dyes(atlas, "eosinophil")[EOSIN] > 4 * mean_dyes(atlas, "neutrophil_segmented")[EOSIN]
    assert mean_dyes(atlas, "basophil")[PURPLE] > 1.3 * mean_dyes(atlas, "neutrophil_segmented")[PURPLE]
    sizes = {name: mean_diameter_um(atlas, INDEX[name]) for name in NAMES}
    assert sizes["nrbc"] < sizes["neutrophil_segmented"] < sizes["monocyte"]
    assert sizes["lymphocyte"] < sizes["lymphocyte_reactive"]
    assert mean_diameter_um(atlas, PLATELET) < sizes["platelet_giant"]
    assert mean_diameter_um(atlas, RED_CELL) == pytest.approx(7.5, abs=1.2)


@pytest.mark.parametrize(
    ("label", "variant"), [pytest.param(17, 0, id="no such label"), pytest.param(0, -1, id="negative variant")]
)
def test_a_sprite_that_is_not_there_is_an_error(atlas: CellAtlas, label: int, variant: int) -> None:
    with pytest.raises(ConfigError, match="no sprite"):
        atlas.sprite(label, variant)
