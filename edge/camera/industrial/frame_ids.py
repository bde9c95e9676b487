"""A camera's own frame counter, unwrapped: what it skips never came."""

_LARGEST_16 = 65535


class FrameIds:
    """Unwraps ids that count up by one per exposure.

    GigE Vision's 16-bit block ids count 1 ... 65535 and then 1 again, 0 being never used; extended ids have 64 bits and do not
    wrap. Which of the two a camera has shows in the first id above 65535.
    """

    def __init__(self) -> None:
        self._last_raw: int | None = None
        self._laps = 0

    def unwrap(self, raw: int) -> int:
        """The id as a number that only rises, as long as less than half a lap of frames is missing in between."""
        if raw and self._last_raw is not None and self._last_raw <= _LARGEST_16 and self._last_raw - raw > _LARGEST_16 // 2:
            self._laps += 1
        elif self._last_raw is not None and self._laps and raw - self._last_raw > _LARGEST_16 // 2:
            return raw + (self._laps - 1) * _LARGEST_16  # a frame from before the wrap, out of order
        self._last_raw = raw
        return raw + self._laps * _LARGEST_16

    def reset(self) -> None:
        """The acquisition begins anew: the next id is a first one."""
        self._last_raw, self._laps = None, 0
