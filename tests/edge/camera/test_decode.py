"""No damaged file passes as a whole image, no page is dropped, and no whole file is refused."""

import io
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from edge.camera.decode import ImageFile, count_pages, read_image
from edge.camera.tiff_codes import lzw_size
from edge.contracts.errors import FrameError

pytestmark = pytest.mark.timeout(30)


def picture(seed: int = 0, width_px: int = 280, height_px: int = 220) -> np.ndarray:
    """Coarse shapes and fine grain, with a part that is overexposed: as a field of a smear."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 255, (8, 10, 3), dtype=np.uint8), (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(0, 12, coarse.shape, dtype=np.uint8)
    drawn = cv2.add(coarse, grain)
    drawn[: height_px // 4] = 255
    return drawn


def opencv(suffix: str, *options: int) -> Callable[[np.ndarray], bytes]:
    return lambda image: bytes(cv2.imencode(suffix, image, list(options))[1])


def pillow(kind: str, **options: object) -> Callable[[np.ndarray], bytes]:
    def write(image: np.ndarray) -> bytes:
        file = io.BytesIO()
        Pillow.fromarray(image[..., ::-1]).save(file, kind, **options)  # type: ignore[arg-type]
        return file.getvalue()

    return write


def tiff(**options: object) -> Callable[[np.ndarray], bytes]:
    def write(image: np.ndarray) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, image[..., ::-1], photometric="rgb", **options)  # type: ignore[arg-type]
        return file.getvalue()

    return write


WRITERS = [
    pytest.param("a.jpg", opencv(".jpg"), id="JPEG"),
    pytest.param("a.jpg", opencv(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4), id="JPEG with restarts"),
    pytest.param("a.jpg", pillow("jpeg", quality=95, subsampling=0), id="JPEG with all its colours"),
    pytest.param("a.png", opencv(".png"), id="PNG"),
    pytest.param("a.webp", opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 90), id="WebP"),
    pytest.param("a.webp", pillow("webp", quality=50, method=6), id="WebP of the best effort"),
    pytest.param("a.tif", opencv(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 5), id="TIFF LZW, three rows a strip"),
    pytest.param("a.tif", pillow("tiff", compression="tiff_lzw"), id="TIFF LZW"),
    pytest.param("a.tif", tiff(compression="zlib"), id="TIFF deflate"),
    pytest.param("a.tif", tiff(compression="zlib", tile=(64, 64), predictor=True), id="deflate in tiles, with differences"),
    pytest.param("a.tif", pillow("tiff", compression="packbits"), id="TIFF PackBits"),
    pytest.param("a.tif", pillow("tiff", compression="jpeg"), id="TIFF with JPEG parts"),
]
PLAIN = [
    pytest.param("a.bmp", opencv(".bmp"), id="BMP"),
    pytest.param("a.ppm", opencv(".ppm"), id="PPM"),
    pytest.param("a.tif", tiff(), id="TIFF as it is"),
    pytest.param("a.tif", tiff(bigtiff=True), id="BigTIFF"),
    pytest.param("a.tif", tiff(compression="zlib", rowsperstrip=17), id="a last strip that is shorter"),
    pytest.param("a.webp", pillow("webp", lossless=True), id="lossless WebP"),
    pytest.param("a.jpg", opencv(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1), id="progressive JPEG"),
    pytest.param("a.jpg", opencv(".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1), id="JPEG with tables of its own"),
]


def read(path: Path, content: bytes) -> np.ndarray:
    path.write_bytes(content)
    return read_image(path, path.name)[0]


@pytest.mark.parametrize(("name", "write"), [*WRITERS, *PLAIN])
@pytest.mark.parametrize("what", ["a field", "a blank", "one pixel more"])
def test_a_whole_file_is_read(tmp_path: Path, name: str, write: Callable[[np.ndarray], bytes], what: str) -> None:
    """A blank compresses to runs of zeros, which must not be taken for a hole."""
    image = {"a field": picture(), "a blank": np.full((220, 280, 3), 255, np.uint8), "one pixel more": picture(1, 281, 221)}[
        what
    ]
    got = read(tmp_path / name, write(image))
    assert got.shape == image.shape
    assert np.abs(got.astype(int) - image).mean() < 12, "lossy at most"


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_a_hole_never_passes(tmp_path: Path, name: str, write: Callable[[np.ndarray], bytes]) -> None:
    """Zeros where a disk or a network lost a part; the end is intact, so nothing is missing at first sight."""
    content = write(picture())
    passed = []
    for at in range(len(content) // 3, len(content) - 700, max(1, len(content) // 12)):
        try:
            read(tmp_path / name, content[:at] + bytes(512) + content[at + 512 :])
        except FrameError as problem:
            assert str(problem).startswith(name) and str(problem).endswith(".")
        else:
            passed.append(at)
    assert passed == []


@pytest.mark.parametrize(("name", "write"), [writer for writer in WRITERS if writer.values[0] != "a.tif"])
def test_an_end_of_zeros_never_passes(tmp_path: Path, name: str, write: Callable[[np.ndarray], bytes]) -> None:
    content = write(picture())
    keep = 16 if content[:2] == b"\xff\xd8" else 0
    cut = content[: len(content) // 2]
    with pytest.raises(FrameError):
        read(tmp_path / name, cut + bytes(len(content) - len(cut) - keep) + content[len(content) - keep :])


def test_a_flipped_bit_where_it_can_be_told(tmp_path: Path) -> None:
    """PNG and deflate have checksums; LZW shows it in its codes or its size unless two codes stand for as many bytes."""
    for name, write in (("a.png", opencv(".png")), ("b.tif", tiff(compression="zlib"))):
        content = bytearray(write(picture()))
        content[len(content) // 2] ^= 4
        with pytest.raises(FrameError):
            read(tmp_path / name, bytes(content))


@pytest.mark.parametrize(
    ("codes", "size"),
    [
        pytest.param([256, 7, 257], 1, id="one byte"),
        pytest.param([256, 7, 258, 259, 257], 6, id="codes that name themselves"),
        pytest.param([256, 7, 256, 8, 257], 2, id="cleared in between"),
        pytest.param([256, 7, 259, 257], -1, id="a code that is not defined yet"),
        pytest.param([7, 257], -1, id="no clear code at the start"),
        pytest.param([256, 258, 257], -1, id="nothing was defined"),
    ],
)
def test_sizes_of_lzw(codes: list[int], size: int) -> None:
    bits = "".join(f"{code:09b}" for code in codes)
    padded = bits + "0" * (-len(bits) % 8)
    assert lzw_size(int(padded, 2).to_bytes(len(padded) // 8, "big")) == size


def test_lzw_of_any_length_has_its_size() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 300, 5000, 70_000):
        row = rng.integers(0, 3 + n % 250, (1, n), dtype=np.uint8)
        file = io.BytesIO()
        Pillow.fromarray(row).save(file, "tiff", compression="tiff_lzw")
        file.seek(0)
        with tifffile.TiffFile(file) as opened:
            page = opened.pages[0]
            file.seek(page.dataoffsets[0])
            assert lzw_size(file.read(page.databytecounts[0])) == n


def stack(**options: object) -> bytes:
    file = io.BytesIO()
    pages = np.stack([picture(seed)[..., ::-1] for seed in range(3)])
    tifffile.imwrite(file, pages, photometric="rgb", **options)  # type: ignore[arg-type]
    return file.getvalue()


def one_by_one(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    first, *others = (Pillow.fromarray(picture(seed)[..., ::-1]) for seed in range(3))
    first.save(file, kind, save_all=True, append_images=others, **options)  # type: ignore[arg-type]
    return file.getvalue()


PAGES = [
    pytest.param("a.tif", stack, id="TIFF stack"),
    pytest.param("a.tif", lambda: stack(imagej=True), id="ImageJ"),
    pytest.param("a.tif", lambda: stack(compression="zlib"), id="deflate"),
    pytest.param("a.tif", lambda: one_by_one("tiff", compression="tiff_lzw"), id="TIFF pages written one by one"),
    pytest.param("a.jpg", lambda: one_by_one("mpo"), id="MPO"),
    pytest.param("a.jpg", lambda: b"".join(opencv(".jpg")(picture(seed)) for seed in range(3)), id="JPEGs in a row"),
    pytest.param(
        "a.jpg", lambda: bytes(40).join(opencv(".jpg")(picture(seed)) for seed in range(3)), id="with room in between"
    ),
]


@pytest.mark.parametrize(("name", "write"), PAGES)
def test_each_page_is_read(tmp_path: Path, name: str, write: Callable[[], bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(write())
    with ImageFile(path, name) as file:
        assert file.n_pages == 3
        for page in range(3):
            assert np.abs(file.read(page)[0].astype(int) - picture(page)).mean() < 6
    with pytest.raises(FrameError, match="holds 3 pages"):
        read_image(path, name)
    if name.endswith("tif"):
        assert count_pages(path, name) == 3


def test_one_damaged_page_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    parts = [opencv(".jpg")(picture(seed)) for seed in range(3)]
    parts[1] = parts[1][:3000] + bytes(512) + parts[1][3512:]
    path.write_bytes(b"".join(parts))
    with ImageFile(path, path.name) as file:
        file.read(0), file.read(2)
        with pytest.raises(FrameError, match="page 2 of 3"):
            file.read(1)


def test_previews_and_masks_are_no_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(picture()[..., ::-1], photometric="rgb")
        file.write(picture()[::4, ::4, ::-1], photometric="rgb", subfiletype=1)
    assert read_image(path, path.name)[0].shape == (220, 280, 3)


def test_a_picture_with_smaller_copies_behind_it_is_not_damaged(tmp_path: Path) -> None:
    """As slide scanners and their viewers write pyramids."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(picture()[..., ::-1], photometric="rgb", subifds=2, tile=(64, 64))
        for step in (2, 4):
            file.write(picture()[::step, ::step, ::-1], photometric="rgb", subfiletype=1, tile=(64, 64))
    with ImageFile(path, path.name) as file_read:
        assert file_read.n_pages == 1 and np.array_equal(file_read.read(0)[0], picture())


def test_a_stack_whose_list_of_pages_is_cut_is_not_taken_for_a_shorter_one(tmp_path: Path) -> None:
    content = bytearray(one_by_one("tiff"))
    (first,) = struct.unpack_from("<I", content, 4)
    (n,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * n, len(content) + 8)
    with pytest.raises(FrameError, match="leads out of the file"):
        read(tmp_path / "a.tif", bytes(content))


def test_colours_as_pages_are_one_field(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(picture(), 2, 0), imagej=True, metadata={"axes": "CYX", "mode": "composite"})
    with pytest.raises(FrameError, match="colours of one field"):
        read_image(path, path.name)


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        pytest.param("a.webp", lambda: one_by_one("webp"), "animation of 3 pages", id="animated WebP"),
        pytest.param("a.png", lambda: one_by_one("png"), "animation of 3 pages", id="animated PNG"),
        pytest.param("a.gif", lambda: one_by_one("gif"), "is no JPEG, PNG", id="GIF"),
        pytest.param("a.png", lambda: one_by_one("gif"), "is no JPEG, PNG", id="GIF with another name"),
        pytest.param("a.tif", lambda: stack(compression="lzma"), "holds 3 pages", id="a stack where one image is wanted"),
    ],
)
def test_what_is_no_picture_of_a_field_is_refused(tmp_path: Path, name: str, write: Callable[[], bytes], words: str) -> None:
    with pytest.raises(FrameError, match=words):
        read(tmp_path / name, write())


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s.png"))
    words = {"pipe.png": "a pipe", "broken.png": "No such file", "folder.png": "a folder", "s.png": "a socket"}
    for name, what in words.items():
        assert count_pages(tmp_path / name, name) == 1
        with pytest.raises(FrameError, match=what):
            read_image(tmp_path / name, name)
    listener.close()


def test_without_the_strict_decoder_a_run_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    path = tmp_path / "a.jpg"
    path.write_bytes(opencv(".jpg")(picture()))
    image, note = read_image(path, path.name)
    assert image.shape == (220, 280, 3)
    assert note is not None and (note.code, note.severity) == ("jpeg_unverified", "warning")


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_that_are_not_in_three_colours(tmp_path: Path, mode: str) -> None:
    file = io.BytesIO()
    Pillow.fromarray(picture()[..., ::-1]).convert(mode).save(file, "jpeg", quality=95)
    whole = file.getvalue()
    assert read(tmp_path / "a.jpg", whole).shape == (220, 280, 3)
    with pytest.raises(FrameError, match="is a damaged JPEG"):
        read(tmp_path / "b.jpg", whole[: len(whole) // 2] + b"\xff\xd9")
