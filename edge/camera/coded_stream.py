"""Pictures of a coded stream (a video file, a network camera), one for each that was coded, and which cannot be trusted.

FFmpeg hides damage: what is missing is taken from the picture before, so that a cell is seen twice. A JPEG is therefore taken
as it came and decoded strictly; of other codecs the decoder's own word counts, for the picture and all that follow from it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edge.camera.ffv1_slices import checksums_hold
from edge.camera.jpeg import decode_jpeg, pictures_in
from edge.camera.jpeg_scans import end_of_picture
from edge.camera.picture_trust import PictureTrust
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError, SourceError

_WITHOUT_COUNT = frozenset({"mjpeg", "h264", "hevc", "m4v", "mpjpeg", "rtsp", "image2", "jpeg_pipe", "mpeg"})
"""Formats that only guess how long they are."""
_HOLES = {"h264": bytes(64), "hevc": bytes(64), "vp8": bytes(256), "vp9": bytes(256), "av1": bytes(256)}
"""Zeros in a row that no encoder of these writes, and that their decoders read as something."""
_HOLE_IN_UNITS = bytes(8)
"""The same of H.264 and H.265 in a container, where three zeros in a row are escaped and no padding follows."""
_REST = 512
_LOOKED_AHEAD = 8
"""Packets of FFV1 of which one must be whole to show that this file has checksums."""
_DAMAGED, _LEFT_OUT = "it came damaged", "its data are not in the file"
_WITH_HIDDEN = frozenset({"vp8", "vp9", "av1"})
"""Codecs with packets that are not to be shown."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One coded picture: uint8 BGR [H, W, 3], or what is wrong with it."""

    image: Image | None
    fault: str = ""


class CodedStream:
    """Opens `source`, a file that is open for reading or a URL. Raises `SourceError`.

    `timeouts_s` bound opening and each read of a URL. `is_live`: what comes before the first whole picture is not wanted.
    """

    def __init__(
        self, source: BinaryIO | str, name: str, *, timeouts_s: tuple[float, float] | None = None, is_live: bool = False
    ) -> None:
        try:
            import av  # noqa: PLC0415 - a library of its own, which folders and industrial cameras do without
        except ImportError as problem:
            raise SourceError(f"{name} needs PyAV to be read; install it (pip install av).") from problem
        av.logging.set_level(None)
        self._error: type[Exception] = av.FFmpegError
        self._name = name
        self._is_live = is_live
        options = {"rtsp_transport": "tcp"} if is_live else {}
        try:
            self._container: Any = av.open(source, timeout=timeouts_s, options=options)
        except (self._error, OSError, ValueError) as problem:
            raise SourceError(f"{name} cannot be read ({_first(problem)})") from problem
        if not self._container.streams.video:
            self.close()
            raise SourceError(f"{name} cannot be read (there is no picture in it)")
        self._stream: Any = self._container.streams.video[0]
        self._codec: str = self._stream.codec_context.name
        in_units = self._codec in {"h264", "hevc"} and bytes(self._stream.codec_context.extradata or b"")[:1] == b"\x01"
        self._has_checksums = False
        self._hole = _HOLE_IN_UNITS if in_units else _HOLES.get(self._codec)
        # By slices, not by frames: an error then belongs to the packet that was just given.
        self._step, self._last_dts = self._step_of(self._stream), None
        self._stream.thread_type = "SLICE"
        self._stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}

    def _step_of(self, stream: Any) -> float | None:  # noqa: ANN401 - PyAV's
        """Time between two pictures of a file without a list of them; None where it may differ."""
        rate = stream.average_rate
        if self._is_live or stream.frames or not rate or rate != stream.base_rate:
            return None
        return float(1 / (rate * stream.time_base)) if not self._guesses_times else None

    @property
    def _guesses_times(self) -> bool:
        return bool(_WITHOUT_COUNT & set(self._container.format.name.split(",")))

    @property
    def kind(self) -> str:
        """Format and codec, as FFmpeg calls them."""
        return f"{self._container.format.name}/{self._codec}"

    @property
    def may_hide_damage(self) -> bool:
        """Whether the codec is one in which a changed bit may give another picture that nothing shows to be wrong."""
        return self._codec != "mjpeg"

    @property
    def counted(self) -> int:
        """Pictures that are in the file by its own list; 0 when it has none."""
        return int(self._stream.frames)

    def announced(self) -> int:
        """Pictures that the file says it has, by its list or, roughly, by how long it takes; 0 when it does not."""
        if self.counted:
            return self.counted
        duration, rate = self._stream.duration or 0, self._stream.average_rate
        if self._guesses_times or not rate:
            return 0
        if duration:
            return round(float(duration * self._stream.time_base * rate))
        return round((self._container.duration or 0) / 1e6 * float(rate))

    def pictures(self) -> Iterator[Picture]:
        """Every coded picture in the order in which they are shown. Ends where the stream ends, or cannot be read any more."""
        if self._codec == "mjpeg":
            for packet in self._packets():
                content = bytes(packet)
                yield self._strictly(content)
                if not self._is_live and _is_more(content):
                    yield Picture(None, f"a frame of {self._name} has lost its beginning; record it again.")
        else:
            yield from self._decoded()

    def close(self) -> None:
        self._container.close()

    def _packets(self) -> Iterator[Any]:
        began = not self._is_live
        try:
            for packet in self._container.demux(self._stream):
                began = began or packet.is_keyframe
                if packet.size and began and not packet.is_discard:
                    yield packet
        except (self._error, OSError):
            return  # its end, as far as it can be read: whoever knows how many there should be can tell

    def _strictly(self, content: bytes) -> Picture:
        try:
            if len(pictures_in(content)) > 1:
                return Picture(None, f"{self._name} is interlaced; record whole pictures.")
            return Picture(decode_jpeg(content, self._name)[0])
        except FrameError as problem:
            return Picture(None, str(problem))

    def _decoded(self) -> Iterator[Picture]:
        """A picture for each packet: those that a decoder leaves out show in their times, which rise."""
        trust, due, shown = PictureTrust(), set[int](), deque[Any]()
        for packet in self._with_end():
            at = _time_of(packet)
            for _ in range(self._left_out(packet)):
                trust.decode(-1, False, _LEFT_OUT)
                yield self._missing(_LEFT_OUT)
            if at is not None:
                due.add(at)
                trust.decode(at, packet.is_keyframe, _DAMAGED if packet.is_corrupt or self._is_damaged(packet) else "")
            try:
                frames = self._stream.codec_context.decode(packet)
            except (self._error, ValueError) as problem:
                frames = []
                if at is None:
                    yield self._missing(_first(problem))
                else:
                    trust.fail(at, _first(problem))
            for frame in frames:
                if frame.is_corrupt and (time := _time_of(frame)) is not None:
                    trust.conceal(time, "the decoder could not read all of it")
            shown.extend(frames)
            # So many pictures may be shown before one that they build on is seen to be damaged.
            while shown and (packet is None or len(shown) > self._stream.codec_context.has_b_frames):
                yield from self._judged(shown.popleft(), trust, due)
        if self._codec not in _WITH_HIDDEN:
            for at in sorted(due):
                yield self._missing(trust.fault_of(at) or "its data cannot be decoded")

    def _judged(self, frame: Any, trust: PictureTrust, due: set[int]) -> Iterator[Picture]:  # noqa: ANN401 - PyAV's
        """A picture, after those before it that never came."""
        at = _time_of(frame)
        for earlier in sorted(time for time in due if at is not None and time < at):
            due.discard(earlier)
            if self._codec not in _WITH_HIDDEN:
                yield self._missing(trust.fault_of(earlier) or "its data cannot be decoded")
        if at is not None:
            due.discard(at)
        fault = trust.fault_of(at)
        yield self._missing(fault) if fault else Picture(_bgr(frame))

    def _left_out(self, packet: Any) -> int:  # noqa: ANN401 - PyAV's
        """Pictures that must have stood before this packet, in a file without a list where all take the same time."""
        if packet is None or packet.dts is None or self._step is None:
            return 0
        last, self._last_dts = self._last_dts, packet.dts
        return max(0, round((packet.dts - last) / self._step) - 1) if last is not None else 0

    def _is_damaged(self, packet: Any) -> bool:  # noqa: ANN401 - PyAV's
        if self._has_checksums:
            return not checksums_hold(bytes(packet))
        return self._hole is not None and self._hole in bytes(packet)

    def _with_end(self) -> Iterator[Any]:
        """All packets, and None, at which a decoder gives what it held back."""
        packets = self._packets()
        if self._codec == "ffv1":
            first = list(islice(packets, _LOOKED_AHEAD))
            self._has_checksums = any(checksums_hold(bytes(packet)) for packet in first)
            packets = chain(first, packets)
        yield from packets
        yield None

    def _missing(self, why: str) -> Picture:
        return Picture(
            None, f"a frame of {self._name} is damaged, or follows from one that is ({why.rstrip('.')}); record it again."
        )


def open_file(path: Path, name: str) -> CodedStream:
    """A video file. Raises `SourceError`. By its handle: a name with a colon would be taken for an address."""
    try:
        file = path.open("rb")
    except OSError as problem:
        raise SourceError(f"{name} cannot be read ({problem.strerror}); check the file and its permissions.") from problem
    try:
        return CodedStream(file, name)
    except SourceError as problem:
        file.close()
        raise SourceError(f"{problem}: it is damaged or of an unknown format; convert it to MP4 or AVI.") from problem


def _is_more(content: bytes) -> bool:
    """Whether so much follows a picture that it is what is left of another one."""
    end = end_of_picture(content)
    rest = b"" if end is None else content[end:].strip(b"\x00\xff")
    return len(rest) > _REST and len(pictures_in(content)) == 1


def _time_of(coded: Any) -> int | None:  # noqa: ANN401 - PyAV's
    """When a packet or frame is shown or, where that is not said, decoded; in the stream's own unit."""
    if coded is None:
        return None
    time = coded.pts if coded.pts is not None else coded.dts
    return None if time is None else int(time)


def _bgr(frame: Any) -> Image:  # noqa: ANN401 - PyAV's, which not every environment has
    return np.ascontiguousarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _first(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem).splitlines()[0] if str(problem) else type(problem).__name__
