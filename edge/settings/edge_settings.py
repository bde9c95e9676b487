"""Every setting of the edge, stated once: name (with its unit), type, limits, default, description, and its place in `--help`.

The command line, the configuration file, the JSON Schema and the documentation are made from this model.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from edge.contracts.base import Strict
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.choices import Correct, Durability, EngineChoice, Hint, LogFormat, LogLevel, Policy, Precision
from edge.contracts.colours import MeasuredColours, MeasuredLight
from edge.contracts.latency import MeasuredLatency
from edge.contracts.profile import CameraGeometry, FocusRange, Knot
from edge.contracts.run_order import OrderSetting
from edge.contracts.stage_geometry import MeasuredStage
from edge.contracts.user_paths import UserPath

DEFAULT_JOURNAL = Path("~/.local/state/leukostream/journal.sqlite")
IN_MEMORY = Path("memory")
SHIPPED_BUNDLE = Path(__file__).parents[1] / "bundles" / "yolov3-tiny-416-look"


@dataclass(frozen=True, slots=True)
class Panel:
    """Marks a setting that is an option of the command line, too, under this heading of `--help`; others are the file's alone.

    Of a setting that holds several values, `parts` names those that have an option each.
    """

    heading: str
    parts: tuple[str, ...] = ()


def panel_of(field: FieldInfo) -> Panel | None:
    """The mark of this setting; None when it is for the file alone."""
    return next((each for each in field.metadata if isinstance(each, Panel)), None)


RUN = Panel("The run")
_MODEL = Panel("Model and engine")
_CELLS = Panel("Cells and labels")
_LOG = Panel("The log")
_ORDER = Panel("The order", ("target_leukocytes", "field_cap", "time_cap_s", "quality", "smudges"))

ProfileName = Annotated[str, Field(min_length=1, max_length=128)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class EdgeSettings(Strict):
    """Everything one edge process can be told. Paths are relative to the working directory."""

    model_config = ConfigDict(allow_inf_nan=False)  # of TOML and YAML both; a run records its settings, and JSON has neither

    source: Annotated[str, RUN] = Field(
        min_length=1,
        description="folder:PATH, video:PATH, opencv:0, aravis:ADDRESS, pylon:SERIAL, genicam:FILE.cti, recording:DIR or "
        "virtual:seed=42",
    )
    um_per_px: Annotated[float | None, RUN] = Field(None, gt=0, le=10, description="physical size of the source's pixels")
    bundle: Annotated[UserPath, _MODEL] = Field(SHIPPED_BUNDLE, description="directory with the model")
    profile: Annotated[UserPath | None, RUN] = Field(None, description="calibration of this instrument")
    objective: Annotated[str | None, RUN] = Field(
        None,
        min_length=1,
        max_length=64,
        description="in use, such as 50x/0.95: `profile` is refused if it is of another one",
    )
    profiles: dict[ProfileName, UserPath] | None = Field(
        None, description="calibrations for other optics of this instrument, each by the name that RUN_START calls it"
    )
    signers: Annotated[UserPath | None, RUN] = Field(
        None, description="directory of public keys (*.pub); only what one of them signed is loaded: bundle, profile, engine"
    )
    bind: Annotated[str, RUN] = Field("tcp://127.0.0.1:5570", min_length=1, description="where the controller connects")
    keys: Annotated[UserPath | None, RUN] = Field(
        None, description="directory of this edge's keys (CURVE); without, only this machine can connect"
    )
    telemetry: Annotated[str | None, RUN] = Field(
        None, min_length=1, description="where dashboards subscribe, such as tcp://127.0.0.1:5571; off if not set"
    )
    telemetry_hz: float = Field(10.0, ge=1, le=100, description="live counts are published at most so often per second")
    metrics: Annotated[str | None, RUN] = Field(
        None, min_length=1, description="where Prometheus reads metrics, such as 127.0.0.1:9570; off if not set"
    )
    policy: Annotated[Policy, RUN] = Field(
        "lossless", description="lossless: the source waits; latest: the oldest waiting field is dropped"
    )
    max_batch: Annotated[int, _MODEL] = Field(1, ge=1, le=256, description="frames of one inference")
    max_delay_ms: Annotated[float, _MODEL] = Field(
        5.0, ge=0, le=60000, description="a field waits no longer than this for its batch to fill"
    )
    queue_fields: Annotated[int, _MODEL] = Field(4, ge=1, le=1024, description="fields that may wait for the engine")
    engine: Annotated[EngineChoice, _MODEL] = Field(
        "auto", description="auto: one built for this machine's GPU, else OpenVINO on the CPU"
    )
    engine_dir: Annotated[UserPath | None, _MODEL] = Field(
        None, description="directory of the bundle's compiled engines; if not set, beside the bundle and the user's own"
    )
    allow_ungated_engine: Annotated[bool, _MODEL] = Field(
        False, description="start an engine without a passed parity gate; never diagnostic"
    )
    server: Annotated[str | None, _MODEL] = Field(
        None, min_length=1, description="HOST:PORT of an inference server (KServe v2, gRPC) that computes, instead of `engine`"
    )
    server_deadline_ms: Annotated[float, _MODEL] = Field(
        1000.0, gt=0, le=60000, description="the server answers a batch within this time, or it has failed"
    )
    server_fallback: Annotated[bool, _MODEL] = Field(
        False, description="when the server fails, `engine` computes on, and the run's records say from where"
    )
    server_ca: Annotated[UserPath | None, _MODEL] = Field(
        None, description="PEM file of who signed the server's certificate: the connection is TLS then, and without it plain"
    )
    precision: Annotated[Precision, _MODEL] = Field(
        "auto", description="of OpenVINO; auto: bf16 where the CPU has it and it has not failed its parity gate, else f32"
    )
    threads: Annotated[int | None, _MODEL] = Field(
        None, ge=1, le=1024, description="threads of the engine; all cores when not set"
    )
    hint: Annotated[Hint, _MODEL] = Field(
        "auto",
        description="of OpenVINO; latency: each field is done as soon as possible; throughput: as many per second as possible; "
        "auto: throughput where stored images are worked off (count, score), else latency",
    )
    max_fields: Annotated[int | None, RUN] = Field(None, ge=1, description="end the run after this many fields")
    source_timeout_s: Seconds = Field(10.0, description="a run fails when its source gives nothing for so long")
    ack_timeout_s: Seconds = Field(10.0, description="wait so long for the controller to acknowledge run_stop")
    keep_frames: Annotated[UserPath | None, RUN] = Field(
        None, description="new directory in which every frame is recorded as it came"
    )
    keep_crops: Annotated[UserPath | None, RUN] = Field(
        None, description="new directory in which every counted cell is kept, cut out of its field"
    )
    keep_frames_mb: float = Field(
        10_000.0, gt=0, description="a recording, and the cells kept, each end at so many megabytes; the run goes on"
    )
    trigger_window: Annotated[int, RUN] = Field(16, ge=1, le=256, description="announced triggers that may be open at a time")
    trigger_timeout_s: Annotated[Seconds, RUN] = Field(
        2.0, description="the next trigger due ends as `timeout` after so long without a frame"
    )
    pause_after_records: int = Field(
        10_000, ge=1, description="the scanner is asked to pause while more records are unacknowledged"
    )
    ping_every_s: float = Field(1.0, gt=0, le=60, description="sign of life to every client at this interval")
    silent_after_s: float = Field(5.0, gt=0, le=600, description="a client not heard for so long has lost its session")
    journal: Annotated[UserPath, RUN] = Field(
        DEFAULT_JOURNAL, description="file in which records outlive this process; `memory`: they do not"
    )
    journal_durability: Annotated[Durability, RUN] = Field(
        "full", description="full syncs every commit to the disk before it is sent; normal does not"
    )
    journal_keep_days: float = Field(30.0, ge=0, description="acknowledged runs stay in the journal so long")
    journal_keep_mb: float = Field(1000.0, ge=0, description="above so many megabytes the oldest acknowledged runs go earlier")
    journal_keep_unreported: bool = Field(
        False, description="a run stays in the journal until `leuko-edge report` or `export` has made a file of it"
    )
    journal_held_s: Seconds = Field(
        60.0, description="records wait so long while another program holds the journal's file; then the run ends"
    )
    keep_acknowledged: int = Field(1000, ge=0, description="acknowledged records kept in memory for a controller that resumes")
    slide_id: Annotated[str | None, _CELLS] = Field(
        None, min_length=1, max_length=128, description="used when the controller names none"
    )
    sample_id: Annotated[str | None, _CELLS] = Field(
        None, min_length=1, max_length=128, description="used when the controller names none"
    )
    watchdog_s: float = Field(
        60.0, ge=1, le=86400, description="a service that is stuck for so long ends, to be started again by its supervisor"
    )
    log_level: Annotated[LogLevel, _LOG] = Field("info", description="what is told on standard error, and in the file")
    log_format: Annotated[LogFormat, _LOG] = Field("text", description="of standard error: text for people, or JSON lines")
    log_file: Annotated[UserPath | None, _LOG] = Field(
        None, description="write the log to this file, too, as JSON lines; older ones beside it are FILE.1, FILE.2, ..."
    )
    log_file_mb: float = Field(10.0, gt=0, description="a log file of so many megabytes is set aside and a new one begun")
    log_files: int = Field(5, ge=2, le=1000, description="log files that are kept, the newest included")
    order: Annotated[OrderSetting | None, _ORDER] = Field(None, description="used when RUN_START gives none")
    correct: Annotated[Correct, _CELLS] = Field(
        "profile", description="profile: light and colours as far as it has them; nothing: fields as the camera gives them"
    )
    thresholds: Annotated[Thresholds | None, Panel(_CELLS.heading, ("detect", "identify"))] = Field(
        None, description="the bundle's when not set"
    )

    def sha256(self) -> str:
        """Hex SHA-256 of the settings as canonical JSON (sorted keys, no spaces)."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


OriginKind = Literal["rollout", "option", "environment", "file", "profile", "bundle", "default"]
"""From the strongest to the weakest; a rollout names the bundle alone, in the place of the one that the others name."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from; `place` is the file, the directory or the variable."""

    kind: OriginKind
    place: str = ""

    def __str__(self) -> str:
        if self.kind == "option":
            return "the command line"
        return self.place if self.kind == "file" else f"the {self.kind} ({self.place})" if self.place else f"the {self.kind}"


PARTED: Mapping[str, type[BaseModel]] = {"order": OrderSetting, "thresholds": Thresholds}
"""Settings that hold values by name, which are merged name by name."""

NAMED = ("profiles",)
"""The same, where the user gives the names."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Resolved settings and what they rest on. `warnings` are sentences for the operator."""

    settings: EdgeSettings
    bundle: Bundle
    profile_sha256: str | None = None
    warnings: tuple[str, ...] = ()
    bundle_signer: str | None = None
    profile_signer: str | None = None
    profile_camera: CameraGeometry | None = None
    probability: tuple[Knot, ...] = ()
    """What the profile knows of this bundle's scores, see `BundleThresholds`."""
    colours: MeasuredColours | None = None
    """of the profile, where fields are moved to the bundle's colours"""
    light: MeasuredLight | None = None
    """of the profile, where it is evened out"""
    stage: MeasuredStage | None = None
    """of the profile: how the camera lies over the stage, and how exactly that goes where it is told"""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """where each setting comes from that is not the model's own default; parts as `thresholds.detect`"""
    latency: MeasuredLatency | None = None
    """of the profile: batch and deadline by engine; `edge.pipeline.latency_fit` says which are of this one"""
    focus: FocusRange | None = None
    """of the profile: how sharp this instrument's fields are"""
    profile_name: str | None = None
    """that of `profiles` by which a run has asked for these; None: no run need ask"""

    def for_stored_images(self) -> "Setup":
        """Where nobody waits for a single field: `hint` is throughput unless it was asked for."""
        if self.settings.hint != "auto":
            return self
        return replace(self, settings=self.settings.model_copy(update={"hint": "throughput"}))
