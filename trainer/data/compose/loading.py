"""The images of a training, decoded before it begins."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.faults import WithoutUnreadable
from trainer.data.image_store import ImageStore
from trainer.data.readers.description import load_description


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """What can be trained on, all of it in `store`; `left_out` are the images that could not be read, each with a sentence.

    `held_back` is how many images are in no split that is trained on.
    """

    annotations: list[Annotation]
    store: ImageStore
    left_out: dict[Path, str]
    held_back: int


def load_training_images(
    description: Path, root: Path, split_by: str, splits: Collection[str], um_per_px: float, folder: Path
) -> TrainingImages:
    """The images of `splits`, decoded at `um_per_px`, so that a file damaged during the training does no harm.

    They are kept in a file of `folder` that goes with the process. Raises `DataError` for whatever `load_datasets` raises it
    for, but for damaged images only above the description's `max_unreadable`, and when there is no room for the file.
    """
    faults = WithoutUnreadable(load_description(description).max_unreadable)
    store = ImageStore(um_per_px, folder)
    all_rows = load_datasets(description, root, split_by, faults)
    rows = [row for row in all_rows if row.split in splits]
    return TrainingImages(store.load(rows, faults), store, faults.left_out, len(all_rows) - len(rows))
