"""Images that are kept in a file: what comes back, where it lies, and what happens without room."""

from pathlib import Path

import numpy as np
import psutil
import pytest
from support.full_disk import files_limited_to

from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from trainer.data import image_store
from trainer.data.image_store import PixelFile

SEGMENT = 1 << 16


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_store, "SEGMENT_BYTES", SEGMENT)


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([(40, 50)], id="one-image"),
        pytest.param([(100, 120)] * 5, id="one-a-segment-that-ends-with-a-gap"),
        pytest.param([(10, 10), (300, 400), (10, 10)], id="an-image-larger-than-a-segment"),
        pytest.param([(64, 1024 // 3), (128, 512 // 3), (1, 1)], id="segments-that-are-almost-full"),
        pytest.param([(7 + k % 13, 11 + k % 29) for k in range(200)], id="many-of-odd-sizes"),
    ],
)
def test_every_image_comes_back_as_it_was(tmp_path: Path, sizes: list[tuple[int, int]]) -> None:
    file = PixelFile(tmp_path / "made" / "on" / "the" / "way")
    given = [noise(*size, seed=k) for k, size in enumerate(sizes)]
    kept = [file.keep(image) for image in given]
    for image, other in zip(given, kept, strict=True):
        np.testing.assert_array_equal(image, other)


def test_a_view_of_a_larger_picture_is_kept_as_it_looks(tmp_path: Path) -> None:
    image = noise(60, 80)
    np.testing.assert_array_equal(PixelFile(tmp_path).keep(image[::-2, 5:40]), image[::-2, 5:40])


def test_what_is_kept_cannot_be_painted_over(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        PixelFile(tmp_path).keep(noise(4, 4))[0, 0] = 0


def test_no_file_is_left_and_few_descriptors_are_taken(tmp_path: Path) -> None:
    """A killed training must not leave gigabytes behind, and a large set must not meet the limit of open files."""
    before = psutil.Process().num_fds()
    file = PixelFile(tmp_path)
    kept = [file.keep(noise(20, 20, seed=k)) for k in range(300)]
    assert not list(tmp_path.iterdir()) and len(kept) == 300
    assert psutil.Process().num_fds() - before <= 1 + -(-300 * 1200 // SEGMENT)


def test_images_outlive_the_file_object(tmp_path: Path) -> None:
    image = PixelFile(tmp_path).keep(noise(30, 30))
    np.testing.assert_array_equal(image, noise(30, 30))


def test_a_full_disk_is_one_sentence_and_what_was_kept_stays_good(tmp_path: Path) -> None:
    file = PixelFile(tmp_path)
    first = file.keep(noise(100, 100))
    with files_limited_to(SEGMENT), pytest.raises(DataError, match=r"cannot be kept in .*free the disk"):
        for k in range(10):
            file.keep(noise(100, 100, seed=k))
    np.testing.assert_array_equal(first, noise(100, 100))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be kept in .*file"):
        PixelFile(tmp_path / "file").keep(noise(4, 4))
