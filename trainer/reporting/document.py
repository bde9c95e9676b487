"""What a report is made of: sections of words, tables, drawings and pictures, the same for the page and for Markdown."""

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table. `look` names classes of the style sheet: `ours`, `weak`, `none`, `text`, or a tint `h0`-`h10`."""

    text: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`head` and every row are equally long; the first cell of a row names it. `kind` chooses the style."""

    caption: str
    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    kind: Literal["plain", "heat", "facts"] = "plain"


@dataclass(frozen=True, slots=True)
class Picture:
    """A cut from an image with boxes. `jpeg` is a data URI; boxes are x1 y1 x2 y2 in pixels of the cut."""

    jpeg: str
    width_px: int
    height_px: int
    true_box: tuple[float, float, float, float] | None
    called_box: tuple[float, float, float, float] | None
    words: str
    where: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures under one heading."""

    title: str
    words: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One heading of the report. `drawings` are ready SVG, escaped where they were drawn."""

    title: str
    words: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    drawings: tuple[Markup, ...] = ()
    galleries: tuple[Gallery, ...] = ()
