"""Names and sentences: a class in plain words, a figure, and what is not known."""

from collections.abc import Iterable, Sequence

from edge.contracts.cells import CELLS

FEW = 10
"""Below this many cells the exact limits of a recall are wider than a third even when all are found."""

IN_WORDS = {
    **{cell.name: cell.name for cell in CELLS},
    "neutrophil_band": "band neutrophil",
    "neutrophil_segmented": "segmented neutrophil",
    "lymphocyte_reactive": "reactive lymphocyte",
    "nrbc": "nucleated red cell",
    "platelet_giant": "giant platelet",
    "smudge": "smudge cell",
    "untyped_wbc": "leukocyte of unknown type",
    "untyped_neutrophil": "neutrophil, band or segmented",
}

NONE = "\N{EN DASH}"


def in_words(name: str) -> str:
    """A class as a person says it; any other name (`missed`) with blanks for underscores."""
    return IN_WORDS.get(name, name.replace("_", " "))


def with_article(name: str) -> str:
    """`a blast`, `an eosinophil`."""
    words = in_words(name)
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """`one`, `one and two`, `one, two and three`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def figure(value: float | None, places: int = 3) -> str:
    """A share with fixed places; a dash where there is none."""
    return NONE if value is None else f"{value:.{places}f}"


def duration(seconds: float) -> str:
    """Hours from two hours on, minutes below."""
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"


def unknown(names: Iterable[str], held_back: bool) -> str:
    """Which classes no image shows; empty when every class has truth."""
    missing = [with_article(name) for name in names]
    if not missing:
        return ""
    image = "held-back image" if held_back else "image"
    return f"No {image} shows {listed(missing, 'or')}; nothing is known about {'it' if len(missing) == 1 else 'them'}."


def weak(truths: Iterable[tuple[str, int]]) -> str:
    """Which classes have few cells; empty when none has."""
    few = [f"{in_words(name)} ({n})" for name, n in truths if 0 < n < FEW]
    return f"Fewer than {FEW} cells: {listed(few)}. Such figures are weak: one cell more or less changes them." if few else ""
