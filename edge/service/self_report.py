"""What this edge process says about itself: what it is, in every WELCOME, and how it is, when QUERY asks for `health`."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from edge.contracts.about_edge import EdgeInfo, EdgeLimits, Finding, Health
from edge.contracts.messages import ToEdge
from edge.contracts.names import printable
from edge.contracts.records import Event, Record
from edge.contracts.user_paths import expanded
from edge.journal.base import Journal
from edge.pipeline import Parts
from edge.pipeline.run_account import provenance_of
from edge.pipeline.run_control import RunControl
from edge.settings import IN_MEMORY, Setup
from edge.settings.named_profiles import profiles_of
from edge.stream.codec import MAX_TO_EDGE_BYTES
from edge.stream.run_overview import RunOverview
from edge.stream.settings import StreamSettings

OF_THE_CAMERA = frozenset(
    ("camera_lost", "camera_missing", "camera_back", "camera_frozen", "frames_old", "frames_fresh", "out_of_step", "in_step")
)
"""Codes of events that say how the camera is."""
_SENSORS = Path("/sys/class")
_NOT_COMMANDS = ("HELLO", "PONG")

Doctor = Callable[[], tuple[Finding, ...]]


def edge_info(setup: Setup, parts: Parts, pace: StreamSettings, words: tuple[str, ...], runs: int = 1) -> EdgeInfo:
    """What is known once everything is open; `words` are what QUERY may ask for, `runs` how many the process performs."""
    settings, source = setup.settings, parts.source.info
    rests_on = provenance_of(setup, parts.engine.info, source)
    able = source.capabilities
    cameras = ("hardware_trigger", "software_trigger", "timestamps", "chunk_data")
    triggered = not source.self_paced
    return EdgeInfo(
        bundle_id=rests_on.bundle_id,
        bundle_name=rests_on.bundle_name,
        bundle_trained=rests_on.bundle_trained,
        engine=rests_on.engine,
        engine_precision=rests_on.engine_precision,
        engine_precision_gate=rests_on.engine_precision_gate,
        engine_hint=rests_on.engine_hint,
        source=rests_on.source,
        paced_by="triggers" if triggered else "itself",
        um_per_px=rests_on.um_per_px,
        frame_width_px=rests_on.frame_width_px,
        frame_height_px=rests_on.frame_height_px,
        is_synthetic=rests_on.is_synthetic,
        camera=rests_on.camera,
        capabilities=(
            *(kind for kind in _types_taken() if kind != "TRIGGER" or triggered),
            *(f"query:{word}" for word in words),
            *(f"camera:{name}" for name in cameras if getattr(able, name)),
        ),
        limits=EdgeLimits(
            runs=runs,
            message_bytes=MAX_TO_EDGE_BYTES,
            messages_per_s=pace.messages_per_s,
            silent_after_s=pace.silent_after_s,
            max_fields=settings.max_fields,
            trigger_window=settings.trigger_window if triggered else None,
            trigger_timeout_s=settings.trigger_timeout_s if triggered else None,
            pause_after_records=settings.pause_after_records,
            ack_timeout_s=settings.ack_timeout_s,
        ),
        profiles=tuple(profiles_of(setup)),
    )


def _types_taken() -> list[str]:
    kinds = [str(model.model_fields["type"].default) for model in get_args(get_args(ToEdge)[0])]
    return [kind for kind in kinds if kind not in _NOT_COMMANDS]


class HealthWatch:
    """How this process is. `record` is told of every record; `look` may be called by another thread."""

    def __init__(self, journal_path: Path, journal: Journal, control: RunControl) -> None:
        self._began_s = time.monotonic()
        self.engine = ""
        """what computes; empty while it is not open"""
        self._path = None if journal_path == IN_MEMORY else expanded(journal_path)
        self._journal = journal
        self._control = control
        self._runs = RunOverview(journal, control)
        self._camera: Event | None = None

    def record(self, record: Record) -> None:
        """Remember what the camera said last."""
        if isinstance(record, Event) and record.code in OF_THE_CAMERA:
            self._camera = record

    def look(self) -> Health:
        """Raises OSError when the journal's disk cannot be asked."""
        state, said = self._control.state(), self._camera
        return Health(
            t_ns=time.monotonic_ns(),
            uptime_s=time.monotonic() - self._began_s,
            journal="memory" if self._path is None else printable(str(self._path)),
            journal_free_mb=None if self._path is None else shutil.disk_usage(self._path.parent).free / 1e6,
            journal_trouble=self._journal.absent or self._journal.trouble,
            lag=self._runs.last_seq_and_lag()[1],
            temperature_c=temperatures_c(),
            camera=said and said.message,
            camera_code=said and said.code,
            engine=self.engine,
            queue_fields=state.queue_fields,
            phase=state.phase,
        )


def temperatures_c(sensors: Path = _SENSORS) -> dict[str, float]:
    """What Linux tells of its sensors, in degrees Celsius; a sensor that cannot be read is left out."""
    found: dict[str, float] = {}
    for zone in sorted(sensors.glob("thermal/thermal_zone*")):
        _read_into(found, zone / "type", zone / "temp")
    for place in sorted(sensors.glob("hwmon/hwmon*/temp*_input")):
        label = place.with_name(place.name.replace("_input", "_label"))
        _read_into(found, label if label.exists() else place.parent / "name", place)
    return found


def _read_into(found: dict[str, float], name: Path, milli: Path) -> None:
    try:
        label, value_c = printable(name.read_text(encoding="utf-8", errors="replace").strip()), int(milli.read_text()) / 1000
    except (OSError, ValueError):
        return
    number = 1 + sum(each.partition("#")[0] == label for each in found)
    found[label if number == 1 else f"{label}#{number}"] = value_c
