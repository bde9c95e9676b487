"""The sections as one HTML page that loads nothing from outside, and as Markdown without drawings and pictures."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from trainer.reporting.document import Cell, Section, Table

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
