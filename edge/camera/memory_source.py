"""Frames that are in memory already, given as fast as they are taken or at the moments of a scanner that does not wait."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.camera.frame import Frame, FrameSource, SourceBase, SourceEnded, SourceInfo, SourceTimeout
from edge.camera.pixels import bgr_of
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError

_READ_S = 10.0
APART_UM = 200.0
"""A step at which no fields overlap, as most scanners go over a slide."""

_COLUMNS = 100
_LEAD_NS = 20_000_000
"""Between the first read and the first intended trigger: whoever reads is awake by then."""


class MemorySource(SourceBase):
    """Gives `n_fields` frames that are in memory already, in turn; paces itself, whatever `info` is of.

    With `rate_per_s` field k is due k / rate after the first, however late it is asked for: `intended_ns[k]` is then, and the
    frame's trigger time, too, so that whoever stalls has to answer for the fields that came meanwhile. Without a rate a field
    is due when it is read. With `step_um` fields lie side by side in rows, as on a stage that is moved by so much.
    """

    def __init__(
        self,
        images: Sequence[Image],
        info: SourceInfo,
        n_fields: int,
        rate_per_s: float | None = None,
        step_um: float | None = None,
    ) -> None:
        super().__init__()
        self._images = images
        self._n_fields = n_fields
        self._every_ns = int(1e9 / rate_per_s) if rate_per_s else 0
        self._step_nm = int(1e3 * step_um) if step_um else 0
        self._first_ns = 0
        self._next = 0
        self.info = replace(info, n_fields=n_fields, self_paced=True, is_live=False)
        self.intended_ns: NDArray[np.int64] = np.zeros(n_fields, np.int64)

    def read(self, timeout_s: float) -> Frame:
        if self._next == self._n_fields:
            raise SourceEnded
        now_ns = time.monotonic_ns()
        due_ns = now_ns
        if self._every_ns:
            self._first_ns = self._first_ns or now_ns + _LEAD_NS
            due_ns = self._first_ns + self._next * self._every_ns
            wait_s = (due_ns - now_ns) / 1e9
            time.sleep(max(0.0, min(wait_s, timeout_s)))
            if wait_s > timeout_s:
                raise SourceTimeout("the next field is not due yet")
            now_ns = time.monotonic_ns()
        index, self._next = self._next, self._next + 1
        self.intended_ns[index] = due_ns
        image = self._images[index % len(self._images)]
        row, column = divmod(index, _COLUMNS)
        stage_nm = (column * self._step_nm, row * self._step_nm) if self._step_nm else None
        frame = Frame(str(index), index, "ok", image, self.info.um_per_px, due_ns, now_ns, stage_nm=stage_nm)
        return self._count(frame)

    def close(self) -> None:
        self._images = ()


def images_of(source: FrameSource, n_images: int) -> list[Image]:
    """The first good images of a source. Raises `SourceError` when it has none."""
    images: list[Image] = []
    try:
        while len(images) < n_images:
            frame = source.read(_READ_S)
            image = bgr_of(frame)
            if image is not None:
                images.append(image.copy())  # it may lie in a camera driver's buffer
    except SourceEnded:
        if not images:
            raise SourceError(
                f"{source.info.uri} gave no field that can be used; choose another source to measure with."
            ) from None
    return images
