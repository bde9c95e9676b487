"""Paths as a person gives them: which source each is, and several of them one after the other as one source."""

import glob
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain
from pathlib import Path

from edge.camera.frame import Frame, FrameSource, SourceBase, SourceEnded, SourceInfo, SourceNote
from edge.camera.frame_store import INDEX
from edge.camera.image_listing import natural_key
from edge.camera.uri import open_source, scheme_of
from edge.contracts.errors import ConfigError

_VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".mjpeg", ".mjpg"}
    | {".h264", ".h265", ".hevc", ".mxf", ".ogv", ".flv", ".3gp"}
)


def uri_of(path: str) -> str:
    """The source of a path: `video:` for a file that is named as one, `recording:` for a folder that holds one, else `folder:`
    (a folder, an image or a glob). What is a source already, such as `virtual:seed=42`, stays one.

    Raises `ConfigError` for an unknown scheme.
    """
    here = Path(path)
    try:
        is_there, is_recording = here.exists(), (here / INDEX).is_file()
    except (OSError, ValueError):  # a name too long, a folder that may not be looked into: opening it says so
        is_there = is_recording = False
    if not is_there and path.startswith(f"{scheme_of(path)}:"):
        return path
    if is_recording:
        return f"recording:{path}"
    return f"video:{path}" if _is_video(path) and not here.is_dir() else f"folder:{path}"


def _is_video(path: str) -> bool:
    return Path(path).suffix.lower() in _VIDEO_SUFFIXES and not glob.has_magic(path)


def _expanded(path: str) -> list[str]:
    """A glob of videos as its files, in natural order; a glob of images is one source."""
    if glob.has_magic(path) and Path(path).suffix.lower() in _VIDEO_SUFFIXES and not Path(path).exists():
        found = sorted((Path(each) for each in glob.glob(path, recursive=True)), key=natural_key)  # noqa: PTH207
        return [str(each) for each in found] or [path]
    return [path]


def open_paths(paths: Sequence[str], um_per_px: float | None) -> FrameSource:
    """Open what `paths` name, each as `uri_of` says. Raises `ConfigError` and `SourceError` as `open_source` does.

    A source that waits for triggers is refused: there is nobody who would announce them.
    """
    with ExitStack() as undo:
        opened = []
        for path in chain.from_iterable(_expanded(each) for each in paths):
            opened.append(undo.enter_context(closing(open_source(uri_of(path), um_per_px))))
            if not opened[-1].info.self_paced:
                raise ConfigError(f"source {path!r} waits for triggers, which come from a scanner; give images or a video.")
        undo.pop_all()
    return opened[0] if len(opened) == 1 else SeveralSources(opened)


class SeveralSources(SourceBase):
    """Sources one after the other as one: its fields are numbered through, and their names begin with their source's.

    All have one um/px. Raises `ConfigError` when they do not.
    """

    def __init__(self, sources: Sequence[FrameSource]) -> None:
        super().__init__()
        self._sources = list(sources)
        scales = {source.info.um_per_px for source in self._sources}
        if len(scales) > 1:
            said = ", ".join(f"{scale:g}" for scale in sorted(scales))
            self.close()
            raise ConfigError(f"these sources have pixels of {said} um; count those of one scale at a time.")
        self._at = self._n_given = 0
        self._started = False

    @property
    def info(self) -> SourceInfo:
        """The first one's, with the number of fields of all; frames come at their own sizes."""
        infos = [source.info for source in self._sources]
        numbers = [info.n_fields for info in infos]
        return replace(
            infos[0],
            uri=", ".join(info.uri for info in infos[:3]) + (f" and {len(infos) - 3} more" if len(infos) > 3 else ""),
            n_fields=None if None in numbers else sum(number or 0 for number in numbers),
            is_synthetic=any(info.is_synthetic for info in infos),
            is_live=any(info.is_live for info in infos),
            one_size=False,
        )

    def look_again(self) -> None:
        for source in self._sources:
            source.look_again()

    def start(self) -> None:
        super().start()
        self._at = self._n_given = 0
        self._sources[0].start()

    def read(self, timeout_s: float) -> Frame:
        """The next frame of the source whose turn it is."""
        while True:
            source = self._sources[self._at]
            try:
                frame = source.read(timeout_s)
            except SourceEnded:
                if self._at + 1 == len(self._sources):
                    raise
                self._at += 1
                self._sources[self._at].start()
                continue
            index, self._n_given = self._n_given, self._n_given + 1
            name = _named(source.info.uri, frame.source_name)
            return self._count(replace(frame, trigger_id=f"{self._at}-{frame.trigger_id}", field_index=index, source_name=name))

    def notes(self) -> list[SourceNote]:
        return [note for source in self._sources for note in source.notes()]

    def close(self) -> None:
        for source in self._sources:
            source.close()


def _named(uri: str, source_name: str) -> str:
    """What tells a field of one source from that of another: the file's path, or the folder's with the file's name."""
    path = uri.partition(":")[2]
    above, slash, last = path.rpartition("/")
    if source_name.partition("#")[0] == last or glob.has_magic(last):
        return f"{above}{slash}{source_name}"
    return f"{path}/{source_name}" if source_name else path
