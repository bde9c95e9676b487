"""What a model was trained on, for its bundle and card."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from edge.contracts.cells import CELLS
from trainer.data.annotation import UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.data.datasets import data_sha256
from trainer.data.faults import OriginMissing
from trainer.data.readers.description import load_description


def require_origins(description: Path) -> None:
    """Raises `DataError` when the description does not say where a source comes from: a bundle must be able to."""
    if missing := load_description(description).without_origin:
        raise OriginMissing(
            f"{description} does not state origin and licence of {', '.join(missing)}; add them under `sources`."
        )


def describe(description: Path, annotations: list[Annotation], left_out: Iterable[Path] = ()) -> dict[str, object]:
    """Sources with licence and image count, cells per class, a hash over images and annotations, and the images' keys.

    `left_out`: images that could not be read and are not among the annotations; they are named.
    Raises `DataError` as `require_origins` does.
    """
    require_origins(description)
    origins = load_description(description).sources
    images = Counter(row.source for row in annotations)
    cells = Counter(int(label) for row in annotations for label in row.labels)
    named = {cell.name: cells[index] for index, cell in enumerate(CELLS)}
    return {
        "sha256": data_sha256(annotations),
        "sources": {
            name: {"images": images[name], **origins[name].model_dump(exclude={"group_by"})} for name in sorted(images)
        },
        "train_cells": {**named, "untyped_neutrophil": cells[UNTYPED_NEUTROPHIL], "untyped_wbc": cells[UNTYPED_WBC]},
        "train_images": "".join(sorted(image_key(row.path) for row in annotations)),
        "unreadable_images": sorted(path.name for path in left_out),
    }


KEY_LENGTH = 8


def image_key(path: Path) -> str:
    """The beginning of the SHA-256 of an image's file: by it a model knows what it was trained on, under whatever name."""
    return sha256(path.read_bytes()).hexdigest()[:KEY_LENGTH]


def keys_of(joined: str) -> set[str]:
    """The image keys that `describe` wrote as one string."""
    return {joined[start : start + KEY_LENGTH] for start in range(0, len(joined), KEY_LENGTH)}
