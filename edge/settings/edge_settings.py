"""The edge's settings and where each comes from: command line > file > profile > bundle > default."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from edge.contracts.base import Strict, explain
from edge.contracts.bundle import MANIFEST, Bundle, Thresholds, load_bundle
from edge.contracts.choices import Durability
from edge.contracts.errors import ConfigError
from edge.contracts.profile import Profile, load_profile
from edge.engine.base import EngineChoice, Precision
from edge.signing import signers_in

DEFAULT_JOURNAL = Path("~/.local/state/leukostream/journal.sqlite")
IN_MEMORY = Path("memory")
SHIPPED_BUNDLE = Path(__file__).parents[1] / "bundles" / "yolov3-tiny-416"

Policy = Literal["lossless", "latest"]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class EdgeSettings(Strict):
    """Everything one edge process can be told. Paths are relative to the working directory."""

    source: str = Field(
        min_length=1,
        description="folder:PATH, video:PATH, opencv:0, aravis:ADDRESS, pylon:SERIAL, genicam:FILE.cti, recording:DIR or "
        "virtual:seed=42",
    )
    um_per_px: float | None = Field(None, gt=0, le=10, description="physical size of the source's pixels")
    bundle: Path = Field(SHIPPED_BUNDLE, description="directory with the model")
    profile: Path | None = Field(None, description="calibration of this instrument")
    signers: Path | None = Field(
        None, description="directory of public keys (*.pub); only what one of them signed is loaded: bundle, profile, engine"
    )
    bind: str = Field("tcp://127.0.0.1:5570", min_length=1, description="where the controller connects")
    keys: Path | None = Field(None, description="directory of this edge's keys (CURVE); without, only this machine can connect")
    telemetry: str | None = Field(
        None, min_length=1, description="where dashboards subscribe, such as tcp://127.0.0.1:5571; off if not set"
    )
    telemetry_hz: float = Field(10.0, ge=1, le=100, description="live counts are published at most so often per second")
    metrics: str | None = Field(
        None, min_length=1, description="where Prometheus reads metrics, such as 127.0.0.1:9570; off if not set"
    )
    policy: Policy = Field("lossless", description="lossless: the source waits; latest: the oldest waiting field is dropped")
    max_batch: int = Field(1, ge=1, le=256, description="frames of one inference")
    max_delay_ms: float = Field(5.0, ge=0, le=60000, description="a field waits no longer than this for its batch to fill")
    queue_fields: int = Field(4, ge=1, le=1024, description="fields that may wait for the engine")
    engine: EngineChoice = Field("auto", description="auto: one built for this machine's GPU, else OpenVINO on the CPU")
    engine_dir: Path | None = Field(
        None, description="directory of the bundle's compiled engines; beside the bundle if not set"
    )
    allow_ungated_engine: bool = Field(False, description="start an engine without a passed parity gate; never diagnostic")
    precision: Precision = Field("auto", description="of OpenVINO; auto: bf16 where the CPU has it, else f32")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the engine; all cores when not set")
    max_fields: int | None = Field(None, ge=1, description="end the run after this many fields")
    source_timeout_s: Seconds = Field(10.0, description="a run fails when its source gives nothing for so long")
    ack_timeout_s: Seconds = Field(10.0, description="wait so long for the controller to acknowledge run_stop")
    keep_frames: Path | None = Field(None, description="new directory in which every frame is recorded as it came")
    keep_crops: Path | None = Field(None, description="new directory in which every counted cell is kept, cut out of its field")
    keep_frames_mb: float = Field(
        10_000.0, gt=0, description="a recording, and the cells kept, each end at so many megabytes; the run goes on"
    )
    trigger_window: int = Field(16, ge=1, le=256, description="announced triggers that may be open at a time")
    trigger_timeout_s: Seconds = Field(2.0, description="the next trigger due ends as `timeout` after so long without a frame")
    pause_after_records: int = Field(
        10_000, ge=1, description="the scanner is asked to pause while more records are unacknowledged"
    )
    ping_every_s: float = Field(1.0, gt=0, le=60, description="sign of life to every client at this interval")
    silent_after_s: float = Field(5.0, gt=0, le=600, description="a client not heard for so long has lost its session")
    journal: Path = Field(DEFAULT_JOURNAL, description="file in which records outlive this process; `memory`: they do not")
    journal_durability: Durability = Field(
        "full", description="full syncs every commit to the disk before it is sent; normal does not"
    )
    journal_keep_days: float = Field(30.0, ge=0, description="acknowledged runs stay in the journal so long")
    journal_keep_mb: float = Field(1000.0, ge=0, description="above so many megabytes the oldest acknowledged runs go earlier")
    keep_acknowledged: int = Field(1000, ge=0, description="acknowledged records kept in memory for a controller that resumes")
    slide_id: str | None = Field(None, description="used when the controller names none")
    sample_id: str | None = Field(None, description="used when the controller names none")
    thresholds: Thresholds | None = Field(None, description="the bundle's when not set")

    def sha256(self) -> str:
        """Hex SHA-256 of the settings as canonical JSON (sorted keys, no spaces)."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Setup:
    """Resolved settings and what they rest on. `warnings` are sentences for the operator."""

    settings: EdgeSettings
    bundle: Bundle
    profile_sha256: str | None = None
    warnings: tuple[str, ...] = ()
    bundle_signer: str | None = None
    profile_signer: str | None = None


def resolve(command_line: Mapping[str, Any], file: Path | None = None) -> Setup:
    """Merge the layers and check them, and who signed them where that is asked for.

    Raises `ConfigError`, `ProfileError` or `BundleError`.
    """
    given = _merged(_read(file) if file else {}, _known(dict(command_line), "the command line"))
    chosen_bundle, chosen_profile = given.get("bundle", SHIPPED_BUNDLE), given.get("profile")
    folder = given.get("signers")
    for key, value in (("bundle", chosen_bundle), ("profile", chosen_profile), ("signers", folder)):
        if not isinstance(value, str | Path | None):
            raise ConfigError(f"`{key}` must be a path, not {value!r}; write it in quotes.")
    signers = signers_in(None if folder is None else Path(folder))
    bundle, bundle_signer, profile_signer = load_bundle(chosen_bundle), None, None
    if signers is not None:
        bundle_signer = signers.require("bundle", bundle.path / MANIFEST, bundle.bundle_id)
    base: dict[str, Any] = {"thresholds": bundle.manifest.thresholds.model_dump()}
    profile_sha256, warnings = None, list[str]()
    if chosen_profile is not None:
        profile, profile_sha256 = load_profile(chosen_profile)
        if signers is not None:
            profile_signer = signers.require("profile", Path(chosen_profile), profile_sha256)
        layer, warnings = _from_profile(profile, bundle, chosen_profile)
        base = _merged(base, layer)
    if "source" not in given:
        raise ConfigError("no source is set; give --source, for example --source folder:PATH or --source virtual:seed=42.")
    try:
        settings = EdgeSettings.model_validate(_merged(base, given))
    except ValidationError as problem:
        where = f"{file} or the command line" if file else "the command line"
        raise ConfigError(
            f"a setting from {where} cannot be used: {explain(problem)}; see `leuko-edge run --help`."
        ) from problem
    return Setup(settings, bundle, profile_sha256, tuple(warnings), bundle_signer, profile_signer)


def _from_profile(profile: Profile, bundle: Bundle, path: Path | str) -> tuple[dict[str, Any], list[str]]:
    layer: dict[str, Any] = {"um_per_px": profile.pixel_size.um_per_px}
    if profile.thresholds is None:
        return layer, []
    if profile.thresholds.bundle_id != bundle.bundle_id:
        return layer, [f"the thresholds of profile {path} were found for another bundle; those of {bundle.path} are used."]
    layer["thresholds"] = profile.thresholds.thresholds.model_dump()
    return layer, []


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"configuration {file} cannot be read ({problem}); check the path given to --config.") from problem
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"configuration {file} is not valid YAML{line}; correct it.") from problem
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"configuration {file} must hold `setting: value` lines, not a {type(content).__name__}.")
    return _known(content, f"configuration {file}")


def _known(layer: dict[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(layer, EdgeSettings.model_fields, where)
    thresholds = layer.get("thresholds")
    if isinstance(thresholds, dict):
        _refuse_unknown(thresholds, Thresholds.model_fields, f"`thresholds` of {where}")
    return layer


def _refuse_unknown(keys: Iterable[Any], known: Iterable[str], where: str) -> None:
    names = sorted(known)
    for key in keys:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.0)[0]
            raise ConfigError(f"`{key}` in {where} is not a known setting; did you mean `{near}`?")


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """`high` over `low`; the thresholds are merged key by key."""
    both = {**low, **high}
    if isinstance(low.get("thresholds"), Mapping) and isinstance(high.get("thresholds"), Mapping):
        both["thresholds"] = {**low["thresholds"], **high["thresholds"]}
    return both
