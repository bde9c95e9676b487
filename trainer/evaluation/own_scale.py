"""The um/px of the measured images as their own red cells give it, fixed for each source: what `leuko-calib scale-check` does.

A source is one instrument; nothing but pixels is looked at, so a wrong um/px in the description is mended as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge.quality.red_cell_scale import RedCellSizes
from edge.quality.red_cells import find_red_cells
from trainer.data.annotation import Annotation
from trainer.data.source_files import read_image

LOOKED_AT = 100


def own_scales(rows: Sequence[Annotation]) -> Mapping[str, float]:
    """By source, where enough single red cells are to be seen; raises `DataError` for an image that cannot be read."""
    by_source: dict[str, list[Annotation]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    found: dict[str, float] = {}
    for source, images in by_source.items():
        sizes = RedCellSizes()
        for row in images[:: max(1, len(images) // LOOKED_AT)]:
            image = read_image(row.path)
            sizes.add(find_red_cells(image).diameters_px, float(image.shape[0] * image.shape[1]))
        red_cells = sizes.found()
        if not isinstance(red_cells, str):
            found[source] = round(red_cells.um_per_px, 5)
    return found


def rescaled(rows: Sequence[Annotation]) -> list[Annotation]:
    """`rows` at the um/px of their own red cells; those of a source without enough of them as they are."""
    scales = own_scales(rows)
    return [replace(row, um_per_px=scales.get(row.source, row.um_per_px)) for row in rows]
