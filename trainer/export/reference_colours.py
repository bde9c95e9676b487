"""The colours of the training images by laboratory, for a bundle: what an instrument's colours are moved to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.contracts.bundle import CARD, MODEL, Bundle, Thresholds, write_bundle
from edge.contracts.colours import Bgr, Colours, ReferenceColours, SourceColours
from edge.contracts.errors import DataError
from edge.quality import FieldColours, colours_of
from trainer.data.annotation import Annotation
from trainer.data.datasets import load_datasets
from trainer.data.provenance import data_sha256
from trainer.data.readers.description import load_description
from trainer.data.source_files import read_image
from trainer.evaluation.target import division_of
from trainer.export.card import card

LOOKED_AT = 150
"""Images of each laboratory, evenly over all it has: their median does not change with more."""

LEAST = 5


def reference_colours(rows: Sequence[Annotation], laboratories: Mapping[str, str]) -> ReferenceColours:
    """Medians over the images of each laboratory; of one with fewer than `LEAST` that show red cells nothing is said.

    Raises `DataError` when no laboratory has so many.
    """
    by_laboratory: dict[str, list[Annotation]] = {}
    for row in sorted(rows, key=lambda row: (row.source, row.original)):
        by_laboratory.setdefault(laboratories.get(row.source, row.source), []).append(row)
    found: dict[str, SourceColours] = {}
    for name, images in sorted(by_laboratory.items()):
        chosen = images[:: max(1, len(images) // LOOKED_AT)][:LOOKED_AT]
        seen = [colours for row in chosen if (colours := colours_of(read_image(row.path), row.um_per_px)) is not None]
        if len(seen) >= LEAST:
            found[name] = SourceColours(colours=_medians(seen), images=len(seen))
    if not found:
        raise DataError(
            "no laboratory's images show red cells beside empty slide often enough to know its colours; give images with some "
            "surroundings of the cells."
        )
    return ReferenceColours(sources=found)


def colours_of_training(said: Mapping[str, Any], whose: Path, data: Path, root: Path) -> ReferenceColours:
    """The colours of the images that a training says it saw (`said`). Raises `DataError` when `data` does not describe them."""
    splits = set(said.get("splits", ("train",)))
    rows = [row for row in load_datasets(data, root, division_of(said)) if row.split in splits]
    if data_sha256(rows) != said.get("sha256"):
        raise DataError(
            f"{data} does not describe the images that {whose} was trained on, as they were; its colours are theirs alone."
        )
    return reference_colours(rows, load_description(data).laboratories)


def with_colours(bundle: Bundle, data: Path, root: Path, folder: Path, moved: Thresholds | None = None) -> Bundle:
    """A child of `bundle` in `folder`, the same graph, that says which colours it knows. Raises `DataError`, `BundleError`.

    `moved`: the operating point of fields whose colours were moved to them.
    """
    colours = colours_of_training(bundle.manifest.training.data, bundle.path, data, root)
    manifest = bundle.manifest.model_dump(exclude={"files"})
    manifest |= {
        "parent_bundle_id": bundle.bundle_id,
        "reference_colours": colours.model_dump(),
        "moved_thresholds": moved.model_dump() if moved is not None else None,
    }
    return write_bundle(folder, manifest, {MODEL: bundle.read_model(), CARD: card(manifest).encode()})


def _medians(seen: Sequence[FieldColours]) -> Colours:
    nuclei = [one.nuclei for one in seen if one.nuclei is not None]
    return Colours(
        empty=_bgr([one.empty for one in seen]),
        red_cells=_bgr([one.red_cells for one in seen]),
        nuclei=_bgr(nuclei) if len(nuclei) >= LEAST else None,
    )


def _bgr(values: Sequence[object]) -> Bgr:
    blue, green, red = (round(float(level), 2) for level in np.median(np.array(values), axis=0))
    return blue, green, red
