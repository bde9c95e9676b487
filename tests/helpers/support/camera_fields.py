"""Fields that a fake camera shows, and the cells that an edge must find in them."""

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from support.tiny_bundle import blob_field, write_tiny_bundle

from edge.camera.memory_source import MemorySource
from edge.camera.uri import open_source
from edge.contracts.detections import Image
from edge.pipeline import engine_for, run_fields
from edge.settings import SHIPPED_BUNDLE
from edge.settings.resolution import resolve

WIDTH_PX, HEIGHT_PX = 732, 574
N_SMEARS = 8


def blob_fields(folder: Path) -> tuple[Path, Image]:
    """A bundle that finds squares, and fields with squares whose colours tell red from blue: uint8 [n, H, W, 3], BGR."""
    bundle = write_tiny_bundle(folder / "bundle", width_px=WIDTH_PX, height_px=HEIGHT_PX).path
    placed = [
        [("lymphocyte", 40, 48)],
        [("eosinophil", 200, 160), ("eosinophil", 600, 400)],
        [],
        [("lymphocyte", 400, 240)],
    ]
    return bundle, np.stack([blob_field(blobs, width_px=WIDTH_PX, height_px=HEIGHT_PX) for blobs in placed])


def smear_fields(folder: Path) -> tuple[Path, Image]:
    """The shipped bundle, and photographed fields where LEUKO_DATA is set, drawn ones where it is not."""
    data = os.environ.get("LEUKO_DATA")
    if data is None:
        source = open_source(f"virtual:seed=5,fields={N_SMEARS},wbc=2", None)
        images = [source.read(1.0).image for _ in range(N_SMEARS)]
        return SHIPPED_BUNDLE, np.stack([image for image in images if image is not None])
    files = sorted((Path(data) / "bccd").rglob("*.jpg"))[: 4 * N_SMEARS]
    size = WIDTH_PX // 2, HEIGHT_PX // 2
    quarters = [cv2.resize(cv2.imread(str(file)), size, interpolation=cv2.INTER_AREA) for file in files]
    fields = [
        np.vstack([np.hstack(quarters[at : at + 2]), np.hstack(quarters[at + 2 : at + 4])]) for at in range(0, len(quarters), 4)
    ]
    return SHIPPED_BUNDLE, np.ascontiguousarray(np.stack(fields))


def what_is_there(images: Image, bundle: Path) -> list[Counter[str]]:
    """Cells per label that the same bundle counts in each image when it comes from memory."""
    setup = resolve({"source": "virtual:seed=0", "um_per_px": 0.13, "bundle": str(bundle)})
    info = open_source(f"virtual:width={WIDTH_PX},height={HEIGHT_PX}", None).info
    engine, _ = engine_for(info, setup.bundle, setup.settings)
    records = run_fields(MemorySource(list(images), info, len(images)), engine, setup.bundle, setup.settings)
    found = [Counter(record.counts) for record in records]
    engine.close()
    return found
