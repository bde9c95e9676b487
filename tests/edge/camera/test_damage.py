"""Files damaged as disks, copies and networks do it: what share is told, of every format and kind of damage.

The limits are what was reached when they were set, less a little; where a format has nothing that could show a damage (a
flipped bit in plain pixels) there is none. `make soak` tries twenty-five times as many.
"""

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from support.damage import DAMAGES, Outcome, sweep

from edge.camera.decode import ImageFile

Writer = Callable[[np.ndarray], bytes]


def field(seed: int = 0, width_px: int = 280, height_px: int = 220) -> np.ndarray:
    """Coarse shapes, fine grain, and an overexposed part."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 255, (8, 10, 3), dtype=np.uint8), (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    drawn = cv2.add(coarse, rng.integers(1, 12, coarse.shape, dtype=np.uint8))
    drawn[: height_px // 4] = 255
    return drawn


def opencv(suffix: str, *options: int) -> Writer:
    return lambda image: bytes(cv2.imencode(suffix, image, list(options))[1])


def pillow(kind: str, mode: str = "RGB", **options: object) -> Writer:
    def write(image: np.ndarray) -> bytes:
        file = io.BytesIO()
        Pillow.fromarray(image[..., ::-1].copy()).convert(mode).save(file, kind, **options)  # type: ignore[arg-type]
        return file.getvalue()

    return write


def tiff(**options: object) -> Writer:
    def write(image: np.ndarray) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, image[..., ::-1], photometric="rgb", **options)  # type: ignore[arg-type]
        return file.getvalue()

    return write


def mpo(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    first, second = (Pillow.fromarray(page[..., ::-1].copy()) for page in (image, field(5)))
    first.save(file, "mpo", save_all=True, append_images=[second])
    return file.getvalue()


ALL = dict.fromkeys(DAMAGES, 1.0)
CODES = {**ALL, "noise": 0.9, "flipped bit": 0.1, "block left out": 0.8, "block repeated": 0.7, "blocks exchanged": 0.9}
"""Codes of different lengths, without a checksum: most of what is lost shows, a changed bit mostly makes another picture."""
SHORT_CODES = {**CODES, "block repeated": 0.7, "blocks exchanged": 0.5}
BITS = {**ALL, "noise": 0.8, "flipped bit": 0.7, "block repeated": 0.9, "blocks exchanged": 0.9}
"""An arithmetic code, which never falls into step again."""
PLAIN = {
    **ALL,
    **{"end of zeros": 0.9, "zeroed block": 0.4, "noise": 0.0, "flipped bit": 0.0, "block repeated": 0.0},
    "blocks exchanged": 0.0,
}
FORMATS: list[tuple[str, Writer, dict[str, float]]] = [
    ("JPEG", opencv(".jpg"), CODES),
    ("JPEG with restarts", opencv(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4), CODES),
    ("JPEG with all its colours", pillow("jpeg", quality=95, subsampling=0), CODES),
    ("JPEG with tables of its own", opencv(".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1), CODES),
    ("JPEG grey", pillow("jpeg", "L"), SHORT_CODES),
    ("JPEG of inks", pillow("jpeg", "CMYK"), SHORT_CODES),
    ("JPEG progressive", opencv(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1), {**CODES, "zeroed block": 0.9}),
    ("MPO", mpo, CODES),
    ("PNG", opencv(".png"), {**ALL}),
    ("PNG grey", pillow("png", "L"), {**ALL}),
    ("WebP", opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 90), BITS),
    ("WebP of the best effort", pillow("webp", quality=50, method=6), BITS),
    (
        "WebP lossless",
        pillow("webp", lossless=True),
        {**ALL, "zeroed block": 0.85, "noise": 0.3, "flipped bit": 0.0, "block repeated": 0.5, "blocks exchanged": 0.6},
    ),
    ("TIFF LZW", pillow("tiff", compression="tiff_lzw"), {**ALL, "flipped bit": 0.3}),
    ("TIFF LZW of differences", opencv(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 5), {**ALL, "flipped bit": 0.4}),
    ("TIFF deflate", tiff(compression="zlib"), ALL),
    ("TIFF deflate in tiles", tiff(compression="zlib", tile=(64, 64), predictor=True), ALL),
    (
        "TIFF PackBits",
        pillow("tiff", compression="packbits"),
        {**ALL, "zeroed block": 0.6, "noise": 0.5, "flipped bit": 0.0, "block repeated": 0.7},
    ),
    ("TIFF with JPEG parts", pillow("tiff", compression="jpeg"), {**CODES, "block left out": 0.95}),
    ("TIFF as it is", tiff(), PLAIN),
    ("BMP", opencv(".bmp"), PLAIN),
    ("PPM", opencv(".ppm"), PLAIN),
    ("PGM", lambda image: bytes(cv2.imencode(".pgm", image[..., 1])[1]), PLAIN),
]


def outcome(path: Path, write: Writer, kind: str, n: int, seed: int) -> Outcome:
    def read(content: bytes) -> list[np.ndarray]:
        path.write_bytes(content)
        with ImageFile(path, "a file") as file:
            return [file.read(page)[0] for page in range(file.n_pages)]

    return sweep(write(field()), read, DAMAGES[kind], n, zlib.crc32(kind.encode()) + seed)[0]


def shortfalls(path: Path, write: Writer, least: dict[str, float], n: int) -> dict[str, str]:
    """Kinds of which less is told. Of so few two more may pass by chance, but none where everything is told."""
    seen = {kind: outcome(path, write, kind, n, 0) for kind in DAMAGES}
    bearable = {kind: 0.0 if least[kind] == 1 else (1 - least[kind]) * n + 2 for kind in DAMAGES}
    return {kind: f"{seen[kind]}, at least {least[kind]:g}" for kind in DAMAGES if seen[kind].wrong > bearable[kind]}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("write", "least"), [pytest.param(*entry[1:], id=entry[0]) for entry in FORMATS])
def test_what_share_of_damaged_files_is_told(tmp_path: Path, write: Writer, least: dict[str, float]) -> None:
    assert shortfalls(tmp_path / "a", write, least, 8) == {}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_what_share_of_many_damaged_files_is_told(tmp_path: Path) -> None:
    """Prints the table: told, unharmed, passed with other pixels."""
    short = {}
    print(" " * 28, *(f"{kind:>17}" for kind in DAMAGES))
    for name, write, least in FORMATS:
        seen = {kind: outcome(tmp_path / "a", write, kind, 200, 1) for kind in DAMAGES}
        print(f"{name:28}", *(f"{f'{of.refused}/{of.unharmed}/{of.wrong}':>17}" for of in seen.values()))
        short |= {(name, kind): of for kind, of in seen.items() if of.share < least[kind] - 0.05}
    assert short == {}
