"""Class-named folders of tiles with one cell in the centre and no boxes."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edge.contracts.errors import DataError
from trainer.data.annotation import SPLITS, Annotation, Split, checked
from trainer.data.faults import STRICT, Faults
from trainer.data.readers.centre_cell import find_centre_cell
from trainer.data.readers.class_map import ClassMap
from trainer.data.readers.description import ClassFoldersDataset
from trainer.data.source_files import image_size, images_in, originals, read_image


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
    folder: Path, class_map: ClassMap, settings: ClassFoldersDataset, faults: Faults = STRICT
) -> list[Annotation]:
    """All tiles; each folder's name is its class, and the box is found by segmentation. A background class has no box.

    Raises `DataError` for an unmapped folder, an empty one, a damaged image, or a tile without a stained cell in its centre, or
    gives it to `faults`.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    if not folders:
        raise DataError(f"{folder} has no folder in it; this format has one folder a class.")
    tiles: list[tuple[Path, int | None, Split]] = []
    for class_folder in folders:
        with faults.of(class_folder):
            label = class_map.label(class_folder.name, folder)
            paths = images_in(class_folder)
            splits = divided([path.stem for path in paths], settings.shares)
            tiles += [(path, label, splits[path.stem]) for path in paths]

    def read(tile: tuple[Path, int | None, Split], name: str) -> list[Annotation]:
        path, label, split = tile
        with faults.of(path):
            size = image_size(path)
            boxes = [] if label is None else [find_centre_cell(read_image(path), path)]
            good, kept = checked(boxes, [] if label is None else [label], size, path, faults)
            labels = np.array(kept, np.int32)
            return [Annotation(path, *size, settings.um_per_px, good, labels, settings.source, name, split)]
        return []

    # Finding a cell costs many times what reading its picture does, and OpenCV lets other threads run meanwhile.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(read, tiles, originals([path for path, _, _ in tiles], folder))
        return [row for rows in found for row in rows]
