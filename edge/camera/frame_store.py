"""Frames on disk as they came, one TIFF each, with an index of everything else that is known of them; and their way back.

`index.jsonl` begins with what the source was; then each line is one frame, the lost and damaged ones included.
"""

import json
import threading
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.camera.frame import (
    Frame,
    FrameSource,
    SourceBase,
    SourceEnded,
    SourceInfo,
    SourceNote,
    SourceTimeout,
)
from edge.camera.tiff_store import TiffStore, sha256_of
from edge.contracts.errors import ConfigError, SourceError, first_line
from edge.contracts.records import SourceStatistics
from edge.contracts.whole_file import read_whole

INDEX = "index.jsonl"
_VERSION = 1
_KEPT = ("trigger_id", "field_index", "status", "um_per_px", "t_trigger_ns", "t_host_ns", "frame_id", "t_camera_ns", "stage_nm")
_TEXTS = ("source_name", "detail")
_LATER = {"pixel_format": "BGR8", "age_ms": None}
"""Kept since a later version, with what holds for lines without them."""


class FrameStore:
    """Frames of one source in a new `folder`, of at most `max_mb` megabytes. Raises `SourceError` when it cannot be written."""

    def __init__(self, folder: Path, info: SourceInfo, max_mb: float) -> None:
        about = {"recording": _VERSION, "uri": info.uri, "width_px": info.width_px, "height_px": info.height_px}
        about |= {"um_per_px": info.um_per_px, "is_synthetic": info.is_synthetic, "camera": info.camera}
        self._store = TiffStore(folder, INDEX, about, max_mb)

    @property
    def n_frames(self) -> int:
        return self._store.n_kept

    @property
    def full(self) -> str:
        """Why nothing more is stored; empty while there is room."""
        return self._store.full

    @property
    def failed(self) -> bool:
        """Whether that is the disk's fault, and not the size that was asked for."""
        return self._store.failed

    def add(self, frame: Frame) -> None:
        """Store a frame; once the room is used up, nothing more."""
        line = {name: getattr(frame, name) for name in (*_KEPT, *_TEXTS, *_LATER)}
        self._store.keep(line, frame.image, frame.um_per_px, frame.pixel_format)

    def close(self) -> None:
        """Finish the index."""
        self._store.close()


class StoringSource:
    """Passes another source's frames on and stores each of them first: of a triggered one, what became of each trigger."""

    def __init__(self, source: FrameSource, store: FrameStore) -> None:
        self._source = source
        self._store = store
        self._told = False

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def look_again(self) -> None:
        self._source.look_again()

    def start(self) -> None:
        self._source.start()

    def statistics(self) -> SourceStatistics:
        return self._source.statistics()

    def read(self, timeout_s: float) -> Frame:
        frame = self._source.read(timeout_s)
        self._store.add(frame)
        return frame

    def notes(self) -> list[SourceNote]:
        """The source's, and once that the store is full."""
        notes = self._source.notes()
        if self._store.full and not self._told:
            self._told = True
            notes.append(SourceNote("recording_full", self._store.full, "warning"))
        return notes

    def close(self) -> None:
        self._source.close()
        self._store.close()


class StoredFrames(SourceBase):
    """The source `recording:PATH[,pace=original]`: stored frames again. Without a pace they come as fast as they are read.

    A file that is missing or not what was stored is a frame with status "failed". Raises `SourceError` when nothing is stored
    there, and `ConfigError` for an option that there is not.
    """

    def __init__(self, rest: str, um_per_px: float | None) -> None:
        super().__init__()
        path, _, option = rest.partition(",")
        if option not in {"", "pace=original"}:
            raise ConfigError(f"source 'recording:{rest}' has the unknown option {option!r}; there is pace=original.")
        self._um_per_px = um_per_px
        self._folder = Path(path)
        self._original = bool(option)
        self._rest = rest
        self._closed = threading.Event()
        self._is_fresh = False
        self._read_index()
        self._opened_as = self._measures()

    def _measures(self) -> tuple[int, int, float]:
        return self._info.width_px, self._info.height_px, self._info.um_per_px

    def _read_index(self) -> None:
        """Begin with the first frame of what is stored there now."""
        um_per_px, path = self._um_per_px, self._folder
        about, self._lines, cut = _read(self._folder)
        if um_per_px is not None and abs(um_per_px - about["um_per_px"]) > 1e-3 * um_per_px:
            raise ConfigError(
                f"recording {path} was made at {about['um_per_px']:g} um/px, not at {um_per_px:g}; leave the scale out."
            )
        self._info = SourceInfo(
            uri=f"recording:{self._rest}",
            width_px=about["width_px"],
            height_px=about["height_px"],
            um_per_px=about["um_per_px"],
            n_fields=len(self._lines),
            self_paced=True,
            is_synthetic=about["is_synthetic"],
            camera=about["camera"],
            one_size=not str(about.get("uri", "")).startswith("folder:"),
        )
        if cut:
            what = f"the index of recording {self._folder} ends in the middle of a line: whoever wrote it was interrupted."
            self._notes.append(SourceNote("recording_cut", what, "warning"))
        self._next = 0
        self._began_ns: int | None = None

    def look_again(self) -> None:
        self._notes.clear()
        self._read_index()
        if self._measures() != self._opened_as:
            raise SourceError(f"recording {self._folder} is another one than when it was opened; start the edge again.")
        self._is_fresh = True

    def leave_out_all_but(self, trigger_ids: Collection[str]) -> None:
        """Of those that are read from now on, until the source is started."""
        self._lines = [line for line in self._lines if line["trigger_id"] in trigger_ids]
        self._next = 0

    def start(self) -> None:
        super().start()
        if not self._is_fresh:
            self.look_again()
        self._is_fresh = False

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self, timeout_s: float) -> Frame:
        """The next frame as it was stored, its times moved to now. Raises `SourceTimeout` until its turn has come."""
        if self._closed.is_set() or self._next >= len(self._lines):
            raise SourceEnded
        line = self._lines[self._next]
        offset_ns = line["t_host_ns"] - self._lines[0]["t_host_ns"]
        self._await(offset_ns, timeout_s)
        self._next += 1
        now_ns = time.monotonic_ns()
        kept = _LATER | {name: line[name] for name in (*_KEPT, *_TEXTS, *_LATER) if name in line or name not in _LATER}
        kept["stage_nm"] = tuple(line["stage_nm"]) if line["stage_nm"] else None
        took_ns = max(0, line["t_host_ns"] - line["t_trigger_ns"])
        frame = Frame(**kept | {"image": None, "t_trigger_ns": now_ns - took_ns, "t_host_ns": now_ns})
        return self._count(replace(frame, **stored_image(self._folder, line)) if "file" in line else frame)

    def close(self) -> None:
        """No further frame."""
        self._closed.set()

    def _await(self, offset_ns: int, timeout_s: float) -> None:
        if not self._original:
            return
        self._began_ns = self._began_ns or time.monotonic_ns()
        wait_s = (self._began_ns + offset_ns - time.monotonic_ns()) / 1e9
        if wait_s > 0 and self._closed.wait(min(wait_s, timeout_s)):
            raise SourceEnded
        if wait_s > timeout_s:
            raise SourceTimeout(f"no frame is due within {timeout_s:g} s.")


def stored_image(folder: Path, line: dict[str, Any]) -> dict[str, Any]:
    """The frame's `image` by its line of the index, or `status` and `detail` of one that cannot be used."""
    import tifffile  # noqa: PLC0415 - as in tiff_store

    file = folder / line["file"]
    try:
        image = tifffile.imread(file)
        if line.get("pixel_format", "BGR8") == "BGR8":
            image = np.ascontiguousarray(image[:, :, ::-1])
    except (OSError, ValueError, IndexError, tifffile.TiffFileError) as problem:
        return {"status": "failed", "detail": f"{file} cannot be read ({first_line(problem)}); restore it from a copy."}
    if sha256_of(image) != line["sha256"]:
        return {"status": "failed", "detail": f"{file} is not what was recorded; restore it from a copy."}
    return {"image": image}


def _read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    """What is known of the source, its frames, and whether the last line was cut off."""
    try:
        lines = read_whole(folder / INDEX).split(b"\n")
        about, *frames = (json.loads(line) for line in lines[:-1])
        if about["recording"] != _VERSION or not frames:
            raise ValueError(f"version {about['recording']}, {len(frames)} frames")
    except OSError as problem:
        raise SourceError(f"{folder} is no recording ({problem.strerror}); make one with `leuko-edge record`.") from problem
    except (ValueError, LookupError, TypeError) as problem:
        raise SourceError(f"{folder / INDEX} cannot be used ({problem}); restore it from a copy.") from problem
    return about, frames, bool(lines[-1])
