"""Options that several commands share; what they mean is said once, in `EdgeSettings`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.models import OptionInfo

from edge.contracts.base import Strict
from edge.contracts.bundle import Thresholds
from edge.contracts.choices import Durability
from edge.engine.base import EngineChoice, Precision
from edge.settings import EdgeSettings, Policy

LogLevel = Literal["debug", "info", "warning", "error"]


def _setting(name: str, panel: str, settings: type[Strict] = EdgeSettings) -> OptionInfo:
    """The option of a setting, with its description and default. What is not given is left to the file and the rest."""
    about = settings.model_fields[name]
    shown = "the shipped one" if name == "bundle" else about.default
    # Thresholds come from the bundle, so that no default here would be true.
    has_default = settings is EdgeSettings and not about.is_required() and shown is not None
    default = f" (default: {shown})" if has_default else ""
    option: OptionInfo = typer.Option(help=f"{about.description}{default}", rich_help_panel=panel)
    return option


ABOUT_UNGATED = EdgeSettings.model_fields["allow_ungated_engine"].description
_RUN, _MODEL, _RECORD = "The run", "Model and engine", "Cells and labels"

SourceOption = Annotated[str | None, _setting("source", _RUN)]
UmPerPxOption = Annotated[float | None, _setting("um_per_px", _RUN)]
ConfigOption = Annotated[Path | None, typer.Option(help="YAML file of the same settings", rich_help_panel=_RUN)]
ProfileOption = Annotated[Path | None, _setting("profile", _RUN)]
SignersOption = Annotated[Path | None, _setting("signers", _RUN)]
BindOption = Annotated[str | None, _setting("bind", _RUN)]
KeysOption = Annotated[Path | None, _setting("keys", _RUN)]
TelemetryOption = Annotated[str | None, _setting("telemetry", _RUN)]
MetricsOption = Annotated[str | None, _setting("metrics", _RUN)]
PolicyOption = Annotated[Policy | None, _setting("policy", _RUN)]
MaxFieldsOption = Annotated[int | None, _setting("max_fields", _RUN)]
BundleOption = Annotated[Path | None, _setting("bundle", _MODEL)]
EngineOption = Annotated[EngineChoice | None, _setting("engine", _MODEL)]
EngineDirOption = Annotated[Path | None, _setting("engine_dir", _MODEL)]
UngatedOption = Annotated[bool | None, typer.Option("--allow-ungated-engine", help=ABOUT_UNGATED, rich_help_panel=_MODEL)]
PrecisionOption = Annotated[Precision | None, _setting("precision", _MODEL)]
ThreadsOption = Annotated[int | None, _setting("threads", _MODEL)]
MaxBatchOption = Annotated[int | None, _setting("max_batch", _MODEL)]
MaxDelayOption = Annotated[float | None, _setting("max_delay_ms", _MODEL)]
QueueOption = Annotated[int | None, _setting("queue_fields", _MODEL)]
DetectOption = Annotated[float | None, _setting("detect", _RECORD, Thresholds)]
IdentifyOption = Annotated[float | None, _setting("identify", _RECORD, Thresholds)]
KeepFramesOption = Annotated[Path | None, _setting("keep_frames", _RUN)]
KeepCropsOption = Annotated[Path | None, _setting("keep_crops", _RUN)]
TriggerWindowOption = Annotated[int | None, _setting("trigger_window", _RUN)]
TriggerTimeoutOption = Annotated[float | None, _setting("trigger_timeout_s", _RUN)]
JournalOption = Annotated[Path | None, _setting("journal", _RUN)]
DurabilityOption = Annotated[Durability | None, _setting("journal_durability", _RUN)]
SlideOption = Annotated[str | None, _setting("slide_id", _RECORD)]
SampleOption = Annotated[str | None, _setting("sample_id", _RECORD)]
LogLevelOption = Annotated[LogLevel, typer.Option(help="what is told on standard error")]
LogFileOption = Annotated[Path | None, typer.Option(help="write the log to this file, too")]
