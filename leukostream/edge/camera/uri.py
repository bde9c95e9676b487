"""A source URI to an open source."""

from leukostream.edge.camera.folder import FolderSource
from leukostream.edge.camera.frame import FrameSource
from leukostream.edge.camera.opencv import OpenCvSource
from leukostream.edge.camera.video import VideoSource
from leukostream.edge.contracts.errors import ConfigError

SCHEMES = ("folder", "video", "opencv", "aravis", "recording", "virtual")


def open_source(uri: str, um_per_px: float | None) -> FrameSource:
    """Open `folder:PATH` (or a plain path or glob), `video:PATH`, `opencv:INDEX` / `opencv:URL`, `aravis:ADDRESS`,
    `recording:PATH` or `virtual:SETTINGS`.

    `um_per_px` is the physical size of one pixel; only the virtual slide and a recording know their own. Raises `ConfigError`
    when it is missing or the scheme is unknown, `SourceError` when the source cannot be opened.
    """
    scheme, rest = _split(uri)
    if not rest:
        raise ConfigError(f"source {uri!r} names nothing to open; write for example folder:PATH, video:PATH or opencv:0.")
    if scheme == "virtual":
        from leukostream.edge.camera.virtual_camera import open_virtual  # noqa: PLC0415 - draws a slide; only it needs that

        return open_virtual(rest, um_per_px)
    if scheme == "recording":
        from leukostream.edge.camera.recording import RecordingSource  # noqa: PLC0415 - reads TIFF; only this source needs it

        return RecordingSource(rest, um_per_px)
    if um_per_px is None:
        raise ConfigError(
            f"source {uri!r} does not say how large a pixel is; give it with --um-per-px "
            "(or measure it once with `leuko-calib pixel-size` and use the profile)."
        )
    if not 0 < um_per_px <= 10:
        raise ConfigError(
            f"{um_per_px:g} um/px is out of range; a microscope camera has between 0 and 10, typically 0.05 to 0.5."
        )
    if scheme == "folder":
        return FolderSource(rest, um_per_px)
    if scheme == "video":
        return VideoSource(rest, um_per_px)
    if scheme == "aravis":
        from leukostream.edge.camera.aravis.source import AravisSource  # noqa: PLC0415 - only this source needs libaravis

        return AravisSource(rest, um_per_px)
    return OpenCvSource(rest, um_per_px)


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
