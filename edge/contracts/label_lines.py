"""Annotated images as one room hands them to another: JSON lines, one image a line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from edge.contracts.base import Strict, parse_json
from edge.contracts.cells import INDEX
from edge.contracts.errors import DataError, first_line
from edge.contracts.whole_file import read_whole, write_whole

SPECIAL_LABELS = ("untyped_wbc", "untyped_neutrophil", "ignore")
"""A leukocyte of unknown type; a neutrophil, band or segmented; a region of which nothing is known."""


class LabelledCell(Strict):
    """One box in pixels of the stored image: x right, y down, x2 and y2 exclusive. `label`: a class or a special label."""

    label: str
    x1_px: float = Field(allow_inf_nan=False)
    y1_px: float = Field(allow_inf_nan=False)
    x2_px: float = Field(allow_inf_nan=False)
    y2_px: float = Field(allow_inf_nan=False)

    @field_validator("label")
    @classmethod
    def _is_known(cls, label: str) -> str:
        if label not in INDEX and label not in SPECIAL_LABELS:
            raise ValueError(f"{label!r} is no class and none of {', '.join(SPECIAL_LABELS)}")
        return label

    @model_validator(mode="after")
    def _has_an_area(self) -> "LabelledCell":
        if self.x2_px <= self.x1_px or self.y2_px <= self.y1_px:
            box = f"{self.x1_px:g} {self.y1_px:g} {self.x2_px:g} {self.y2_px:g}"
            raise ValueError(f"the box {box} is empty or turned inside out; x2 and y2 are its lower right corner")
        return self


class LabelledImage(Strict):
    """One line.

    `path` is relative to the data root, with forward slashes. Images of one `group` show the same slide, field or original;
    nothing may be fitted on some of them and judged on others. Sides in pixels, scale in um per pixel.
    """

    path: str
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    um_per_px: float = Field(gt=0, allow_inf_nan=False)
    source: str
    original: str
    group: int = Field(ge=0)
    split: Literal["train", "val", "test"]
    cells: tuple[LabelledCell, ...]


def write_label_lines(path: Path, images: Iterable[LabelledImage]) -> int:
    """Write the lines; returns how many."""
    lines = [image.model_dump_json() for image in images]
    write_whole(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def read_label_lines(path: Path) -> list[LabelledImage]:
    """Read them. Raises `DataError` for a missing or empty file, and for a line that cannot be used, by its number."""
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise DataError(f"file of labels {path} {what}; `leuko-train data export` writes one.")
    try:
        lines = read_whole(path).decode("utf-8").splitlines()
    except (OSError, UnicodeError) as problem:
        raise DataError(
            f"file of labels {path} cannot be read as text ({first_line(problem)}); `leuko-train data export` writes one."
        ) from problem
    if not lines:
        raise DataError(f"file of labels {path} is empty; `leuko-train data export` writes one.")
    return [parse_json(LabelledImage, line, f"{path} line {number}", DataError) for number, line in enumerate(lines, start=1)]
