"""Annotations as label lines, for the other rooms."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.contracts.errors import ConfigError
from edge.contracts.label_lines import LabelledCell, LabelledImage, write_label_lines
from trainer.data.annotation import SPLITS, Annotation
from trainer.data.datasets import load_datasets
from trainer.data.groups import groups_of
from trainer.data.readers.class_map import LABEL_NAMES
from trainer.data.readers.description import load_description
from trainer.data.split_plan import parse_splits

SIDES = ("x1_px", "y1_px", "x2_px", "y2_px")


def export_labels(description: Path, root: Path, split_by: str, splits: str, out: Path) -> tuple[int, int]:
    """Write the labels of `splits` (several separated by commas), divided by `split_by`; images and cells written.

    Raises `ConfigError` for an unknown split, one without an image, or a file that cannot be written, and `DataError`.
    """
    wanted = parse_splits(splits)
    rows = load_datasets(description, root, split_by)
    lines = [line for line in label_lines(rows, root, load_description(description).group_patterns) if line.split in wanted]
    if not lines:
        raise ConfigError(f"no image of {description} is in the splits {splits!r}; use {', '.join(SPLITS)}.")
    try:
        count = write_label_lines(out, lines)
    except OSError as problem:
        raise ConfigError(f"{out} cannot be written ({problem.strerror}); choose another --out.") from problem
    return count, sum(len(line.cells) for line in lines)


def label_lines(annotations: Sequence[Annotation], root: Path, patterns: Mapping[str, str]) -> list[LabelledImage]:
    """One line an image, in the annotations' order; boxes to a hundredth of a pixel.

    `patterns`: see `groups_of`. Raises `DataError`.
    """
    return [_line(row, root, group) for row, group in zip(annotations, groups_of(annotations, patterns), strict=True)]


def _line(row: Annotation, root: Path, group: int) -> LabelledImage:
    cells = tuple(
        LabelledCell(label=LABEL_NAMES[label], **{side: round(value, 2) for side, value in zip(SIDES, box, strict=True)})
        for box, label in zip(row.boxes_px.tolist(), row.labels.tolist(), strict=True)
    )
    return LabelledImage(
        path=row.path.relative_to(root).as_posix(),
        width_px=row.width_px,
        height_px=row.height_px,
        um_per_px=row.um_per_px,
        source=row.source,
        original=row.original,
        group=group,
        split=row.split,
        cells=cells,
    )
