"""A description of data sets (YAML) to annotations whose splits hold by original image."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from edge.contracts.errors import DataError
from trainer.data.annotation import Annotation
from trainer.data.faults import STRICT, Faults, NameTaken, ReadAgain
from trainer.data.groups import same_picture
from trainer.data.readers.class_folders import read_class_folders
from trainer.data.readers.class_map import load_class_map
from trainer.data.readers.coco import read_coco
from trainer.data.readers.description import ClassFoldersDataset, CocoDataset, Dataset, VocDataset, load_description
from trainer.data.readers.voc import read_voc
from trainer.data.readers.yolo import read_yolo
from trainer.data.source_files import read_image
from trainer.data.split import divide, without_sources
from trainer.data.split_plan import parse_plan

NAMING_IMAGES = ("given", "source")
"""Divisions that say of each image by itself where it goes."""


def read_dataset(dataset: Dataset, description: Path, root: Path, faults: Faults = STRICT) -> list[Annotation]:
    """All images of one data set. Raises `DataError`, or gives it to `faults`."""
    folder = root / dataset.folder
    if not folder.is_dir():
        raise DataError(f"data set {folder} does not exist; give the folder that holds {dataset.folder} as the data root.")
    class_map = load_class_map((description.parent / dataset.class_map).resolve())
    if isinstance(dataset, VocDataset):
        return read_voc(folder, class_map, dataset, faults)
    if isinstance(dataset, CocoDataset):
        return read_coco(folder, class_map, dataset, faults)
    if isinstance(dataset, ClassFoldersDataset):
        return read_class_folders(folder, class_map, dataset, faults)
    return read_yolo(folder, class_map, dataset, faults)


def each_once(annotations: Iterable[Annotation], faults: Faults = STRICT) -> list[Annotation]:
    """The annotations without the later ones of an original that was there before.

    The same name and alike pictures are the same original. Where the pictures differ, two sources are two laboratories that
    number their images alike, and both stay; within one source nobody could tell them apart by their name, and the later one
    goes to `faults`. Only pictures of one name are compared.
    """
    chosen: dict[str, list[Annotation]] = {}
    for row in annotations:
        with faults.of(row.path):
            known = chosen.setdefault(row.original, [])
            if any(same_picture(one.path, row.path) for one in known):
                faults.book.again(row.path)
                continue
            _require_free_name(row, known)
            known.append(row)
    return [row for rows in chosen.values() for row in rows]


def _require_free_name(row: Annotation, known: list[Annotation]) -> None:
    """Raises `NameTaken` when one of `known`, which show something else, is of the same source."""
    for one in known:
        if one.source == row.source:
            # A truncated file may decode to another picture; then the damage is what has to be said.
            for path in (one.path, row.path):
                read_image(path)
            raise NameTaken(
                f"{row.path} and {one.path} are different pictures, and both are {row.original!r} of {row.source}; rename one, "
                "or give their data sets different sources."
            )


def load_datasets(description: Path, root: Path, split_by: str = "given", faults: Faults = STRICT) -> list[Annotation]:
    """All annotations of the described data sets, each original image once, divided as `split_by` says (see `split_plan.HELP`).

    An original that several data sets hold is taken from the first one described, with its annotation and its split, so that
    no image is trained on in one guise and tested on in another. Where it says `divide_as`, that divides instead. Sizes are
    read from the headers; pixels are not decoded unless the format or the split needs them. Raises `DataError`.
    """
    plan = parse_plan(split_by)
    content = load_description(description)
    read: list[Annotation] = []
    for dataset in content.datasets:
        with STRICT.of(root / dataset.folder):
            read += read_dataset(dataset, description, root, faults)
    once = each_once(read, faults)
    faults.within_limit(len(once))
    if content.divide_as and plan.kind not in NAMING_IMAGES:
        other = description.parent / content.divide_as
        if load_description(other).divide_as:
            raise DataError(f"{description} divides as {other}, which divides as another itself; name that one.")
        # Sources that are held back on top may be of this description alone.
        there = {row.path: row.split for row in load_datasets(other, root, split_by.partition(",")[0], ReadAgain(faults))}
        rows = [replace(row, split=there.get(row.path, row.split)) for row in once]
        return without_sources(rows, plan.sources, only=False)
    rows = divide(once, plan, content.group_patterns, faults)
    faults.within_limit(len(rows))
    return rows
