"""Damaged image files: named always, borne by a training up to a share, never by an evaluation."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image as Pillow
from support.small_trainer import Lab
from support.smears import CLASS_MAP, smear, voc, write

from edge.contracts.errors import DataError
from trainer.checkpoint import load_checkpoint
from trainer.cli import main
from trainer.data.annotation import Annotation
from trainer.data.compose.composer import Composer, ComposeSettings
from trainer.data.datasets import load_datasets
from trainer.data.faults import STRICT, Faults, WithoutUnreadable
from trainer.data.image_store import ImageStore

pytestmark = pytest.mark.timeout(20)

IMAGES = 10


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """Ten images; `image_00003.jpg` is the one that gets damaged."""
    for k in range(IMAGES):
        write(tmp_path / "set" / "JPEGImages" / f"image_{k:05d}.jpg", smear(200, 160, seed=k))
        voc(tmp_path / "set", f"image_{k:05d}", (200, 160), [("MONOCYTE", (41.0, 31.0, 120.0, 110.0))])
    (tmp_path / "map.yaml").write_text(CLASS_MAP)
    row = {"format": "voc", "folder": "set", "class_map": "map.yaml", "source": "LAB", "um_per_px": 0.1}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"datasets": [row]}))
    return tmp_path


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


def _with_a_hole(path: Path) -> None:
    """Its end is there, and within are zeros: a decoder that only warns shows grey."""
    content = bytearray(path.read_bytes())
    content[-600:-300] = bytes(300)
    path.write_bytes(content)


def _of_two_pages(path: Path) -> None:
    with Pillow.open(path) as picture:
        picture.save(path, format="TIFF", save_all=True, append_images=[picture.copy()])


def loaded(root: Path, faults: Faults, split_by: str = "given") -> list[Annotation]:
    """What a training starts with: described, divided, decoded."""
    return ImageStore().load(load_datasets(root / "data.yaml", root, split_by, faults), faults)


@pytest.mark.parametrize("split_by", ["given", "grouped:0.2", "fold:0/3"])
def test_when_no_image_can_be_read_that_is_what_is_said(ten: Path, split_by: str) -> None:
    for path in (ten / "set" / "JPEGImages").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="10 of 10 images cannot be read"):
        loaded(ten, WithoutUnreadable(0.01), split_by)


@pytest.mark.parametrize("split_by", ["given", "fold:0/3"])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(_emptied, r"is empty \(0 bytes\)", id="nothing can be read of it"),
        pytest.param(_cut_off, "is a truncated JPEG", id="its header is whole"),
        pytest.param(_with_a_hole, "", id="its beginning and end are whole"),
        pytest.param(_of_two_pages, "holds 2 pages", id="which of two pages was marked nobody knows"),
    ],
)
def test_a_damaged_image_is_left_out_up_to_the_share_and_named(
    ten: Path, damage: Callable[[Path], None], says: str, split_by: str
) -> None:
    image = ten / "set" / "JPEGImages" / "image_00003.jpg"
    damage(image)
    with pytest.raises(DataError, match=rf"image_00003\.jpg {says}"):
        loaded(ten, STRICT, split_by)
    with pytest.raises(DataError, match=r"1 of \d+ images cannot be read, more than max_unreadable = 0.05 .*image_00003\.jpg"):
        loaded(ten, WithoutUnreadable(0.05), split_by)
    faults = WithoutUnreadable(0.2)
    assert [row.path.name for row in loaded(ten, faults, split_by)].count(image.name) == 0
    assert list(faults.left_out) == [image]


def test_a_training_goes_on_without_it_says_so_and_remembers(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(lab.root, tmp_path / "lab")
    _cut_off(root / "slides" / "JPEGImages" / "field_03.jpg")
    description = yaml.safe_load(lab.description.read_text())
    (root / "data.yaml").write_text(yaml.safe_dump({**description, "max_unreadable": 0.1}))
    arguments = Lab(root, root / "data.yaml", lab.recipe).arguments(tmp_path / "run", "--set", "phases.0.steps=1")
    monkeypatch.setattr(sys, "argv", ["leuko-train", *arguments])
    with pytest.raises(SystemExit, match="0"):
        main()
    said = capsys.readouterr().err
    assert said.count("1 images could not be read and were left out") == 2, "at the beginning and at the end"
    assert said.count("field_03.jpg is a truncated JPEG") == 2
    data = load_checkpoint(tmp_path / "run" / "last.pt").data
    assert data["unreadable_images"] == ["field_03.jpg"]
    assert data["sources"]["LAB"]["images"] == 9  # type: ignore[index]


def test_other_faults_are_never_borne(ten: Path) -> None:
    (ten / "set" / "Annotations" / "image_00003.xml").unlink()
    with pytest.raises(DataError, match=r"image_00003\.xml is missing"):
        loaded(ten, WithoutUnreadable(1.0))


def test_a_file_damaged_after_the_start_does_no_harm(ten: Path) -> None:
    """A sample is drawn hours after the files were read: nothing may depend on them any more."""
    store = ImageStore()
    rows = store.load(load_datasets(ten / "data.yaml", ten))
    for row in rows:
        row.path.write_bytes(b"")
    made = Composer(store, rows, ComposeSettings(mosaic=1.0, scenery=0.0, centred=0.0, painted=0.0, virtual=0.0))
    field = made.compose(np.random.default_rng(0), 200, 160)
    assert field.image.shape == (160, 200, 3)
