"""What a bundle says of its training and of what was measured, in figures: the manifest's free tables as lines of text.

The trainer writes those tables and may add to them, and a bundle can be from elsewhere: what is not as expected is no error.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

_NUMBER = (int, float)


def data_lines(data: Mapping[str, Any]) -> str:
    """Images per source, cells per class; "none named" when nothing is."""
    lines = []
    sources = _table(data.get("sources"))
    if sources:
        images = [row["images"] for row in sources.values() if isinstance(row.get("images"), int)]
        each = (f"{name} {row.get('images', '?')} ({row.get('licence', 'no licence named')})" for name, row in sources.items())
        lines.append(f"{sum(images)} images: {', '.join(each)}")
    cells = {name: n for name, n in _numbers(data.get("train_cells")) if n}
    if cells:
        total = sum(cells.values())
        lines.append(f"{total:g} cells: {', '.join(f'{name} {n:g}' for name, n in cells.items())}")
    if isinstance(data.get("split_by"), str):
        lines.append(f"divided by {data['split_by']}")
    lines += _others(data, {"sources", "train_cells", "split_by", "splits", "sha256", "train_images", "unreadable_images"})
    return "\n".join(lines) or "none named"


def metric_lines(metrics: Mapping[str, Any]) -> str:
    """What was measured, on how many images, overall and per class; "none measured" when nothing is."""
    lines = []
    where = [str(metrics[name]) for name in ("split", "split_by") if metrics.get(name)]
    if isinstance(metrics.get("images"), int):
        lines.append(f"on {metrics['images']} images ({', '.join(where) or 'split not named'})")
    if wbc := _figures(metrics.get("wbc")):
        lines.append(f"any leukocyte: {wbc}")
    mean = [f"{what} {metrics[name]:.3f}" for name, what in _MEANS if isinstance(metrics.get(name), _NUMBER)]
    if mean:
        lines.append(f"mean over the classes: {', '.join(mean)}")
    for name, row in _table(metrics.get("classes")).items():
        if row.get("truth") and (figures := _figures(row)):
            lines.append(f"{name}: {figures}")
    if counting := [f"{name.replace('_', ' ')} {value:.4g}" for name, value in _numbers(metrics.get("counting"))]:
        lines.append(f"counting: {', '.join(counting)}")
    if metrics.get("caution"):
        lines.append(f"caution: {metrics['caution']}")
    lines += _others(metrics, {"images", "map", "map_11_point"})
    return "\n".join(lines) or "none measured"


_MEANS = (("map", "AP"), ("map_11_point", "11-point AP"))


def _figures(row: object) -> str:
    """AP, recall with its limits, precision, and of how many cells."""
    if not isinstance(row, Mapping):
        return ""
    parts = [f"{what} {row[name]:.3f}" for name, what in (("ap", "AP"), ("recall", "recall")) if _is_number(row.get(name))]
    if parts and _is_number(row.get("recall_low")) and _is_number(row.get("recall_high")):
        parts[-1] += f" ({row['recall_low']:.3f} to {row['recall_high']:.3f})"
    if _is_number(row.get("precision")):
        parts.append(f"precision {row['precision']:.3f}")
    if _is_number(row.get("truth")):
        parts.append(f"{row['truth']} cells")
    return ", ".join(parts)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def _table(value: object) -> dict[str, Mapping[str, Any]]:
    """Rows by name; those that are none are left out."""
    return {name: row for name, row in value.items() if isinstance(row, Mapping)} if isinstance(value, Mapping) else {}


def _numbers(value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        yield from ((str(name), number) for name, number in value.items() if _is_number(number))


def _others(table: Mapping[str, Any], known: set[str]) -> list[str]:
    """Numbers at the top of a table that another program than the trainer wrote."""
    return [f"{name} {value:.4g}" for name, value in _numbers(table) if name not in known]
