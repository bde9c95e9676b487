"""Writes a PNG that shows the virtual slide: cells of every class, or whole fields, and beneath them photographs of a folder.

python examples/contact_sheet.py sheet.png --seed 7 --beside my_images/
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from edge.camera.folder import FolderSource
from edge.camera.frame import SourceEnded
from edge.contracts.cells import NAMES
from edge.contracts.detections import Image
from edge.contracts.errors import LeukoError, first_line
from edge.virtual import UM_PER_PX, CellAtlas, SlideSettings, VirtualSlide, draw_stain
from edge.virtual.slide import FIELD_HEIGHT_PX, FIELD_WIDTH_PX

TILE_PX = 180


def tile(image: Image, background: tuple[float, float, float], size: int = TILE_PX) -> Image:
    """`image` in the middle of a square of `size`, cut where it is larger."""
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = background
    image = image[:size, :size]
    y, x = (size - image.shape[0]) // 2, (size - image.shape[1]) // 2
    canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    return canvas


def sprites(seed: int, columns: int) -> Image:
    """One row per class, every column in another laboratory's stain."""
    atlas = CellAtlas(seed)
    rows = []
    for label, name in enumerate(NAMES):
        row = []
        for variant in range(columns):
            stain = draw_stain(np.random.default_rng([seed, variant]), 1.0)
            row.append(tile(atlas.sprite(label, variant, stain).bgr, stain.light_bgr))
        line = np.hstack(row)
        cv2.putText(line, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(line)
    return np.vstack(rows)


def fields(seed: int, count: int) -> list[Image]:
    """Whole fields of `count` slides, each with its own stain and with more cells than a normal one."""
    drawn = []
    for offset in range(count):
        settings = SlideSettings(seed=seed + offset, wbc_per_field_mean=3.0, class_mix=dict.fromkeys(NAMES, 1.0))
        field = VirtualSlide(settings).render(0.0, 0.0)
        for box, label in zip(field.boxes_px, field.labels, strict=True):
            at = (int(box[0]), max(12, int(box[1]) - 3))
            cv2.putText(field.image, NAMES[label], at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        drawn.append(field.image)
    return drawn


def photographs(folder: Path, count: int, size: tuple[int, int]) -> list[Image]:
    """The first images of a folder at the size of a field. Raises `SourceError` when there is none."""
    source = FolderSource(str(folder), UM_PER_PX)
    found: list[Image] = []
    while len(found) < count:
        try:
            frame = source.read(1.0)
        except SourceEnded:
            break
        if frame.image is None:
            print(f"left out: {frame.detail}", file=sys.stderr)
        else:
            found.append(cv2.resize(frame.image, size).astype(np.uint8))
    source.close()
    return found


def beneath(rows: list[Image]) -> Image:
    """Pictures one beneath the other, on white where one is narrower."""
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows])


def main() -> None:
    """Parse arguments, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--beside", type=Path, help="folder of photographs to put beneath the virtual cells or fields")
    parser.add_argument("--part", choices=("cells", "fields"), default="cells")
    arguments = parser.parse_args()
    if not cv2.haveImageWriter(str(arguments.output)):
        parser.error(f"{arguments.output} has no picture's suffix; end it in .png")
    pictures = fields(arguments.seed, 4) if arguments.part == "fields" else []
    try:
        if arguments.beside:
            pictures += photographs(arguments.beside, 4, (FIELD_WIDTH_PX, FIELD_HEIGHT_PX))
        sheet = beneath(
            ([sprites(arguments.seed, 8)] if arguments.part == "cells" else [])
            + [np.hstack(pictures[i : i + 2]) for i in range(0, len(pictures), 2)]
        )
        written = cv2.imwrite(str(arguments.output), sheet)
    except (LeukoError, cv2.error) as problem:
        parser.error(first_line(problem))
    if not written:
        parser.error(f"{arguments.output} could not be written")


if __name__ == "__main__":
    main()
