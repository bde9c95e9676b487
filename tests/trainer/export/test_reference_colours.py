"""The colours that a bundle says it knows are those of its training images, by laboratory."""

from pathlib import Path

import numpy as np
import pytest
from support.smears import EMPTY, RED, smear, write
from support.tiny_bundle import write_tiny_bundle

from edge.contracts.bundle import load_bundle
from edge.contracts.errors import DataError
from edge.settings import SHIPPED_BUNDLE
from trainer.data.annotation import Annotation
from trainer.export.reference_colours import colours_of_training, reference_colours, with_colours
from trainer.recipe import RECIPES

pytestmark = pytest.mark.timeout(60)


def images(folder: Path, source: str, n: int, gain: float) -> list[Annotation]:
    rows = []
    for number in range(n):
        path = write(folder / source / f"{number}.png", (smear(300, 260, seed=number) * gain).astype(np.uint8))
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
        rows.append(Annotation(path, 300, 260, 0.13, *none, source, path.stem, "train"))
    return rows


def test_sources_of_one_laboratory_are_one_and_too_few_images_say_nothing(tmp_path: Path) -> None:
    rows = images(tmp_path, "one", 6, 1.0) + images(tmp_path, "more_of_one", 6, 1.0) + images(tmp_path, "two", 7, 0.8)
    rows += images(tmp_path, "hardly", 2, 0.5)
    found = reference_colours(rows, {"one": "North", "more_of_one": "North"}).sources
    assert {name: source.images for name, source in found.items()} == {"North": 12, "two": 7}
    assert found["North"].colours.empty == pytest.approx(EMPTY, abs=3)
    assert found["two"].colours.red_cells == pytest.approx(0.8 * np.array(RED), abs=4)
    assert reference_colours(rows[::-1], {"one": "North", "more_of_one": "North"}).sources == found, "whatever their order"


def test_images_that_show_no_slide_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="surroundings of the cells"):
        reference_colours(images(tmp_path, "one", 3, 1.0), {})


def test_other_images_than_it_was_trained_on_are_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    (tmp_path / "data" / "images").mkdir(parents=True)
    write(tmp_path / "data" / "images" / "a.png", smear(300, 260))
    (tmp_path / "data" / "data.yaml").write_text("names: [WBC]\n")
    (tmp_path / "map.yaml").write_text("WBC: untyped_wbc\n")
    described = tmp_path / "sets.yaml"
    described.write_text(
        "datasets: [{format: yolo, folder: data, class_map: map.yaml, source: lab, um_per_px: 0.13, unannotated: negative}]\n"
        "sources: {lab: {origin: drawn, licence: none}}\n"
    )
    with pytest.raises(DataError, match="as they were"):
        with_colours(bundle, described, tmp_path, tmp_path / "child")
    assert not (tmp_path / "child").exists()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_shipped_bundle_says_what_its_images_show(real_data: Path) -> None:
    bundle = load_bundle(SHIPPED_BUNDLE)
    said = bundle.manifest.reference_colours
    assert said == colours_of_training(bundle.manifest.training.data, bundle.path, RECIPES / "datasets.yaml", real_data)
