"""The red cells of any source's fields, what they say about a um/px, and a picture of what was measured."""

from pathlib import Path

import cv2
import numpy as np

from edge.camera.frame import SourceEnded, SourceTimeout
from edge.camera.pixels import to_bgr
from edge.camera.uri import open_source
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError, DataError
from edge.quality.red_cell_scale import CONTRADICTS, RED_CELL_UM, RedCells, RedCellSizes
from edge.quality.red_cells import RoundThings, find_red_cells

_ENOUGH_CELLS = 400
_TIMEOUT_S = 5.0
_DRAWN_FIELDS = 6
_DRAWN_WIDTH_PX = 640
_MEASURED_BGR = (40, 40, 230)


def check_scale(source: str, um_per_px: float | None, fields: int, picture: Path | None = None) -> RedCells:
    """Measure at most `fields` fields of a source, fewer when its red cells are many.

    Raises `SourceError` when it cannot be read, `DataError` when there are too few single red cells, `ConfigError` when the
    picture cannot be written.
    """
    sizes = RedCellSizes()
    drawn: list[Image] = []
    # The source is only read; a um/px that it must be given changes nothing in its pixels.
    opened = open_source(source, um_per_px if um_per_px is not None else None if _knows_its_own(source) else 1.0)
    opened.start()
    try:
        while sizes.fields < fields and sizes.cells < _ENOUGH_CELLS:
            try:
                frame = opened.read(_TIMEOUT_S)
            except (SourceEnded, SourceTimeout):
                break
            if frame.image is None:
                continue
            image = np.array(frame.image if frame.pixel_format == "BGR8" else to_bgr(frame.image, frame.pixel_format))
            found = find_red_cells(image)
            sizes.add(found.diameters_px, image.shape[0] * image.shape[1])
            if picture is not None and len(drawn) < _DRAWN_FIELDS and len(found.diameters_px):
                drawn.append(_drawn(image, found))
    finally:
        opened.close()
    if not sizes.fields:
        raise DataError(f"no field of {source} could be read; give images, a video or a camera that shows a smear.")
    result = sizes.found()
    if picture is not None and drawn:
        _write(picture, drawn)
    if isinstance(result, str):
        raise DataError(f"the um/px cannot be checked: {result}")
    return result


def as_json(found: RedCells, um_per_px: float | None, picture: Path | None) -> dict[str, object]:
    """Plain values; `factor` is how many times too large the stated um/px is, None without one."""
    least, most = found.limits_um_per_px
    return {
        "red_cells": found.cells,
        "fields": found.fields,
        "diameter_px": found.diameter_px,
        "um_per_px": found.um_per_px,
        "um_per_px_least": least,
        "um_per_px_most": most,
        "stated_um_per_px": um_per_px,
        "factor": None if um_per_px is None else found.factor(um_per_px),
        "contradicts": None if um_per_px is None else found.contradicts(um_per_px),
        "picture": None if picture is None else str(picture),
    }


def as_lines(found: RedCells, um_per_px: float | None, picture: Path | None) -> tuple[str, ...]:
    """The same for people."""
    least, most = found.limits_um_per_px
    lines = [
        f"{found.cells} single red cells in {found.fields} fields, {found.diameter_px:.1f} px across (median)",
        f"at {RED_CELL_UM[0]:g} to {RED_CELL_UM[1]:g} um that is {least:.4g} to {most:.4g} um/px, "
        f"most likely {found.um_per_px:.3g}",
    ]
    if um_per_px is not None and found.contradicts(um_per_px):
        lines.append(found.sentence(um_per_px))
    elif um_per_px is not None:
        off = 100 * (found.factor(um_per_px) - 1)
        lines.append(
            f"{um_per_px:.4g} um/px does not contradict them ({off:+.0f} %; red cells of patients and stains differ by some "
            f"7 %, and beyond {100 * CONTRADICTS:.1f} % it would)"
        )
    if picture is not None:
        lines.append(f"what was measured: {picture}")
    return tuple(lines)


def _knows_its_own(source: str) -> bool:
    return source.startswith(("virtual:", "recording:"))


def _drawn(image: Image, found: RoundThings) -> Image:
    larger = _DRAWN_WIDTH_PX / image.shape[1]
    picture = cv2.resize(image, None, fx=larger, fy=larger, interpolation=cv2.INTER_AREA)
    for (x, y), diameter in zip(found.centres_px, found.diameters_px, strict=True):
        cv2.circle(picture, (round(x * larger), round(y * larger)), round(diameter * larger / 2), _MEASURED_BGR, 2, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def _write(path: Path, drawn: list[Image]) -> None:
    tallest = max(each.shape[0] for each in drawn)
    padded = [
        cv2.copyMakeBorder(each, 0, tallest - each.shape[0], 0, 0, cv2.BORDER_CONSTANT, value=(255,) * 3) for each in drawn
    ]
    padded += [np.full_like(padded[0], 255)] * (len(padded) % 2)
    rows = [np.hstack(padded[at : at + 2]) for at in range(0, len(padded), 2)]
    try:
        encoded = cv2.imencode(path.suffix, np.vstack(rows))[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except cv2.error as problem:
        raise ConfigError(f"{path} has no suffix of an image; name the picture like cells.png.") from problem
    except OSError as problem:
        raise ConfigError(
            f"picture {path} cannot be written ({problem.strerror}); give another file with --picture."
        ) from problem
