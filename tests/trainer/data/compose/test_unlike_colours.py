"""Fields that look as no training image does: another image's amplitudes, colours of no image, colours moved on the way in."""

from pathlib import Path

import numpy as np
import pytest
from support.smears import smear, write

from trainer.data.annotation import Annotation
from trainer.data.compose.augment import AugmentSettings
from trainer.data.compose.composer import Composer, ComposeSettings
from trainer.data.compose.training_set import TrainingSet
from trainer.data.compose.unlike_colours import amplitudes_mixed, strange
from trainer.data.image_store import ImageStore

ONLY_MOSAICS = {"whole": 0.0, "mosaic": 1.0, "close": 0.0, "scenery": 0.0, "centred": 0.0, "painted": 0.0, "virtual": 0.0}


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> list[Annotation]:
    folder = tmp_path_factory.mktemp("tiles")
    box, label = np.array([[60, 50, 120, 110]], np.float32), np.array([3], np.int32)
    paths = [write(folder / f"{k}.png", smear(240, 200, ((90, 80, 30),), seed=k)) for k in range(3)]
    return [Annotation(path, 240, 200, 0.13, box, label, "AB"[k % 2], str(k), "train") for k, path in enumerate(paths)]


def samples(annotations: list[Annotation], **compose: float) -> list[np.ndarray]:
    composer = Composer(ImageStore(0.13), annotations, ComposeSettings(**{**ONLY_MOSAICS, **compose}))
    settings = AugmentSettings(light_change=0.0, noise_share=0.0, blur_share=0.0, vignetting=0.0)
    made = TrainingSet(composer, settings, 1, 192, 160, (96, 96))
    return [made.sample(k)[0] for k in range(6)]


def test_no_share_of_amplitudes_changes_nothing_and_a_part_leaves_the_shapes() -> None:
    own, other = smear(96, 80, ((40, 40, 20),), seed=1), np.asarray(smear(96, 80, seed=2) * 0.5, np.uint8)
    half = own // 2
    assert np.abs(amplitudes_mixed(own, other, 0.0).astype(int) - own).max() <= 1
    assert np.abs(amplitudes_mixed(own, half, 1.0).astype(int) - half).max() <= 1, "the same phases with these amplitudes"
    mixed = amplitudes_mixed(own, other, 0.5)
    assert float(mixed.mean()) == pytest.approx((float(own.mean()) + float(other.mean())) / 2, abs=3)
    alike = [np.corrcoef(image.ravel(), mixed.ravel())[0, 1] for image in (own, other)]
    assert alike[0] > 0.8 > alike[1] + 0.3


def test_an_odd_width_stays() -> None:
    own = smear(97, 81, seed=1)
    assert amplitudes_mixed(own, own[::-1], 0.3).shape == own.shape


@pytest.mark.parametrize("key", ["amplitude_share", "strange_palettes"])
def test_samples_repeat_and_those_without_stay_what_they_were(annotations: list[Annotation], key: str) -> None:
    plain = samples(annotations, own_colours=0.0)
    assert all(np.array_equal(a, b) for a, b in zip(plain, samples(annotations, own_colours=0.0, **{key: 0.0}), strict=True))
    changed = samples(annotations, own_colours=0.0, **{key: 1.0})
    assert all(np.array_equal(a, b) for a, b in zip(changed, samples(annotations, own_colours=0.0, **{key: 1.0}), strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(plain, changed, strict=True))


def test_strange_colours_are_white_grounds_with_grey_cells_and_casts() -> None:
    drawn = [strange(np.random.default_rng(k)) for k in range(200)]
    white = [one for one in drawn if one.empty.max() < 0.031]
    assert 60 < len(white) < 140
    for one in drawn:
        assert (one.empty >= 0).all() and (one.empty <= 1.2).all() and (one.red_cells > one.empty).all()
    depth = np.mean([one.red_cells - one.empty for one in white], axis=0)
    assert depth[0] < depth[1] and depth[2] / depth[1] > 0.85, "grey-blue: red light is absorbed like green, blue less"
    assert max(float(np.ptp(one.empty)) for one in drawn) > 0.5, "a strong cast"


def test_the_store_moves_the_colours_of_the_sources_that_it_is_told(annotations: list[Annotation]) -> None:
    table = np.repeat(np.arange(256)[:, None] // 2, 3, axis=1).astype(np.uint8)
    plain, moved = ImageStore(0.13), ImageStore(0.13, tables={"A": table})
    for row in annotations:
        image, there = plain.get(row)[0], moved.get(row)[0]
        assert np.array_equal(there, image // 2 if row.source == "A" else image)


def test_where_it_is_kept_does_not_matter(annotations: list[Annotation], tmp_path: Path) -> None:
    table = np.full((256, 3), 7, np.uint8)
    assert (ImageStore(0.13, tmp_path, {"A": table}).get(annotations[0])[0] == 7).all()
