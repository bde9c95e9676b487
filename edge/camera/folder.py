"""Image files of a folder or a glob, in natural order: every page of every image file gives exactly one frame."""

import time
from dataclasses import replace
from pathlib import Path

from edge.camera.decode import ImageFile, count_pages
from edge.camera.frame import Frame, SourceBase, SourceEnded, SourceInfo
from edge.camera.image_listing import list_images, name_below
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError, SourceError


class FolderSource(SourceBase):
    """Reads `pattern` (a folder, one image file, or a glob), listed when it is opened and anew when a run begins.

    The first image that decodes is what the run is prepared for; images of other sizes come as they are. Nothing that was
    decoded before a run is given in it. Files that cannot be used are frames with status "failed"; the run goes on. Raises
    `SourceError` when there is no such path, no image in it, or not one image that can be decoded.
    """

    def __init__(self, pattern: str, um_per_px: float) -> None:
        super().__init__()
        self._pattern = pattern
        self._noted: set[str] = set()
        self._root, self._files, notes = list_images(pattern)
        self._notes += notes
        self._next_file = self._next_page = self._given_pages = 0
        self._open_file: ImageFile | None = None
        self._is_fresh = False
        height_px, width_px = self._first_size()
        self._info = SourceInfo(
            uri=f"folder:{pattern}",
            width_px=width_px,
            height_px=height_px,
            um_per_px=um_per_px,
            n_fields=self._count_fields(),
            self_paced=True,
            one_size=False,
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    def look_again(self) -> None:
        self.close()
        self._noted.clear()
        self._root, self._files, self._notes = list_images(self._pattern)
        self._next_file = self._next_page = self._given_pages = 0
        self._info = replace(self._info, n_fields=self._count_fields())
        self._is_fresh = True

    def start(self) -> None:
        super().start()
        if not self._is_fresh:
            self.look_again()
        self._is_fresh = False

    def read(self, timeout_s: float) -> Frame:
        """The next page. Returns when it is decoded; a file needs no waiting, so `timeout_s` never expires."""
        if self._next_file >= len(self._files):
            raise SourceEnded
        index, file, page = self._given_pages, self._next_file, self._next_page
        self._given_pages += 1
        t_trigger_ns = time.monotonic_ns()
        image = self._decode(self._files[file], page)
        n_pages = self._open_file.n_pages if self._open_file else 1
        if page + 1 < n_pages:
            self._next_page += 1
        else:
            self.close()
            self._next_file, self._next_page = file + 1, 0
        name = name_below(self._root, self._files[file])
        frame = Frame(
            trigger_id=f"file-{index}",
            field_index=index,
            status="failed" if isinstance(image, str) else "ok",
            image=None if isinstance(image, str) else image,
            um_per_px=self._info.um_per_px,
            t_trigger_ns=t_trigger_ns,
            t_host_ns=time.monotonic_ns(),
            frame_id=index,
            source_name=name if n_pages == 1 else f"{name}#{page}",
            detail=image if isinstance(image, str) else "",
        )
        return self._count(frame)

    def close(self) -> None:
        """Let go of the file whose pages are being read."""
        if self._open_file is not None:
            self._open_file.close()
            self._open_file = None

    def _count_fields(self) -> int:
        return sum(count_pages(file, file.name) for file in self._files)

    def _first_size(self) -> tuple[int, int]:
        """Height and width of the first image that decodes; what it shows is forgotten."""
        first = ""
        for file in self._files:
            image = self._decode(file, 0)
            self.close()
            if not isinstance(image, str):
                self._notes = [note for note in self._notes if note.code not in self._noted]
                self._noted.clear()
                return image.shape[0], image.shape[1]
            first = first or image
        raise SourceError(f"not one of the {len(self._files)} image file(s) of {self._pattern} can be used; the first: {first}")

    def _decode(self, file: Path, page: int) -> Image | str:
        name = name_below(self._root, file)
        try:
            if self._open_file is None:
                self._open_file = ImageFile(file, name)
            image, note = self._open_file.read(page)
        except FrameError as problem:
            return str(problem)
        if note is not None and note.code not in self._noted:
            self._noted.add(note.code)
            self._notes.append(note)
        return image
