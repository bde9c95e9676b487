"""The colours of the measured images, moved as a profile would have them moved: fixed for each source, without annotation.

A source is one instrument and stain; what `leuko-calib colour` measures on fields is measured on its images here.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from edge.camera.colour_transform import colour_table
from edge.camera.correction import Correction
from edge.contracts.colours import Colours, ReferenceColours
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError
from edge.quality import FieldColours, colours_of
from trainer.data.annotation import Annotation
from trainer.data.source_files import read_image
from trainer.export.reference_colours import reference_colours

LOOKED_AT = 100
LEAST_FIELDS = 5
"""Images of a source that have to show red cells and empty slide; the colours of one with fewer stay as they are."""


def own_corrections(rows: Sequence[Annotation], reference: ReferenceColours | None) -> Mapping[str, Correction]:
    """By source. Raises `ConfigError` for a model that does not say which colours it knows."""
    if reference is None:
        raise ConfigError("this model does not say which colours it knows; `leuko-train colours` makes a bundle that does.")
    by_source: dict[str, list[Annotation]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row)
    found: dict[str, Correction] = {}
    for source, images in by_source.items():
        chosen = images[:: max(1, len(images) // LOOKED_AT)]
        seen = [colours for row in chosen if (colours := colours_of(read_image(row.path), row.um_per_px)) is not None]
        if len(seen) >= LEAST_FIELDS:
            table = colour_table(_middle(seen), reference)
            found[source] = Correction(table=table.table, colour_name=table.name)
    return found


def moved_tables(rows: Sequence[Annotation], laboratories: Mapping[str, str]) -> Mapping[str, Image]:
    """By source, what moves its colours to the middle of all `rows`: for a training on what `own_corrections` measures on."""
    found = own_corrections(rows, reference_colours(rows, laboratories))
    return {source: correction.table for source, correction in found.items() if correction.table is not None}


def _middle(seen: Sequence[FieldColours]) -> Colours:
    empty, red = (np.median([getattr(one, name) for one in seen], axis=0).tolist() for name in ("empty", "red_cells"))
    return Colours(empty=tuple(empty), red_cells=tuple(red))
