"""How much memory a process holds while records pass through it."""

import platform
import resource
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_STATM = Path("/proc/self/statm")
_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Resident memory over one measurement: means of the first quarter and of the last tenth of the records, the highest sample
    (10^6 bytes), and the growth after the first quarter (least squares), which holding records would show."""

    first_quarter_mb: float
    end_mb: float
    peak_mb: float
    growth_bytes_per_record: float


class MemoryTrace:
    """Samples this process evenly over `n_records`; holds `_SAMPLES` numbers whatever their count."""

    def __init__(self, n_records: int) -> None:
        self._n_records = n_records
        self._every = max(1, n_records // _SAMPLES)
        self._at: list[int] = []
        self._bytes: list[int] = []

    def passed(self, n: int) -> None:
        """`n` records have passed so far; call it after every one."""
        if n % self._every == 0:
            self._at.append(n)
            self._bytes.append(resident_bytes())

    def use(self) -> MemoryUse:
        """What the samples say; of a measurement that was ended before the first of them, what is held now."""
        at, held = np.array(self._at or [0]), np.array(self._bytes or [resident_bytes()], float)
        early, late = at <= max(at[0], self._n_records // 4), at >= min(at[-1], self._n_records * 9 // 10)
        after = ~early
        growth = float(np.polyfit(at[after], held[after], 1)[0]) if after.sum() > 1 else 0.0
        return MemoryUse(float(held[early].mean()) / 1e6, float(held[late].mean()) / 1e6, float(held.max()) / 1e6, growth)


def resident_bytes() -> int:
    """Resident memory of this process; where the system does not tell, the highest so far."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return peak_bytes()


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
