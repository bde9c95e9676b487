"""What the telemetry socket has said: the newest state, and honestly what of it was missed."""

from collections import deque
from dataclasses import dataclass, field

from edge.contracts.messages import Live, LiveField
from edge.counting import WBC_LABELS
from edge.reports.run_report import ReportedField

_WINDOW_S = 10.0
_MOST_TIMES = 200
_WBC = frozenset(WBC_LABELS)


@dataclass(slots=True)
class Pace:
    """Fields per second over the last ten seconds, and how long the last of them took."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _total_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST_TIMES))
    infer_ms: float | None = None

    def add(self, t_s: float, n_fields: int) -> None:
        """So many fields had ended at `t_s` of the edge's clock."""
        self._seen.append((t_s, n_fields))
        while len(self._seen) > 2 and self._seen[1][0] < t_s - _WINDOW_S:
            self._seen.popleft()

    def took(self, total_ms: float, infer_ms: float) -> None:
        """One field's way, and what of it was inference."""
        self._total_ms.append(total_ms)
        self.infer_ms = infer_ms

    @property
    def fields_per_s(self) -> float | None:
        """None until two moments are known."""
        if len(self._seen) < 2:
            return None
        (began_s, n_began), (now_s, n_now) = self._seen[0], self._seen[-1]
        return (n_now - n_began) / (now_s - began_s) if now_s > began_s else None

    @property
    def last_ms(self) -> float | None:
        return self._total_ms[-1] if self._total_ms else None

    @property
    def median_ms(self) -> float | None:
        """Of the fields that are known here, at most the last 200."""
        times = sorted(self._total_ms)
        return times[len(times) // 2] if times else None


@dataclass(slots=True)
class Heard:
    """Feed every message in the order of its arrival. Belongs to one thread at a time.

    Sums are in every message, so that a missed one costs none of them; which fields ended meanwhile is then not known.
    """

    live: Live | None = None
    t_s: float | None = None
    """own monotonic time of the newest message"""
    messages: int = 0
    missed: int = 0
    """messages that were published while this page subscribed and never came"""
    restarts: int = 0
    """of the edge process, since this page looks on"""
    pace: Pace = field(default_factory=Pace)
    fields: dict[int, ReportedField] = field(default_factory=dict)
    """by index, those of the newest run that were seen to end"""
    _of_the_run_before: LiveField | None = None
    """still shown in the first messages of a run, until its own records begin"""

    def hear(self, live: Live, t_s: float) -> None:
        """The next message."""
        before = self.live
        if before is not None and before.boot_id == live.boot_id:
            self.missed += max(0, live.telemetry_seq - before.telemetry_seq - 1)
        elif before is not None:
            self.restarts += 1
        if before is None or (before.boot_id, before.run_id) != (live.boot_id, live.run_id):
            self.pace, self.fields = Pace(), {}
            same_edge = before is not None and before.boot_id == live.boot_id
            self._of_the_run_before = before.last_field if same_edge and before is not None else None
        if live.last_field != self._of_the_run_before:
            self._of_the_run_before = None
        self.live, self.t_s = live, t_s
        self.messages += 1
        last = live.last_field
        if self.is_of_the_run_before:
            return
        self.pace.add(live.t_ns / 1e9, self.ended)
        if last is not None and last.field_index not in self.fields:
            self.fields[last.field_index] = _shown(last)
            if last.times is not None:
                self.pace.took(last.times.total_ms, last.times.infer_ms)

    @property
    def is_of_the_run_before(self) -> bool:
        """Whether the newest message names a run and has the sums of the one before it."""
        return self._of_the_run_before is not None

    @property
    def ended(self) -> int:
        """Fields of the newest run that have ended, whether they were seen here or not."""
        return sum(self.live.fields.values()) if self.live and not self.is_of_the_run_before else 0

    @property
    def unseen(self) -> int:
        """How many of them were not seen here: gaps, and never empty fields."""
        return max(0, self.ended - len(self.fields))

    def gaps(self) -> list[int]:
        """Indices of fields that were not seen here: those that ended so, and those between that have not ended."""
        highest = max(self.fields, default=-1)
        missing = [index for index in range(highest + 1) if index not in self.fields]
        return missing if self.unseen else []


def _shown(last: LiveField) -> ReportedField:
    n_cells = sum(last.counts.values())
    return ReportedField(
        field_index=last.field_index,
        trigger_id=last.trigger_id,
        source_name="",
        status=last.status,
        detail="",
        counted=True,
        replaced=False,
        overflow=last.overflow,
        stage_um=None,
        width_px=None,
        height_px=None,
        um_per_px=None,
        n_cells=n_cells,
        n_wbc=sum(n for label, n in last.counts.items() if label in _WBC),
        wall_time="",
    )
