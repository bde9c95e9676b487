"""Real slides of many laboratories: their own um/px is never contradicted, a wrong one always; rescaled and recoloured, too."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.contracts.detections import Image
from edge.quality.red_cell_scale import RedCells, RedCellSizes
from edge.quality.red_cells import find_red_cells

FIELDS = 90
ENOUGH = 160


def _as_it_is(image: Image) -> Image:
    return image


def _smaller(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA), np.uint8)


def _larger(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC), np.uint8)


def _bluer(image: Image) -> Image:
    return np.clip(image.astype(np.float32) * (1.0, 0.85, 0.7) + (0, 0, 10), 0, 255).astype(np.uint8)


def _paler(image: Image) -> Image:
    return (255 - (255 - image.astype(np.float32)) * 0.5).astype(np.uint8)


def _cropped(image: Image) -> Image:
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: round(0.8 * height), round(0.2 * width) :])


@pytest.mark.parametrize(
    ("images", "um_per_px", "changed", "larger"),
    [
        pytest.param("chula_wbc/images/**/*.jpg", 0.13, _as_it_is, 1.0, id="chula_wbc"),
        pytest.param("pbc_more/*/*.jpg", 0.10, _as_it_is, 1.0, id="pbc_more"),
        pytest.param("pbc_tiles/*/*.jpg", 0.10, _as_it_is, 1.0, id="pbc_tiles"),
        pytest.param("bccd/JPEGImages/*.jpg", 0.073, _as_it_is, 1.0, id="bccd"),
        pytest.param("apl_jhu/*/*.jpg", 0.10, _as_it_is, 1.0, id="apl_jhu"),
        pytest.param("rbc_fields/images/x_*.jpg", 0.09, _as_it_is, 1.0, id="rbc_fields, the second camera"),
        pytest.param("rbc_fields/images/x_*.jpg", 0.09, _smaller, 0.6, id="smaller"),
        pytest.param("rbc_fields/images/x_*.jpg", 0.09, _larger, 1.7, id="larger"),
        pytest.param("pbc_more/*/*.jpg", 0.10, _bluer, 1.0, id="bluer"),
        pytest.param("rbc_fields/images/x_*.jpg", 0.09, _paler, 1.0, id="paler"),
        pytest.param("rbc_fields/images/x_*.jpg", 0.09, _cropped, 1.0, id="cropped"),
    ],
)
def test_only_a_wrong_scale_is_contradicted(
    real_data: Path,
    record_property: Callable[[str, object], None],
    images: str,
    um_per_px: float,
    changed: Callable[[Image], Image],
    larger: float,
) -> None:
    files = sorted(real_data.glob(images))
    assert files, images
    sizes = RedCellSizes()
    # Some of every folder and slide.
    for file in files[:: max(1, len(files) // FIELDS)]:
        image = cv2.imread(str(file))
        assert image is not None
        field = changed(np.asarray(image, np.uint8))
        sizes.add(find_red_cells(field).diameters_px, field.shape[0] * field.shape[1])
        if sizes.cells >= ENOUGH:
            break
    found = sizes.found()
    assert isinstance(found, RedCells), found
    stated = um_per_px / larger
    record_property("said", f"{images} {changed.__name__}: {found.cells} cells, {100 * (found.factor(stated) - 1):+.1f} %")
    assert not found.contradicts(stated)
    for wrong in (0.5, 0.8, 1.25, 2.0):
        assert found.contradicts(wrong * stated), wrong
