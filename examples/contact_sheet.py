"""Writes a PNG that shows the virtual slide: cells of every class, whole fields, and, if a folder is given, its photographs.

python examples/contact_sheet.py sheet.png --seed 7 --beside my_images/
"""

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np

from edge.contracts.cells import NAMES
from edge.contracts.detections import Image
from edge.virtual import CellAtlas, SlideSettings, VirtualSlide, draw_stain

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
    """The first images of a folder at the size of a field."""
    images = (cv2.imread(str(path)) for path in sorted(folder.iterdir()) if path.suffix.lower() in (".jpg", ".png", ".bmp"))
    readable = itertools.islice((image for image in images if image is not None), count)
    return [cv2.resize(image, size).astype(np.uint8) for image in readable]


def main() -> None:
    """Parse arguments, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--beside", type=Path, help="folder of photographs to put beside the virtual fields")
    parser.add_argument("--part", choices=("cells", "fields"), default="cells")
    arguments = parser.parse_args()
    if arguments.part == "cells":
        sheet = sprites(arguments.seed, 8)
    else:
        drawn = fields(arguments.seed, 4)
        size = (drawn[0].shape[1], drawn[0].shape[0])
        if arguments.beside:
            drawn += photographs(arguments.beside, 4, size)
        sheet = np.vstack([np.hstack(drawn[i : i + 2]) for i in range(0, len(drawn) - 1, 2)])
    if not cv2.imwrite(str(arguments.output), sheet):
        parser.error(f"{arguments.output} could not be written")


if __name__ == "__main__":
    main()
