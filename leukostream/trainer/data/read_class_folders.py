"""Class-named folders of tiles with one cell in the centre and no boxes."""

import hashlib
from pathlib import Path

import numpy as np

from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.data.annotation import Annotation, Split, checked_boxes
from leukostream.trainer.data.centre_cell import find_centre_cell
from leukostream.trainer.data.class_map import ClassMap
from leukostream.trainer.data.image_file import images_in, read_image

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def divided(names: list[str], shares: dict[Split, float]) -> dict[str, Split]:
    """Splits of one folder's images by `shares`, in the order of the names' hashes: stable when images are added elsewhere."""
    total = sum(shares.values())
    if total <= 0:
        raise DataError("the shares of the splits sum to 0; give at least one of train, val, test a share.")
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    found: dict[str, Split] = {}
    begin, upto = 0, 0.0
    for split in SPLITS:
        upto += shares.get(split, 0.0) / total * len(ordered)
        for name in ordered[begin : round(upto)]:
            found[name] = split
        begin = round(upto)
    return found


def read_class_folders(
    folder: Path, class_map: ClassMap, source: str, um_per_px: float, shares: dict[Split, float]
) -> list[Annotation]:
    """All tiles; each folder's name is its class, and the box is found by segmentation. A background class has no box.

    Raises `DataError` for an unmapped folder, an empty one, a damaged image, or a tile without a stained cell in its centre.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    if not folders:
        raise DataError(f"{folder} has no folder in it; this format has one folder a class.")
    found: list[Annotation] = []
    for class_folder in folders:
        label = class_map.label(class_folder.name, folder)
        paths = images_in(class_folder)
        splits = divided([path.stem for path in paths], shares)
        for path in paths:
            image = read_image(path)
            height_px, width_px = image.shape[:2]
            boxes = [] if label is None else [find_centre_cell(image, path)]
            labels = [] if label is None else [label]
            found.append(
                Annotation(
                    path, width_px, height_px, um_per_px, checked_boxes(boxes, width_px, height_px, path),
                    np.asarray(labels, np.int32), source, path.stem, splits[path.stem],
                )
            )  # fmt: skip
    return found
