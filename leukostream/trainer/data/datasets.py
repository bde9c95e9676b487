"""A description of data sets (YAML) to annotations whose splits hold by original image."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from leukostream.edge.contracts.base import Fraction, Strict, explain
from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.data.annotation import Annotation, Split
from leukostream.trainer.data.class_map import load_class_map
from leukostream.trainer.data.read_class_folders import read_class_folders
from leukostream.trainer.data.read_voc import read_voc
from leukostream.trainer.data.read_yolo import read_yolo
from leukostream.trainer.data.split import divide, parse_plan

Scale = Annotated[float, Field(gt=0, le=10)]


class YoloDataset(Strict):
    """YOLO text labels; scale by source, sources in the table of types."""

    format: Literal["yolo"]
    folder: str
    class_map: str
    types: str
    um_per_px: dict[str, Scale]


class VocDataset(Strict):
    """PASCAL VOC XML."""

    format: Literal["voc"]
    folder: str
    class_map: str
    types: str | None = None
    source: str
    um_per_px: Scale


class ClassFoldersDataset(Strict):
    """One folder a class, one cell in the centre of each image; `shares` of each folder go to the splits."""

    format: Literal["class_folders"]
    folder: str
    class_map: str
    source: str
    um_per_px: Scale
    shares: dict[Split, Fraction]


Dataset = Annotated[YoloDataset | VocDataset | ClassFoldersDataset, Field(discriminator="format")]


class Origin(Strict):
    """Whose images they are and what may be done with them; goes into the bundle and its card."""

    origin: str
    licence: str
    group_by: str | None = Field(
        None, description="regular expression; its first group is the part of an original's name that names its slide or field"
    )


class Description(Strict):
    """The content of a description file."""

    sources: dict[str, Origin] = Field(default_factory=dict, description="by source name, as the data sets give it")
    datasets: tuple[Dataset, ...] = Field(min_length=1)


def load_description(path: Path) -> Description:
    """Read a description of data sets. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"description {path} does not exist; write one that lists the data sets.")
    try:
        return Description.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as problem:
        raise DataError(f"description {path} is not YAML ({str(problem).splitlines()[0]}); correct it.") from problem
    except ValidationError as problem:
        raise DataError(f"description {path} cannot be used: {explain(problem)}; correct it.") from problem


def _read(dataset: Dataset, description: Path, root: Path) -> list[Annotation]:
    folder = root / dataset.folder
    if not folder.is_dir():
        raise DataError(f"data set {folder} does not exist; give the folder that holds {dataset.folder} as the data root.")
    class_map = load_class_map((description.parent / dataset.class_map).resolve())
    if isinstance(dataset, YoloDataset):
        return read_yolo(folder, class_map, folder / dataset.types, dataset.um_per_px)
    if isinstance(dataset, VocDataset):
        types = None if dataset.types is None else folder / dataset.types
        return read_voc(folder, class_map, types, dataset.source, dataset.um_per_px)
    return read_class_folders(folder, class_map, dataset.source, dataset.um_per_px, dataset.shares)


def load_datasets(description: Path, root: Path, split_by: str = "given") -> list[Annotation]:
    """All annotations of the described data sets, each original image once, divided as `split_by` says (see `split.HELP`).

    An original that several data sets hold is taken from the first one described, with its annotation and its split, so that
    no image is trained on in one guise and tested on in another. Raises `DataError`.
    """
    plan = parse_plan(split_by)
    content = load_description(description)
    chosen: dict[str, Annotation] = {}
    for dataset in content.datasets:
        for annotation in _read(dataset, description, root):
            chosen.setdefault(annotation.original, annotation)
    patterns = {name: source.group_by for name, source in content.sources.items() if source.group_by}
    return divide(list(chosen.values()), plan, patterns)


def data_sha256(annotations: list[Annotation]) -> str:
    """Hex SHA-256 over names, splits, boxes, labels and image bytes, for a bundle's provenance."""
    digest = hashlib.sha256()
    for item in sorted(annotations, key=lambda a: (a.source, a.original)):
        digest.update(f"{item.source}/{item.original}/{item.split}/{item.um_per_px}".encode())
        digest.update(item.boxes_px.tobytes() + item.labels.tobytes() + item.path.read_bytes())
    return digest.hexdigest()
