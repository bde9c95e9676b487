"""The held-back images that a training is validated on, decoded before it begins."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.camera.resample import plan_fit
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError
from trainer.data.annotation import Annotation, Split
from trainer.data.faults import Faults
from trainer.data.image_store import PixelFile
from trainer.data.provenance import image_key
from trainer.data.source_files import read_image

ORDER: tuple[Split, ...] = ("val", "test")
"""Of data sets that have both, `test` stays unseen: weights are chosen by `val`."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Images of one split as they are, in their own pixels: uint8 BGR [h, w, 3] by path. Paths are told relative to `root`."""

    rows: list[Annotation]
    split: Split
    root: Path
    pixels: dict[Path, Image] = field(repr=False)

    def image(self, row: Annotation) -> Image:
        """Decoded before the training began, whatever became of its file since."""
        return self.pixels[row.path]

    def about(self) -> dict[str, object]:
        """For the checkpoint: by it a model knows which images it was validated on."""
        return {
            "split": self.split,
            "images": len(self.rows),
            "keys": "".join(sorted(image_key(row.path) for row in self.rows)),
        }


def split_to_validate_on(annotations: Sequence[Annotation], trained: Collection[str]) -> Split | None:
    """`val` where it has images that are not trained on, else `test`; None where nothing is held back."""
    held = {row.split for row in annotations} - set(trained)
    return next((split for split in ORDER if split in held), None)


def load_held_back(
    annotations: Sequence[Annotation],
    trained: Collection[str],
    at_most: int | None,
    field_of: tuple[float, int, int],
    folder: Path,
    root: Path,
    faults: Faults,
) -> HeldBack | None:
    """What is validated on, at most `at_most` images, evenly chosen; None where nothing is held back.

    `field_of` is um/px, width and height in px of the model's field, `folder` where the pixels are kept. An image that cannot
    be read goes to `faults`. Raises `ConfigError` for an image that does not fit the model: better now than after some steps.
    """
    split = split_to_validate_on(annotations, trained)
    if split is None:
        return None
    rows = evenly([row for row in annotations if row.split == split], at_most)
    store, kept, pixels = PixelFile(folder), [], {}
    for row in rows:
        try:
            plan_fit(row.width_px, row.height_px, row.um_per_px, *field_of)
        except ConfigError as problem:
            raise ConfigError(f"{row.path}, which is held back to validate on: {problem}") from problem
        with faults.of(row.path):
            pixels[row.path] = store.keep(read_image(row.path))
            kept.append(row)
    return HeldBack(kept, split, root, pixels) if kept else None


def evenly(rows: Sequence[Annotation], at_most: int | None) -> list[Annotation]:
    """So many of them, at even distances, so that each data set has its share."""
    if at_most is None or len(rows) <= at_most:
        return list(rows)
    return [rows[k * len(rows) // at_most] for k in range(at_most)]
