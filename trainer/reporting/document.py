"""What a report is made of: sections of words, tables, drawings and pictures; and those as an HTML page and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
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


_templates = Environment(
    loader=PackageLoader("trainer.reporting"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html_page(title: str, sections: Sequence[Section]) -> str:
    """The whole document. Everything from a summary is escaped by the templates."""
    return _templates.get_template("report.html").render(title=title, sections=sections)


def drawing(template: str, **values: object) -> str:
    """One of the SVG templates, filled and escaped in the same way."""
    return _templates.get_template(template).render(**values)


def markdown(title: str, sections: Sequence[Section]) -> str:
    """One document in the GitHub flavour."""
    parts = [f"# {_plain(title)}"]
    for section in sections:
        parts.append(f"## {_plain(section.title)}")
        parts += [_plain(line) for line in section.words]
        for table in section.tables:
            parts += [f"**{_plain(table.caption)}**", _table(table)]
            parts += [_plain(table.note)] if table.note else []
        for gallery in section.galleries:
            parts.append(f"**{_plain(gallery.title)}**: {_plain(gallery.words)}")
            parts.append("\n".join(f"- {_plain(f'{picture.words} {picture.where}')}" for picture in gallery.pictures))
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    rule = ["---", *["---:"] * (len(table.head) - 1)]
    return "\n".join([_row(table.head), f"| {' | '.join(rule)} |", *map(_row, table.rows)])


def _row(cells: Sequence[Cell]) -> str:
    return f"| {' | '.join(map(_shown, cells))} |"


def _shown(cell: Cell) -> str:
    """A weak figure in italics, as on the page."""
    text = _plain(cell.text)
    return f"*{text}*" if text and "weak" in cell.look.split() else text


_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"} | {"\n": " ", "\r": " "})


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: names of files and bundles come from outside."""
    return text.translate(_SPECIAL)
