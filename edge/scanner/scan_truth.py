"""What a virtual scan should have counted, by the slide itself: the cells that the processed fields really showed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.contracts.cells import NAMES
from edge.counting import WBC_LABELS
from edge.scanner.notebook import ScannedRun
from edge.scanner.pulse_line import Pulse
from edge.scanner.pulsed_camera import HEIGHT_PX, WIDTH_PX
from edge.scanner.virtual_rig import Exposures
from edge.virtual import VirtualSlide

_PROCESSED = ("ok", "empty")
_LAST_ID = 65535


@dataclass(slots=True)
class Compared:
    """Truth and count of a scan, over all of its runs.

    `truth`: distinct cells by class that at least one processed field showed well enough to be judged; `counted`: the result by
    label, each cell once; `raw`: detections of all fields. `lost` are the fields without a count, with the edge's own words;
    `misplaced` those whose record holds another field's picture; `caught`: faults by name, with what became of their fields.
    """

    truth: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    raw: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    lost: list[dict[str, Any]] = field(default_factory=list)
    misplaced: list[int] = field(default_factory=list)
    caught: dict[str, Counter[str]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    doubts: list[str] = field(default_factory=list)

    @property
    def truth_wbc(self) -> int:
        return sum(n for label, n in self.truth.items() if label in WBC_LABELS)

    @property
    def counted_wbc(self) -> int:
        return sum(n for label, n in self.counted.items() if label in WBC_LABELS)

    @property
    def error(self) -> float:
        """Of the number of all cells, as a share of the truth; 0 where there is none and none was counted."""
        truth, counted = self.truth.total(), self.counted.total()
        return abs(counted - truth) / truth if truth else float(counted > 0)

    @property
    def worst_class_per_200(self) -> float:
        """The largest difference of a class, per 200 cells of the slide."""
        labels = set(self.truth) | set(self.counted)
        worst = max((abs(self.truth[label] - self.counted[label]) for label in labels), default=0)
        return 200.0 * worst / max(200, self.truth.total())


def compare(
    runs: Sequence[ScannedRun], lives: Sequence[Exposures], injected: dict[int, tuple[str, ...]], slide: VirtualSlide
) -> Compared:
    """Hold every run against the exposures of the camera's life in which it was scanned."""
    found = Compared()
    shown: dict[int, int] = {}
    for at, run in enumerate(runs):
        shown |= _add_run(found, run, lives[min(at, len(lives) - 1)], injected, slide)
        if any(run.run_id in ((later.records[-1].get("slide") or {}).get("run_ids") or ()) for later in runs[at + 1 :]):
            continue  # its cells are in the result of the run that continues it
        found.truth.update(NAMES[label] for label in shown.values())
        found.counted.update(_result_of(run))
        shown = {}
    return found


def _add_run(
    found: Compared, run: ScannedRun, life: Exposures, injected: dict[int, tuple[str, ...]], slide: VirtualSlide
) -> dict[int, int]:
    """All but truth and count; returns the cells that its processed fields showed, label by key."""
    cells: dict[int, int] = {}
    for record in run.records:
        if record["type"] == "event":
            found.events[record["code"]] += 1
        if record["type"] != "field":
            continue
        found.fields[record["status"]] += 1
        for fault in injected.get(record["field_index"], ()):
            found.caught.setdefault(fault, Counter())[record["status"]] += 1
        if record["status"] not in _PROCESSED:
            found.lost.append({name: record[name] for name in ("field_index", "status", "detail")})
            continue
        found.raw += len(record["detections"])
        pulse = _pulse_of(record, life)
        if pulse is None or pulse.field_index != record["field_index"]:
            found.misplaced.append(record["field_index"])
        if pulse is not None:
            seen = slide.render(pulse.x_um, pulse.y_um, WIDTH_PX, HEIGHT_PX)
            judged = seen.judged
            cells |= dict(zip(seen.keys[judged].tolist(), seen.labels[judged].tolist(), strict=True))
    found.doubts += run.records[-1].get("doubts", [])
    return cells


def _pulse_of(record: dict[str, Any], life: Exposures) -> Pulse | None:
    """The exposure that a record's picture is of, by the camera's counter."""
    return life.pulses.get((int(record["frame_id"]) - 1) % _LAST_ID + 1)


def _result_of(run: ScannedRun) -> dict[str, int]:
    """Each cell once: of the run's last record, or, where the edge was killed, of its last field."""
    stop = run.records[-1]
    if stop.get("slide"):
        return dict(stop["slide"]["cells"])
    last = next((record for record in reversed(run.records) if record["type"] == "field" and record["running"]["slide"]), None)
    if last is None:
        return {}
    slide = last["running"]["slide"]
    return dict(Counter(slide["final"]) + Counter(slide["provisional"]))
