"""`leuko-calib` in this process, and the profile it starts from: what most of its tests need."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.made_profiles import pixel_size

from calib.cli import main
from edge.contracts.profile import CameraGeometry, Profile, write_profile


def leuko_calib(*words: object) -> int:
    """The exit code of the command with these words; what it said is pytest's `capsys`'s to know."""
    with _called(*words), pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def profile_file(path: Path, size_px: tuple[int, int], um_per_px: float | None = 0.13) -> Path:
    """A profile of a camera of that size in which nothing was measured but um/px, or with None nothing at all; its path."""
    camera = CameraGeometry(width_px=size_px[0], height_px=size_px[1])
    size = pixel_size(um_per_px) if um_per_px is not None else None
    write_profile(path, Profile(instrument="bench", camera=camera, pixel_size=size))
    return path


@contextmanager
def _called(*words: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["leuko-calib", *map(str, words)])
        yield
