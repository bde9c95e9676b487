"""Red cells of a run's first fields, measured beside the loop: a field costs it a copy, and its um/px is judged once."""

import logging
import threading
import time
from collections import deque

import numpy as np

from edge.contracts.detections import Image
from edge.quality.red_cell_scale import ENOUGH_CELLS, FEW_CELLS, RedCells, RedCellSizes
from edge.quality.red_cells import LONG_SIDES_PX, find_red_cells

CERTAIN_CELLS = 3 * ENOUGH_CELLS
"""Enough to judge at once."""

AT_MOST_FIELDS = 64
"""What these do not show, more of the same slide would not either; then it is judged by what there is."""

_WAITING, _MOST_WAITING, _WAITING_BYTES = 6, 24, 64_000_000
"""Copies that wait for the thread, or as many more as take no more memory; a field that comes while so many do is not looked
at. A folder is read faster than it is measured: what waits then is measured at its end."""

_REST = 9
"""Times as long as a field took, nothing is measured: what the engine works with is taken for at most a tenth of one core."""

_GAP_S = 60.0
"""The longest wait for a field that has just ended."""

_LAST_S = 5.0
"""The longest that a run's end waits for the last of them."""

_log = logging.getLogger(__name__)


class RedCellWatch:
    """`offer` fields; `contradiction` says once, as soon as it is certain, what speaks against the scale.

    `n_taken` fields were copied; `unchecked` says why nothing came of them, once that is known. All but the measuring is for
    one thread. Nothing that goes wrong in it touches the run.
    """

    def __init__(self, um_per_px: float) -> None:
        self._um_per_px = um_per_px
        self._sizes = RedCellSizes()
        self._waiting: deque[tuple[Image, int]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self.n_taken = 0
        self._judged: str | None = None
        self.unchecked = ""
        self._done = self._hurries = self._is_new = self._waits_for_gap = False

    def offer(self, image: Image) -> None:
        """Copy a field, BGR uint8 [H, W, 3], to be measured with the next `contradiction`, unless enough were or the measuring
        lags behind."""
        if self._done or self.n_taken >= AT_MOST_FIELDS or not self._has_room():
            return
        step = max(1, max(image.shape[:2]) // LONG_SIDES_PX[-1])
        copy = np.ascontiguousarray(image[::step, ::step]) if step > 1 else image.copy()
        self.n_taken += 1
        with self._changed:
            self._waiting.append((copy, step))
            self._is_new = True

    def _has_room(self) -> bool:
        with self._changed:
            n = len(self._waiting)
            return n < _WAITING or (n < _MOST_WAITING and sum(copy.nbytes for copy, _ in self._waiting) < _WAITING_BYTES)

    def contradiction(self, *, is_last: bool = False) -> str:
        """The sentence, once; empty before it is certain, when nothing speaks against the scale, and ever after.

        `is_last`: what was offered so far is all there is; waits until it has been measured.
        """
        if self._judged is not None:
            return ""
        with self._changed:
            self._hurries = self._hurries or is_last
            if self._is_new or is_last or self._waits_for_gap:
                self._go_on()
            if is_last:
                self._changed.wait_for(lambda: self._done or not self._waiting or self._is_certain(), _LAST_S)
            all_measured = self.n_taken >= AT_MOST_FIELDS and not self._waiting
            if not (is_last or all_measured or self._is_certain()):
                return ""
            found = self._sizes.found()
            if isinstance(found, str) and not (is_last or all_measured):
                return ""
            self._done = True
            self._changed.notify_all()
        # A few red cells tell no scale, but one that is far off.
        seen = found if isinstance(found, RedCells) else self._sizes.found(FEW_CELLS)
        against = isinstance(seen, RedCells) and seen.contradicts(self._um_per_px)
        self._judged = seen.sentence(self._um_per_px) if isinstance(seen, RedCells) and against else ""
        if isinstance(found, str) and not against:
            self.unchecked = f"the um/px was not compared with the size of red cells: {found}"
        return self._judged

    def _is_certain(self) -> bool:
        return self._sizes.cells >= CERTAIN_CELLS

    @property
    def judged(self) -> str:
        """What was said against the scale; empty for nothing."""
        return self._judged or ""

    def close(self) -> None:
        """Its thread ends, after the field that it has in hand. Safe to repeat."""
        with self._changed:
            self._done = True
            self._waiting.clear()
            self._changed.notify_all()

    def _go_on(self) -> None:
        """Measure what waits. Not before a field's own cells are found: the first field of a run would share the cores."""
        self._is_new = self._waits_for_gap = False
        if self._waiting and self._thread is None and not self._done:
            self._thread = threading.Thread(target=self._measure_all, name="red cells", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _measure_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._done or bool(self._waiting), 60.0)
                if self._done or not self._waiting:
                    # A thread that idles longer than any field takes ends; the next field starts another.
                    self._thread = None
                    return
                image, step = self._waiting[0]
            began_s = time.monotonic()
            try:
                diameters_px = find_red_cells(image).diameters_px * step
            except Exception:  # noqa: BLE001 a measurement beside the run must never end it
                _log.exception("red cells could not be measured in a field")
                diameters_px = np.zeros(0)
            with self._changed:
                self._sizes.add(diameters_px, image.shape[0] * image.shape[1] * step * step)
                if self._waiting:  # not closed meanwhile
                    self._waiting.popleft()
                self._changed.notify_all()
                rest_s = _REST * (time.monotonic() - began_s)
                self._changed.wait_for(lambda: self._hurries or self._done, rest_s)
                # Not in the midst of a field: right behind one the engine may have nothing to do until the next is triggered.
                self._waits_for_gap = True
                self._changed.wait_for(lambda: self._hurries or self._done or not self._waits_for_gap, _GAP_S)
                self._waits_for_gap = False
