"""Annotations as label lines, for the other rooms."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.contracts.label_lines import LabelledCell, LabelledImage
from trainer.data.annotation import Annotation
from trainer.data.groups import groups_of
from trainer.data.readers.class_map import LABEL_NAMES

SIDES = ("x1_px", "y1_px", "x2_px", "y2_px")


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
