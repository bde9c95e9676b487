"""What is trained on: images, decoded before a training begins, and samples by number: composed, scaled, augmented."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.contracts.detections import Float32, Image, Int32
from trainer.data.annotation import IGNORE, Annotation
from trainer.data.check.unused import unused_words
from trainer.data.compose.augment import AugmentSettings, augment
from trainer.data.compose.composer import Composer
from trainer.data.compose.field import resized, turned
from trainer.data.compose.unlike_colours import amplitudes_mixed
from trainer.data.datasets import load_datasets
from trainer.data.faults import WithoutUnreadable
from trainer.data.held_back import HeldBack, load_held_back
from trainer.data.image_store import ImageStore
from trainer.data.readers.description import load_description

MIN_SIDE_PX = 2.0
"""Boxes narrower than this at the network's size become `IGNORE`: their centre cell is chance."""


class TrainingSet:
    """Sample `index` depends on (seed, index) only, in whatever process and order it is asked for.

    Fields are composed at `width_px` x `height_px` field pixels over the drawn scale, so that cells change in size and fields
    stay full, and then stretched to `network_size` (width, height).
    """

    def __init__(
        self,
        composer: Composer,
        settings: AugmentSettings,
        seed: int,
        width_px: int,
        height_px: int,
        network_size: tuple[int, int],
    ) -> None:
        self._composer, self._settings, self._seed = composer, settings, seed
        self._width_px, self._height_px, self._network_size = width_px, height_px, network_size

    def sample(self, index: int) -> tuple[Image, Float32, Int32]:
        """image uint8 [h, w, 3] BGR at the network's size, boxes [n, 4] float32 in its pixels, labels [n] int32."""
        rng = np.random.default_rng([self._seed, index])
        settings = self._settings
        scale = float(np.exp(rng.uniform(np.log(settings.scale_min), np.log(settings.scale_max))))
        aspect = float(np.exp(rng.normal(0, settings.aspect) / 2))
        width, height = round(self._width_px / scale / aspect), round(self._height_px / scale * aspect)
        field = self._composer.compose(rng, width, height)
        field = turned(field, int(rng.integers(4)))
        field = resized(field, *self._network_size)
        compose = self._composer.settings
        if compose.amplitude_share and rng.random() < compose.amplitude_share:
            partner = self._composer.picture(rng, *self._network_size)
            field.image = amplitudes_mixed(field.image, partner, float(rng.uniform(0, compose.amplitude_most)))
        um_per_px = self._composer.um_per_px * np.sqrt(width * height / np.prod(self._network_size))
        field = augment(field, rng, settings, float(um_per_px))
        narrow = (field.boxes[:, 2:] - field.boxes[:, :2]).min(axis=1, initial=np.inf) < MIN_SIDE_PX
        return field.image, field.boxes, np.where(narrow, IGNORE, field.labels).astype(np.int32)


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """What can be trained on, all of it in `store`; `left_out` are the images that could not be read, each with a sentence.

    `held_back` are the images by split that are in none that is trained on, `validated_on` those of them that are looked at
    during the training; `unused` says in lines what else lies in the folders, and is empty when nothing does.
    """

    annotations: list[Annotation]
    store: ImageStore
    left_out: dict[Path, str]
    held_back: Counter[str]
    unused: str = ""
    validated_on: HeldBack | None = None


Tables = Callable[[Sequence[Annotation], Mapping[str, str]], Mapping[str, Image]]
"""From images, and the laboratory of each source, to what moves the colours of each source: see `ImageStore`."""


def load_training_images(
    description: Path,
    root: Path,
    split_by: str,
    splits: Collection[str],
    field_of: tuple[float, int, int],
    folder: Path,
    tables_of: Tables | None = None,
    *,
    validate: bool = False,
    at_most: int | None = None,
) -> TrainingImages:
    """The images of `splits`, decoded, so that a file damaged during the training does no harm, at the um/px of the field,
    their colours moved as `tables_of` says; to `validate`, also those held back, `at_most` so many and as they are.
    `field_of` is the field's um/px, width and height in px.

    They are kept in a file of `folder` that goes with the process. Raises `DataError` for whatever `load_datasets` raises it
    for, but for damaged images only above the description's `max_unreadable`, and when there is no room for the file.
    """
    described = load_description(description)
    faults = WithoutUnreadable(described.max_unreadable)
    all_rows = load_datasets(description, root, split_by, faults)
    rows = [row for row in all_rows if row.split in splits]
    store = ImageStore(field_of[0], folder, tables_of(rows, described.laboratories) if tables_of and rows else {})
    held_back = Counter[str](row.split for row in all_rows if row.split not in splits)
    loaded = store.load(rows, faults)
    validated_on = load_held_back(all_rows, splits, at_most, field_of, folder, root, faults) if validate else None
    faults.within_limit(len(loaded) + (len(validated_on.rows) if validated_on else 0))
    words = unused_words(description, root, all_rows, faults.left_out, faults.book)
    return TrainingImages(loaded, store, faults.left_out, held_back, words, validated_on)
