"""Image files of a folder or a glob, in natural order: every image file gives exactly one frame."""

import glob
import os
import re
import time
from pathlib import Path

from edge.camera.decode import IMAGE_SUFFIXES, read_image
from edge.camera.frame import Frame, SourceBase, SourceEnded, SourceInfo, SourceNote
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError, SourceError


def natural_key(path: Path) -> tuple[list[int | str], str]:
    """Sort key that puts `field_9` before `field_10`; the plain path settles ties such as `a1` and `a01`."""
    parts = re.split(r"([0-9]+)", str(path).lower())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], str(path)


class FolderSource(SourceBase):
    """Reads `pattern` (a folder, one image file, or a glob). The first image that decodes sets the frame size.

    Files that cannot be used, and images of another size, are frames with status "failed"; the run goes on. Raises
    `SourceError` when there is no such path, no image in it, or not one image that can be decoded.
    """

    def __init__(self, pattern: str, um_per_px: float) -> None:
        super().__init__()
        self._noted: set[str] = set()
        self._root, self._files = self._find(pattern)
        self._next = 0
        self._opened: dict[int, Image | str] = {}
        height_px, width_px = self._first_size(pattern)
        self._info = SourceInfo(
            uri=f"folder:{pattern}",
            width_px=width_px,
            height_px=height_px,
            um_per_px=um_per_px,
            n_fields=len(self._files),
            self_paced=True,
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self, timeout_s: float) -> Frame:
        """The next file. Returns when it is decoded; a file needs no waiting, so `timeout_s` never expires."""
        if self._next >= len(self._files):
            raise SourceEnded
        index = self._next
        self._next += 1
        t_trigger_ns = time.monotonic_ns()
        image = self._opened.pop(index) if index in self._opened else self._decode(index)
        detail = image if isinstance(image, str) else self._size_fault(index, image)
        frame = Frame(
            trigger_id=f"file-{index}",
            field_index=index,
            status="failed" if detail else "ok",
            image=None if detail or isinstance(image, str) else image,
            um_per_px=self._info.um_per_px,
            t_trigger_ns=t_trigger_ns,
            t_host_ns=time.monotonic_ns(),
            frame_id=index,
            source_name=self._name(index),
            detail=detail,
        )
        return self._count(frame)

    def close(self) -> None:
        """Forget what was decoded ahead; files are never held open."""
        self._opened.clear()

    def _find(self, pattern: str) -> tuple[Path, list[Path]]:
        path = Path(pattern).expanduser()
        if path.is_dir():
            root, found = path, list(path.iterdir())
        elif path.is_file():
            root, found = path.parent, [path]
        else:
            root, found = _expand(path)
            if not found:
                raise SourceError(
                    f"{pattern} does not exist; give a folder of images, an image file or a glob such as 'run1/*.png'."
                )
        images = [file for file in found if file.suffix.lower() in IMAGE_SUFFIXES and not file.is_dir()]
        kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        if not images:
            raise SourceError(f"{pattern} holds no image file ({kinds}); give the folder that holds the fields.")
        if ignored := len(found) - len(images):
            what = f"{ignored} entr{'y' if ignored == 1 else 'ies'} of {pattern} ignored: not an image file ({kinds})."
            self._notes.append(SourceNote("files_ignored", what, "warning"))
        return root, sorted(images, key=natural_key)

    def _first_size(self, pattern: str) -> tuple[int, int]:
        """Decode up to the first good image and keep the results, so that nothing is decoded twice."""
        for index in range(len(self._files)):
            image = self._opened[index] = self._decode(index)
            if not isinstance(image, str):
                return image.shape[0], image.shape[1]
        raise SourceError(
            f"not one of the {len(self._files)} image file(s) of {pattern} can be used; the first: {self._opened[0]}"
        )

    def _decode(self, index: int) -> Image | str:
        try:
            image, note = read_image(self._files[index], self._name(index))
        except FrameError as problem:
            return str(problem)
        if note is not None and note.code not in self._noted:
            self._noted.add(note.code)
            self._notes.append(note)
        return image

    def _size_fault(self, index: int, image: Image) -> str:
        height_px, width_px = image.shape[:2]
        if (width_px, height_px) == (self._info.width_px, self._info.height_px):
            return ""
        return (
            f"{self._name(index)} is {width_px} x {height_px} px but this run's frames are {self._info.width_px} x "
            f"{self._info.height_px} px; run images of one size together."
        )

    def _name(self, index: int) -> str:
        name = Path(os.path.relpath(self._files[index], self._root)).as_posix()
        # A file name need not be UTF-8, but a record is: bytes that are not are shown escaped.
        return os.fsencode(name).decode("utf-8", "backslashreplace")


def _expand(path: Path) -> tuple[Path, list[Path]]:
    """Matches of a glob, and the folder above its first wildcard."""
    fixed = [part for part in path.parts]
    wild = next((at for at, part in enumerate(fixed) if glob.has_magic(part)), len(fixed))
    root = Path(*fixed[:wild]) if wild else Path()
    return root, [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - accepts absolute patterns
