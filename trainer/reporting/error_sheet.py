"""The worst errors of a model on one sheet: a row for what was missed, one for what was found falsely, one for wrong types."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from edge.contracts.cells import CELLS, INDEX
from edge.contracts.detections import Image
from trainer.data.annotation import Annotation
from trainer.evaluation.cell_verdicts import ranked_errors, truth_rows
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.summary import Box, Miss
from trainer.reporting.error_gallery import MIN_SIDE_PX, SURROUNDINGS, Kind

PER_KIND = 8

TILE_PX, CAPTION_PX, LINE_PX = 176, 34, 14
"""Side of a cut, height of the two lines below it, and of one of them."""

PAPER, INK = (255, 255, 255), (0, 0, 0)
ANNOTATED, FOUND = (200, 90, 0), (0, 120, 255)
"""BGR: blue as annotated, orange as found, as in the report."""

FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.36
LETTERS = 25
"""That a line of a tile has room for."""


def error_sheet(
    results: Sequence[ImageResult], image_of: Callable[[Annotation], Image], root: Path, per_kind: int = PER_KIND
) -> Image | None:
    """uint8 BGR: the worst `per_kind` of each kind, a row a kind, worst first, with what is wrong, score and file's name.

    None when there is no error. `image_of` gives an image in the pixels of its annotation; paths are told relative to `root`.
    """
    errors = ranked_errors(results, [truth_rows(result) for result in results], root)
    by_kind = {kind: [one for one in errors if one[1].kind == kind][:per_kind] for kind in get_args(Kind)}
    rows = [[_tile(image_of(result.annotation), miss) for result, miss in found] for found in by_kind.values() if found]
    if not rows:
        return None
    columns = max(map(len, rows))
    height, width = rows[0][0].shape[:2]
    sheet = np.full((len(rows) * height, columns * width, 3), PAPER, np.uint8)
    for down, tiles in enumerate(rows):
        for right, tile in enumerate(tiles):
            sheet[down * height : (down + 1) * height, right * width : (right + 1) * width] = tile
    return sheet


def caption(miss: Miss) -> str:
    """An error in a few letters: what is annotated, what was found, and with which score."""
    score = "" if miss.score is None else f" {miss.score:.2f}"
    truth, called = _short(miss.truth), _short(miss.predicted)
    if miss.kind == "missed":
        return f"missed {truth}" + (f" (seen {called}{score})" if miss.predicted else " (nothing seen)")
    if miss.kind == "wrong type":
        return f"{truth} called {called}{score}"
    return f"false {called}{score}" + (f" beside {_short(miss.beside)}" if miss.beside else "")


def _short(name: str | None) -> str:
    if name in INDEX:
        return CELLS[INDEX[name]].abbreviation
    return {"untyped_wbc": "WBC", "untyped_neutrophil": "NEU"}.get(name or "", name or "")


def _tile(pixels: Image, miss: Miss) -> Image:
    x1, y1, x2, y2 = miss.box_px
    side = max(MIN_SIDE_PX, round(SURROUNDINGS * max(x2 - x1, y2 - y1)))
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    inside = pixels[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    cut = np.full((side, side, 3), PAPER, np.uint8)
    down, right = max(0, -top), max(0, -left)
    cut[down : down + inside.shape[0], right : right + inside.shape[1]] = inside
    tile = np.full((TILE_PX + CAPTION_PX, TILE_PX, 3), PAPER, np.uint8)
    # A border of paper keeps neighbours apart.
    tile[1 : TILE_PX - 1, 1 : TILE_PX - 1] = cv2.resize(cut, (TILE_PX - 2, TILE_PX - 2), interpolation=cv2.INTER_AREA)
    scale = TILE_PX / side
    of_cell = ANNOTATED if miss.kind == "missed" else FOUND
    for box, colour in ((miss.beside_px, ANNOTATED), (miss.box_px, of_cell)):
        if box is not None:
            _draw(
                tile, ((box[0] - left) * scale, (box[1] - top) * scale, (box[2] - left) * scale, (box[3] - top) * scale), colour
            )
    for line, text in enumerate((caption(miss), miss.image[-LETTERS:])):
        below = TILE_PX + (line + 1) * LINE_PX
        cv2.putText(tile, text[:LETTERS], (2, below), FONT, FONT_SCALE, INK, 1, cv2.LINE_AA)
    return tile


def _draw(tile: Image, box: Box, colour: tuple[int, int, int]) -> None:
    x1, y1, x2, y2 = (min(TILE_PX - 1, max(0, round(side))) for side in box)
    cv2.rectangle(tile, (x1, y1), (x2, y2), colour, 1)
