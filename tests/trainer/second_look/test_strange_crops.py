"""Altered cells: no longer what they were, the rest of the crop as it was, and never of a class that is left out."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from support.smears import smear, write

from edge.contracts.cells import INDEX, NAMES
from edge.contracts.detections import Image
from trainer.data.annotation import UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.second_look.cell_crops import CropSource, Place, annotated_places
from trainer.second_look.drawn_crops import DrawnFields
from trainer.second_look.look_network import NO_CELL, UNKNOWN
from trainer.second_look.look_places import left_out_labels, places_of
from trainer.second_look.look_recipe import LookRecipe
from trainer.second_look.strange_crops import KINDS, Seen, blended, grown, halves, other_nucleus, smeared, strange_crop

SIDE = 64
LYM, MON, EOS = INDEX["lymphocyte"], INDEX["monocyte"], INDEX["eosinophil"]
BLUE, RED, EMPTY = (200, 60, 90), (90, 60, 200), (220, 220, 220)


def disc(colour: tuple[int, int, int], label: int, diameter_px: float = 30.0) -> Seen:
    """A cell that is a disc of one colour on an empty slide."""

    def crop(more: float) -> Image:
        at = np.arange(SIDE) - (SIDE - 1) / 2
        inside = np.hypot(at[None], at[:, None]) < diameter_px * more / 2
        return np.where(inside[..., None], np.array(colour), np.array(EMPTY)).astype(np.uint8)

    return Seen(label, diameter_px, crop)


def shares(crop: Image) -> tuple[float, float]:
    """How much of the crop is blue, and how much red."""
    blue, red = crop[..., 0].astype(int) - crop[..., 2], crop[..., 2].astype(int) - crop[..., 0]
    return float((blue > 60).mean()), float((red > 60).mean())


KIND = [
    pytest.param(grown, lambda blue, red, was: blue > 1.8 * was and red == 0, id="grown-it-covers-twice-as-much"),
    pytest.param(other_nucleus, lambda blue, red, was: 0.02 < red < was and blue > 0, id="another-nucleus-in-its-middle"),
    pytest.param(halves, lambda blue, red, was: 0.15 < blue / was < 0.85 and 0.15 < red / was < 0.85, id="half-of-each"),
    pytest.param(blended, lambda blue, red, was: max(blue, red) < was + 0.01, id="blended-into-one"),
    pytest.param(smeared, lambda blue, red, was: red == 0 and blue < 2.6 * was, id="smeared-it-has-no-other-colour"),
]


@pytest.mark.parametrize(("kind", "holds"), KIND)
def test_each_kind_alters_the_cell(
    kind: Callable[[np.random.Generator, Seen, Seen], Image], holds: Callable[[float, float, float], bool]
) -> None:
    cell, other = disc(BLUE, LYM), disc(RED, MON)
    was = shares(cell.crop(1.0))[0]
    for seed in range(8):
        crop = kind(np.random.default_rng(seed), cell, other)
        assert crop.shape == (SIDE, SIDE, 3) and crop.dtype == np.uint8
        assert (crop != cell.crop(1.0)).any() and (crop != other.crop(1.0)).any()
        assert holds(*shares(crop), was), seed


def test_all_kinds_are_drawn_and_chance_is_the_generators_alone() -> None:
    cell, other = disc(BLUE, LYM), disc(RED, MON)
    first, again = ([strange_crop(np.random.default_rng(seed), cell, other).tobytes() for seed in range(30)] for _ in range(2))
    assert first == again and len(set(first)) > 2 * len(KINDS)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Annotation]:
    """A field each of a monocyte, an eosinophil, a leukocyte and a neutrophil of which nobody says more."""
    folder = tmp_path_factory.mktemp("strange")
    found = []
    for k, label in enumerate((MON, EOS, UNTYPED_WBC, UNTYPED_NEUTROPHIL)):
        path = folder / f"{k}.png"
        write(path, smear(240, 200, ((120, 100, 30),), seed=k))
        box = np.array([[90, 70, 150, 130]], np.float32)
        found.append(Annotation(path, 240, 200, 0.13, box, np.array([label], np.int32), "north", str(k), "train"))
    return found


RECIPE = LookRecipe(crop_side_px=32, batch_size=8, steps=1, bfloat16=False, drawn_share=0.0)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        pytest.param(2, 1.0, {UNKNOWN}, id="all-altered"),
        pytest.param(2, 0.0, {MON, EOS}, id="none-altered"),
        pytest.param(1, 1.0, {MON}, id="one-type-alone-cannot-be-mixed"),
    ],
)
def test_a_share_of_the_samples_is_unknown(rows: list[Annotation], count: int, share: float, expected: set[int]) -> None:
    recipe = RECIPE.model_copy(update={"strange_share": share, "off_cell_share": 0.0})
    source, rng = CropSource(annotated_places(rows[:count]), recipe), np.random.default_rng(1)
    drawn = [sample for _ in range(6) for sample in source.draw_group(rng)]
    assert {label for _, label in drawn} == expected
    assert all(crop.shape == (32, 32, 3) for crop, _ in drawn)


LEFT_OUT = [
    pytest.param((), [MON, EOS, UNTYPED_WBC, UNTYPED_NEUTROPHIL], id="none"),
    pytest.param(("monocyte",), [EOS, UNTYPED_NEUTROPHIL], id="a-leukocyte-of-no-type-may-be-one"),
    pytest.param(("neutrophil_band",), [MON, EOS], id="so-may-a-neutrophil"),
    pytest.param(("monocyte", "eosinophil"), [UNTYPED_NEUTROPHIL], id="several"),
]


@pytest.mark.parametrize(("names", "left"), LEFT_OUT)
def test_a_class_left_out_is_not_taught(rows: list[Annotation], names: tuple[str, ...], left: list[int]) -> None:
    places: list[Place] = places_of(rows, (), names)
    assert [place.label for place in places if place.label != NO_CELL] == left
    assert not {INDEX[name] for name in names} - left_out_labels(names)


def test_no_drawn_cell_is_of_a_class_left_out() -> None:
    kept = INDEX["monocyte"]
    fields, rng = DrawnFields(3, 0.26, 4, [k for k in range(len(NAMES)) if k != kept]), np.random.default_rng(0)
    assert set(Counter(fields.place(rng, 0.3)[2] for _ in range(40))) <= {kept, NO_CELL}


def test_a_class_that_there_is_not_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="'macrophage' is no class"):
        LookRecipe(leave_out=("macrophage",))
