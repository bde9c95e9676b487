"""The description of data sets: which folders, in which format, at which scale, by whom."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from edge.contracts.base import Fraction, Strict
from edge.contracts.errors import DataError
from edge.contracts.user_paths import UserPathText
from edge.files import parse_yaml
from trainer.data.annotation import Split
from trainer.data.source_files import read_text
from trainer.overrides import complaint

Scale = Annotated[float, Field(gt=0, le=10)]
Orientation = Literal["stored", "shown"]
Unannotated = Literal["error", "negative"]
"""What an image without a file of labels is: forgotten, or one without cells."""


class DatasetFolder(Strict):
    """What every format has: the folder, what in it is not used, and what the source's class names mean."""

    folder: UserPathText
    class_map: UserPathText
    leave_out: tuple[str, ...] = Field((), description="folders, files or patterns in the folder that are not used")


class WithBoxes(DatasetFolder):
    """A format in which people drew boxes, on a stored picture or on one that their tool had turned upright."""

    orientation: Orientation | None = Field(
        None, description="which picture the boxes are of where an image has an EXIF orientation: as stored, or as shown"
    )


class YoloDataset(WithBoxes):
    """YOLO text labels. With `types`, sources come from that table and `um_per_px` is by source; else both are given here."""

    format: Literal["yolo"]
    types: UserPathText | None = None
    source: str | None = None
    um_per_px: Scale | dict[str, Scale]
    unannotated: Unannotated = "error"

    @model_validator(mode="after")
    def _sources_are_known(self) -> "YoloDataset":
        by_table = self.types is not None and self.source is None and isinstance(self.um_per_px, dict)
        plain = self.types is None and self.source is not None and not isinstance(self.um_per_px, dict)
        if not by_table and not plain:
            raise ValueError("give either `source` and one um_per_px, or `types` and um_per_px by source")
        return self


class VocDataset(WithBoxes):
    """PASCAL VOC XML."""

    format: Literal["voc"]
    types: UserPathText | None = None
    source: str
    um_per_px: Scale
    unannotated: Unannotated = "error"


class CocoDataset(WithBoxes):
    """COCO JSON: one file of annotations (all `train`), or one a split; `images` is the folder the file names are in."""

    format: Literal["coco"]
    source: str
    um_per_px: Scale
    annotations: UserPathText | dict[Split, UserPathText]
    images: UserPathText | dict[Split, UserPathText] = "images"


class ClassFoldersDataset(DatasetFolder):
    """One folder a class, one cell in the centre of each image; `shares` of each folder go to the splits."""

    format: Literal["class_folders"]
    source: str
    um_per_px: Scale
    shares: dict[Split, Fraction]


Dataset = Annotated[YoloDataset | VocDataset | CocoDataset | ClassFoldersDataset, Field(discriminator="format")]


class Origin(Strict):
    """Whose images they are and what may be done with them; goes into the bundle and its card."""

    origin: str
    licence: str
    use: Literal["training", "evaluation"] = Field(
        "training", description="`evaluation`: nobody allowed more; no model is trained on these images"
    )
    laboratory: str | None = Field(
        None, min_length=1, description="whose stain and camera these are; the source's own name when not given"
    )
    group_by: str | None = Field(
        None, description="regular expression; its first group is the part of an original's name that names its slide or field"
    )

    @field_validator("group_by")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern is None or re.compile(pattern).groups:
                return pattern
        except re.error as problem:
            raise ValueError(f"{pattern!r} is not a regular expression ({problem})") from problem
        raise ValueError(f"{pattern!r} has no group; put what names the slide in brackets, as '(.+)_\\d+$'")


class Description(Strict):
    """The content of a description file."""

    sources: dict[str, Origin] = Field(default_factory=dict, description="by source name, as the data sets give it")
    datasets: tuple[Dataset, ...] = Field(min_length=1)
    divide_as: UserPathText | None = Field(
        None,
        description="another description, beside this one: random, grouped and fold divide the images that it has, too, as "
        "they divide it, so that a model taught further holds back what its parent did; the rest stays as its data set says",
    )
    max_unreadable: Fraction = Field(0.01, description="share of damaged images that a training leaves out before it refuses")

    @property
    def group_patterns(self) -> dict[str, str]:
        """`group_by` of the sources that have one."""
        return {name: source.group_by for name, source in self.sources.items() if source.group_by}

    @property
    def laboratories(self) -> dict[str, str]:
        """The laboratory of each source that is described."""
        return {name: source.laboratory or name for name, source in self.sources.items()}

    @property
    def evaluation_only(self) -> frozenset[str]:
        """Sources that no model may be trained on."""
        return frozenset(name for name, source in self.sources.items() if source.use == "evaluation")

    @property
    def without_origin(self) -> list[str]:
        """Sources that the data sets name and `sources` does not."""
        named: set[str] = set()
        for dataset in self.datasets:
            if isinstance(dataset.um_per_px, dict):
                named |= dataset.um_per_px.keys()
            elif dataset.source is not None:
                named.add(dataset.source)
        return sorted(named - self.sources.keys())


def load_description(path: Path) -> Description:
    """Read a description of data sets. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"description {path} does not exist; write one that lists the data sets.")
    content = parse_yaml(read_text(path), f"description {path}", DataError)
    try:
        return Description.model_validate(content)
    except ValidationError as problem:
        raise DataError(
            f"description {path} cannot be used: {complaint(problem, Description, content)}; correct it."
        ) from problem
