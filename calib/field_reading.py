"""Fields to measure an instrument by, from a folder, a video, a recording or the camera itself."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol, cast

from edge.camera.frame import FrameSource, SourceEnded, SourceInfo, Trigger, TriggeredSource
from edge.camera.pixels import bgr_of
from edge.camera.uri import open_source
from edge.contracts.detections import Image
from edge.contracts.errors import DataError

WAIT_S = 10.0


class _Hash(Protocol):
    def update(self, data: bytes) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(slots=True)
class FieldReading:
    """What was read so far; `of` is known once the source is open."""

    source: str
    limit: int
    um_per_px: float | None
    of: SourceInfo | None = None
    read: int = 0
    unusable: list[str] = field(default_factory=list)
    _digest: _Hash = field(default_factory=hashlib.sha256)
    _pictures: set[bytes] = field(default_factory=set)

    @property
    def info(self) -> SourceInfo:
        """Raises `DataError` before a field was read."""
        if self.of is None:
            raise DataError(f"{self.source} was not opened; report this defect.")
        return self.of

    @property
    def sha256(self) -> str:
        """Over the pixels that were given out."""
        return self._digest.hexdigest()

    @property
    def different(self) -> int:
        """Of the fields that were given out, those that show another picture than all others: a camera may give old ones anew,
        and files may be copies."""
        return len(self._pictures)

    def fields(self) -> Iterator[tuple[str, Image]]:
        """Name and BGR pixels of up to `limit` fields; of a source that knows how many it has, evenly over all of them.

        Raises what opening and reading the source raise, and `DataError` when an image is of another size than the first.
        """
        with closing(open_source(self.source, self.um_per_px)) as source:
            self.of = source.info
            total = source.info.n_fields
            every = max(1, total // self.limit) if total else 1
            source.start()
            for number in range(every * self.limit):
                frame = self._next(source, number)
                if frame is None:
                    return
                name, pixels = frame
                if number % every:
                    continue
                if pixels is None:
                    self.unusable.append(name)
                    continue
                if pixels.shape[:2] != (source.info.height_px, source.info.width_px):
                    raise DataError(
                        f"{name} is {pixels.shape[1]} x {pixels.shape[0]} px and the first field {source.info.width_px} x "
                        f"{source.info.height_px}; give fields of one camera, without binning or a region of interest."
                    )
                self.read += 1
                content = str(pixels.shape).encode() + pixels.tobytes()
                self._digest.update(content)
                self._pictures.add(hashlib.sha256(content).digest())
                yield name, pixels

    def _next(self, source: FrameSource, number: int) -> tuple[str, Image | None] | None:
        if not source.info.self_paced:
            cast(TriggeredSource, source).expect(Trigger(f"calib-{number}", number, None))
        try:
            frame = source.read(WAIT_S)
        except SourceEnded:
            return None
        name = frame.source_name or f"field {number}"
        if frame.status != "ok":
            return f"{name}: {frame.detail or frame.status}", None
        return name, bgr_of(frame)
