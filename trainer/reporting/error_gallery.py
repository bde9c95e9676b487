"""The worst errors: cut from the images where those are at hand, else as a table."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2

from edge.contracts.errors import DataError
from trainer.data.source_files import read_image
from trainer.evaluation.summary import Miss
from trainer.reporting.document import Cell, Gallery, Picture, Section, Table
from trainer.reporting.formatting import NONE, figure, in_words, with_article
from trainer.reporting.report_sources import MeasuredRun

SURROUNDINGS = 2.0
"""Side of the cut, in longer sides of its box: neighbours show, the cell still fills half of the picture."""

MIN_SIDE_PX, MAX_SIDE_PX = 48, 180
"""A smaller cut is all pixels; a larger picture is shrunk to the size it is shown in."""

JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True)
class CellCrop:
    """`jpeg` is a data URI; `box_px` x1 y1 x2 y2 in its pixels, at least partly inside, `other_px` another box there."""

    jpeg: str
    width_px: int
    height_px: int
    box_px: tuple[float, float, float, float]
    other_px: tuple[float, float, float, float] | None = None


class Cropper:
    """Cuts from the images under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def cut(
        self, image: str, box_px: tuple[float, float, float, float], other_px: tuple[float, float, float, float] | None = None
    ) -> CellCrop:
        """Raises `DataError` for an image outside the folder, missing or unreadable, and for a box outside its image."""
        path = (self._root / image).resolve()
        if not path.is_relative_to(self._root):
            raise DataError(f"image {image!r} of the summary is not under {self._root}; pictures are only taken from --root.")
        if not path.is_file():
            raise DataError(f"image {image!r} of the summary is not under {self._root}; give the --root it was measured with.")
        pixels = read_image(path)
        height, width = pixels.shape[:2]
        x1, y1, x2, y2 = box_px
        side = max(MIN_SIDE_PX, SURROUNDINGS * max(x2 - x1, y2 - y1))
        left, right = _span((x1 + x2) / 2, side, width)
        top, bottom = _span((y1 + y2) / 2, side, height)
        if right <= left or bottom <= top:
            raise DataError(f"the box {box_px} lies outside image {image!r}; was the summary measured on other files?")
        cut: cv2.typing.MatLike = pixels[top:bottom, left:right]
        scale = min(1.0, MAX_SIDE_PX / max(cut.shape[:2]))
        if scale < 1.0:
            cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

        def there(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
            return (box[0] - left) * scale, (box[1] - top) * scale, (box[2] - left) * scale, (box[3] - top) * scale

        return CellCrop(_data_uri(cut), cut.shape[1], cut.shape[0], there(box_px), there(other_px) if other_px else None)


def _span(centre: float, side: float, limit: int) -> tuple[int, int]:
    return max(0, round(centre - side / 2)), min(limit, round(centre + side / 2))


def _data_uri(pixels: cv2.typing.MatLike) -> str:
    ok, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise DataError("a picture for the report could not be encoded; is OpenCV built with JPEG?")
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode("ascii")


MAX_PICTURES = 12
"""Per run and kind of error: a page of a dozen runs still opens on a phone."""

Kind = Literal["missed", "wrong type", "false alarm"]
EXPLAINED: dict[Kind, str] = {
    "missed": "annotated, and not found at the model's thresholds.",
    "wrong type": "found, and called another class.",
    "false alarm": "found where nothing is annotated, or once more on an annotated cell.",
}


def worst_errors_section(runs: Sequence[MeasuredRun], root: Path | None) -> Section:
    """Raises `DataError` for an image that is not under `root` or cannot be read."""
    legend = "Blue, solid: as annotated. Orange, dashed: what the model found. Both on one box: found, of the wrong type."
    left_out = "Pictures were left out: give the folder of the images as --root."
    tables: list[Table] = []
    galleries: list[Gallery] = []
    for run in runs:
        if not run.summary.missed:
            continue
        if root is None:
            tables.append(_table(run))
        else:
            galleries += _galleries(run, Cropper(root))
    nothing = [f"{run.name}: no error is recorded." for run in runs if not run.summary.missed]
    words = [legend if root else left_out, *nothing] if len(nothing) < len(runs) else nothing
    return Section("The worst errors", tuple(words), tuple(tables), (), tuple(galleries))


def said(miss: Miss) -> str:
    """One error as a sentence."""
    score = "" if miss.score is None else f" (score {miss.score:.2f})"
    truth = with_article(miss.truth or "cell")
    if miss.kind == "missed":
        candidate = f"; the best candidate was {with_article(miss.predicted)}{score}" if miss.predicted else ""
        return f"{truth[0].upper()}{truth[1:]}, not found{candidate}."
    called = with_article(miss.predicted or "cell")
    if miss.kind == "wrong type":
        return f"{truth[0].upper()}{truth[1:]}, called {called}{score}."
    if miss.beside:
        return f"A further box on {with_article(miss.beside)} that is annotated; called {called}{score}."
    return f"Nothing is annotated; called {called}{score}."


def _galleries(run: MeasuredRun, cropper: Cropper) -> list[Gallery]:
    found = []
    for kind in get_args(Kind):
        rows = [miss for miss in run.summary.missed if miss.kind == kind]
        shown = tuple(_picture(miss, cropper) for miss in rows[:MAX_PICTURES])
        more = f" The worst {len(shown)} of {len(rows)} recorded." if len(rows) > len(shown) else ""
        if shown:
            words = EXPLAINED[kind]
            found.append(Gallery(f"{run.name}: {kind}", words[0].upper() + words[1:] + more, shown))
    return found


def _picture(miss: Miss, cropper: Cropper) -> Picture:
    cut = cropper.cut(miss.image, miss.box_px, miss.beside_px)
    return Picture(
        cut.jpeg,
        cut.width_px,
        cut.height_px,
        cut.other_px if miss.kind == "false alarm" else cut.box_px,
        None if miss.kind == "missed" else cut.box_px,
        said(miss),
        f"{miss.source}: {miss.image}",
    )


def _table(run: MeasuredRun) -> Table:
    rows = tuple(
        (
            Cell(miss.image),
            Cell(miss.kind),
            Cell(in_words(miss.truth) if miss.truth else NONE),
            Cell(in_words(miss.predicted) if miss.predicted else NONE),
            Cell(figure(miss.score, 2)),
            Cell(", ".join(f"{side:.0f}" for side in miss.box_px)),
        )
        for miss in run.summary.missed
    )
    head = tuple(map(Cell, ("image", "error", "annotated as", "called", "score", "x1, y1, x2, y2 in px")))
    return Table(f"{run.name}: recorded errors, worst first", head, rows)
