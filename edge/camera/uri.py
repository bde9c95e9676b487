"""A source URI to an open source."""

from collections.abc import Callable

from edge.camera.folder import FolderSource
from edge.camera.frame import FrameSource
from edge.camera.opencv import open_opencv
from edge.contracts.errors import ConfigError
from edge.contracts.user_paths import expanded_text


def open_source(uri: str, um_per_px: float | None) -> FrameSource:
    """Open what `SCALED` and `SCALE_FREE` list; a plain path or glob is a `folder:`.

    `um_per_px` is the physical size of one pixel; only the virtual slide and stored frames know their own. Raises `ConfigError`
    when it is missing or the scheme is unknown, `SourceError` when the source cannot be opened.
    """
    scheme, rest = _split(uri)
    rest = expanded_text(rest)
    if not rest:
        raise ConfigError(f"source {uri!r} names nothing to open; write for example folder:PATH, video:PATH or opencv:0.")
    if scheme in SCALE_FREE:
        return SCALE_FREE[scheme](rest, um_per_px)
    if um_per_px is None:
        raise ConfigError(
            f"source {uri!r} does not say how large a pixel is; give it with --um-per-px "
            "(or measure it once with `leuko-calib pixel-size` and use the profile)."
        )
    if not 0 < um_per_px <= 10:
        raise ConfigError(
            f"{um_per_px:g} um/px is out of range; a microscope camera has between 0 and 10, typically 0.05 to 0.5."
        )
    return SCALED[scheme](rest, um_per_px)


# What only one source needs is imported when it is opened: drivers, a TIFF reader, the slide's drawing.


def _aravis(rest: str, um_per_px: float) -> FrameSource:
    from edge.camera.aravis.device import open_aravis  # noqa: PLC0415

    return open_aravis(rest, um_per_px)


def _pylon(rest: str, um_per_px: float) -> FrameSource:
    from edge.camera.pylon.device import open_pylon  # noqa: PLC0415

    return open_pylon(rest, um_per_px)


def _gentl(rest: str, um_per_px: float) -> FrameSource:
    from edge.camera.gentl.device import open_gentl  # noqa: PLC0415

    return open_gentl(rest, um_per_px)


def _video(rest: str, um_per_px: float) -> FrameSource:
    from edge.camera.video import VideoSource  # noqa: PLC0415

    return VideoSource(rest, um_per_px)


def _stored_frames(rest: str, um_per_px: float | None) -> FrameSource:
    from edge.camera.frame_store import StoredFrames  # noqa: PLC0415

    return StoredFrames(rest, um_per_px)


def _virtual(rest: str, um_per_px: float | None) -> FrameSource:
    from edge.camera.virtual import open_virtual  # noqa: PLC0415

    return open_virtual(rest, um_per_px)


SCALED: dict[str, Callable[[str, float], FrameSource]] = {
    "folder": FolderSource,
    "video": _video,
    "opencv": open_opencv,
    "aravis": _aravis,
    "pylon": _pylon,
    "genicam": _gentl,
}
SCALE_FREE: dict[str, Callable[[str, float | None], FrameSource]] = {"recording": _stored_frames, "virtual": _virtual}
SCHEMES = (*SCALED, *SCALE_FREE)


def scheme_of(uri: str) -> str:
    """One of `SCHEMES`. Raises `ConfigError` for another one."""
    return _split(uri)[0]


def _split(uri: str) -> tuple[str, str]:
    """Scheme and rest. A path may hold a colon; a single letter before it is a Windows drive, not a scheme."""
    scheme, colon, rest = uri.partition(":")
    if not colon or len(scheme) == 1 or not scheme.isidentifier():
        return "folder", uri
    if scheme not in SCHEMES:
        raise ConfigError(
            f"source {uri!r} has the unknown scheme {scheme!r}; use one of {', '.join(s + ':' for s in SCHEMES)}."
        )
    return scheme, rest
