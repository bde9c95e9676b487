"""The sections' words and tables as Markdown; drawings and pictures are on the page only."""

from collections.abc import Sequence

from trainer.reporting.section import Cell, Section, Table


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
