"""A table for a terminal of any width: what matters least is left out first, and what matters most is never squeezed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

ROOMY = 100
"""From so many columns on a table has its lines and its whole headings."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `leave_out` is its turn to go where there is no room, the lowest first; None keeps it at any width.

    `least` is the width at which its text may be folded; without it the text stays whole.
    """

    name: str
    short: str = ""
    leave_out: int | None = None
    least: int | None = None
    justify: Literal["left", "right"] = "left"


def fitting_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int, *, expand: bool = False
) -> tuple[Table, list[str]]:
    """A table not wider than `width`, and the names of the columns that had to be left out.

    Where even those that stay have no room, texts are folded. With `expand` those that may be folded
    have their least width whatever is in them, and take what room there is.
    """
    kept, left_out = list(range(len(columns))), []
    is_roomy = width >= ROOMY and _needed(columns, rows, kept, is_roomy=True, expand=expand) <= width
    while not is_roomy and _needed(columns, rows, kept, is_roomy=False, expand=expand) > width:
        droppable = [at for at in kept if columns[at].leave_out is not None]
        if not droppable:
            break
        first = min(droppable, key=lambda at: columns[at].leave_out or 0)
        kept.remove(first)
        left_out.append(columns[first].name)
    table = Table(
        box=box.HEAVY_HEAD if is_roomy else box.SIMPLE_HEAD,
        padding=(0, 1) if is_roomy else (0, 1, 0, 0),
        show_edge=is_roomy,
        expand=is_roomy and expand,
    )
    for at in kept:
        column = columns[at]
        name = column.name if is_roomy else column.short or column.name
        table.add_column(
            name,
            justify=column.justify,
            no_wrap=column.least is None,
            overflow="fold",
            ratio=1 if column.least is not None and is_roomy and expand else None,
        )
    for row in rows:
        table.add_row(*(row[at] for at in kept))
    return table, left_out


def _needed(
    columns: Sequence[Column], rows: Sequence[Sequence[Text]], kept: Sequence[int], *, is_roomy: bool, expand: bool
) -> int:
    """Columns of the terminal for these, with what stands between them."""
    total = 1 + len(kept) * (3 if is_roomy else 2)
    for at in kept:
        column, widest = columns[at], max((row[at].cell_len for row in rows), default=0)
        if column.least is not None:
            widest = column.least if expand else min(widest, column.least)
        total += max(widest, cell_len(column.name if is_roomy else column.short or column.name))
    return total
