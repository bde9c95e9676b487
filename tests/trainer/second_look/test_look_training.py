"""What a second look is taught: crops where the labels say, shares that rare types need, and a training that goes on."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.smears import smear, write

from edge.contracts.cells import INDEX
from edge.contracts.errors import DataError
from trainer.data.annotation import UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.data.provenance import image_key
from trainer.second_look.cell_crops import CropSource, Place, allowed_by, annotated_places, cut_crop
from trainer.second_look.drawn_crops import DrawnFields
from trainer.second_look.look_network import NO_CELL, LookNetwork, log_of_allowed, macs_of, standardised
from trainer.second_look.look_places import may_train, taught_by
from trainer.second_look.look_recipe import LookRecipe
from trainer.second_look.look_training import LookTraining, rate_of, train_look

pytestmark = pytest.mark.timeout(120)

RECIPE = LookRecipe(crop_side_px=32, batch_size=8, steps=6, warm_up_steps=1, bfloat16=False, drawn_share=0.0)
MONOCYTE, EOSINOPHIL = INDEX["monocyte"], INDEX["eosinophil"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Annotation]:
    """Three fields of two sources: a cell in the first two."""
    folder = tmp_path_factory.mktemp("crops")
    found = []
    for k, (label, source) in enumerate([(MONOCYTE, "north"), (EOSINOPHIL, "south"), (None, "south")]):
        path = folder / f"{k}.png"
        write(path, smear(240, 200, ((120, 100, 30),) if label is not None else (), seed=k))
        boxes = np.array([[90, 70, 150, 130]] if label is not None else [], np.float32).reshape(-1, 4)
        labels = np.array([label] if label is not None else [], np.int32)
        found.append(Annotation(path, 240, 200, 0.13, boxes, labels, source, str(k), "train"))
    return found


def places(rows: list[Annotation]) -> list[Place]:
    return annotated_places(rows) + [Place(row, (20.0, 20.0), 60.0, NO_CELL) for row in rows]


ALLOWED = [
    pytest.param(MONOCYTE, 1, id="a-type-is-that-type"),
    pytest.param(NO_CELL, 1, id="no-cell"),
    pytest.param(UNTYPED_NEUTROPHIL, 2, id="a-neutrophil-is-band-or-segmented"),
    pytest.param(UNTYPED_WBC, 11, id="a-leukocyte-is-any-of-the-eleven"),
]


@pytest.mark.parametrize(("label", "count"), ALLOWED)
def test_a_label_allows_what_it_may_be(label: int, count: int) -> None:
    allowed = allowed_by(label)
    assert allowed.sum() == count
    even = torch.zeros(1, len(allowed))
    loss = -log_of_allowed(even, torch.from_numpy(allowed)[None])
    assert float(loss) == pytest.approx(np.log(len(allowed) / count))


def test_samples_without_a_cell_are_as_many_as_asked_and_types_share_the_rest(rows: list[Annotation]) -> None:
    source = CropSource(places(rows), RECIPE.model_copy(update={"no_cell_share": 0.5, "off_cell_share": 0.0}))
    rng = np.random.default_rng(1)
    seen = Counter(label for _ in range(100) for _, label in source.draw_group(rng))
    assert 0.4 < seen[NO_CELL] / 400 < 0.6
    assert abs(seen[MONOCYTE] - seen[EOSINOPHIL]) < 80


def test_crops_of_no_cell_show_none(rows: list[Annotation]) -> None:
    """A nucleus is darker than anything else here."""
    source = CropSource(places(rows), RECIPE.model_copy(update={"no_cell_share": 1.0, "anywhere_share": 1.0}))
    rng, plain = np.random.default_rng(2), np.random.default_rng(3)
    centres = [source._cut(rng)[0][14:18, 14:18, 1].min() for _ in range(60)]  # as photographed: nothing is recoloured
    on_cell = cut_crop(cv2.imread(str(rows[0].path)), (120.0, 100.0), 32, 0.5, plain)
    assert min(centres) > on_cell[14:18, 14:18, 1].max()


def test_drawn_fields_show_all_classes_and_places_without_a_cell() -> None:
    fields = DrawnFields(3, 0.26, 4)
    rng = np.random.default_rng(0)
    found = [fields.place(rng, 0.5) for _ in range(60)]
    labels = Counter(label for _, _, label in found)
    assert 15 < labels[NO_CELL] < 45 and len(labels) > 3
    for image, (x, y), _ in found:
        assert image.shape == (287, 366, 3) and 0 <= x <= 366 and 0 <= y <= 287


def test_a_crop_without_chance_is_the_window_around_its_centre() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cut_crop(image, (40.0, 30.0), 16, 1.0), image[22:38, 32:48])
    corner = cut_crop(image, (0.0, 0.0), 16, 1.0)
    np.testing.assert_array_equal(corner[8:, 8:], image[:8, :8])
    assert (corner[:8, :8] == image[0, 0]).all(), "past the edge its last pixels go on"


def test_light_cast_and_contrast_of_a_crop_change_nothing() -> None:
    crop = torch.rand(1, 3, 16, 16)
    cast = crop * torch.tensor([0.5, 0.7, 0.6]).view(1, 3, 1, 1) + 0.2
    torch.testing.assert_close(standardised(crop), standardised(cast), atol=2e-3, rtol=0.01)
    assert float(standardised(torch.full((1, 3, 16, 16), 0.4)).abs().max()) < 1e-3


def test_it_is_as_small_as_its_time_allows() -> None:
    network = LookNetwork()
    assert sum(parameter.numel() for parameter in network.parameters()) < 500_000
    assert LookRecipe().looks * macs_of(network, LookRecipe().crop_side_px) < 0.1 * 2.73e9, "a tenth of yolov3-tiny-416's"


def test_a_training_that_was_stopped_goes_on_to_the_same_network(rows: list[Annotation], tmp_path: Path) -> None:
    source = CropSource(places(rows), RECIPE)
    whole = train_look(source, RECIPE)
    part = LookTraining(RECIPE)
    for _ in range(3):
        part.advance(source)
    torch.save(part.state("these"), tmp_path / "look.pt")
    other_graph = RECIPE.model_copy(update={"presence_share": 0.2})
    rest = train_look(source, other_graph, keep=tmp_path / "look.pt", taught_on="these")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(rest.state_dict()[name], value, msg=name)


FOREIGN = [
    pytest.param({"steps": 7}, "these", "another recipe", id="another-recipe"),
    pytest.param({}, "others", "other images", id="other-images"),
]


@pytest.mark.parametrize(("change", "taught_on", "sentence"), FOREIGN)
def test_it_does_not_go_on_with_another_training(
    rows: list[Annotation], tmp_path: Path, change: dict[str, int], taught_on: str, sentence: str
) -> None:
    torch.save(LookTraining(RECIPE).state("these"), tmp_path / "look.pt")
    with pytest.raises(DataError, match=sentence):
        train_look(
            CropSource(places(rows), RECIPE), RECIPE.model_copy(update=change), keep=tmp_path / "look.pt", taught_on=taught_on
        )


def test_a_damaged_state_is_said(rows: list[Annotation], tmp_path: Path) -> None:
    (tmp_path / "look.pt").write_bytes(b"no state")
    with pytest.raises(DataError, match="no readable state"):
        train_look(CropSource(places(rows), RECIPE), RECIPE, keep=tmp_path / "look.pt")


def test_the_rate_rises_and_falls() -> None:
    rates = [rate_of(step, RECIPE.model_copy(update={"steps": 50, "warm_up_steps": 5})) for step in range(50)]
    assert rates[4] == max(rates) == RECIPE.peak_learning_rate and rates[0] < rates[4] > rates[-1] < 0.1 * rates[4]


def test_what_the_detector_held_back_stays_unseen(rows: list[Annotation]) -> None:
    of_detector = {"sources": {"north": {}}, "train_images": image_key(rows[1].path)}
    assert not may_train(rows[0], of_detector), "its own source, and not among its images"
    assert may_train(replace(rows[0], path=rows[1].path), of_detector)
    assert may_train(rows[1], of_detector) and not may_train(replace(rows[1], split="test"), of_detector)
    assert taught_by(rows) == {MONOCYTE, EOSINOPHIL}
