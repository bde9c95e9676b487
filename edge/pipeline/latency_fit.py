"""Whether what a profile says of batch and deadline was measured on the engine that a run will open."""

from dataclasses import dataclass, replace

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import load_engine_files
from edge.contracts.errors import LeukoError
from edge.contracts.latency import EngineIdentity, LatencySetting, MeasuredLatency
from edge.engine.base import EngineInfo
from edge.engine.choice import weigh_engines
from edge.engine.engine_places import engine_places
from edge.engine.machine import Machine, look_at_machine, usable_cores
from edge.engine.precision_gate import choose_precision
from edge.engine.quantised_gate import INT8
from edge.engine.survey import Wanted
from edge.settings import EdgeSettings, Setup
from edge.settings.edge_settings import Origin

_PAIR = ("max_batch", "max_delay_ms")


def identity_of(info: EngineInfo, bundle: Bundle, threads: int | None) -> EngineIdentity:
    """Of an open engine; `threads` as it was asked for."""
    return EngineIdentity(
        bundle_id=bundle.bundle_id,
        runtime=info.runtime,
        version=info.version,
        precision=info.precision,
        threads=None if info.key else threads or usable_cores(),
        processor=info.device,
        engine_key=info.key,
        hint="throughput" if info.hint == "throughput" else None,
    )


@dataclass(frozen=True, slots=True)
class Fit:
    """The setting that holds for this machine, or the sentence that says why none does."""

    setting: LatencySetting | None
    sentence: str


def latency_here(measured: MeasuredLatency, bundle: Bundle, settings: EdgeSettings) -> Fit:
    """What of `measured` is of the engine that these settings open here. Loads no engine."""
    machine = look_at_machine() if settings.engine != "openvino" and settings.precision == "auto" else None
    for key, setting in measured.engines.items():
        compiled = setting.engine.engine_key is not None
        if compiled and machine is not None and _opens(key, setting, bundle, settings, machine):
            return Fit(setting, _said(setting))
    if settings.engine in {"auto", "openvino"} and (machine is None or machine.gpu is None or settings.precision != "auto"):
        here = _openvino_here(bundle, settings)
        if (found := measured.engines.get(here.key)) is not None:
            return Fit(found, _said(found))
        return Fit(None, f"{_of(measured)} and this run opens {here}")
    return Fit(None, f"{_of(measured)} and this run opens another engine")


def with_latency(setup: Setup) -> Setup:
    """`setup` with the profile's batch and deadline where they are of this engine, else with a warning that says why not.

    Both belong together: where the command line or a file states one of them, the profile's are not used.
    """
    if setup.latency is None or setup.settings.server is not None:  # measured on an engine of this machine
        return setup
    stated = [name for name in _PAIR if name in setup.origins]
    if len(stated) == len(_PAIR):
        return setup
    if stated:
        (one,) = stated
        said = (
            f"`{one}` was given, so that batch and deadline of profile {setup.settings.profile} are not used: they belong "
            "together."
        )
        return replace(setup, warnings=(*setup.warnings, said))
    fit = latency_here(setup.latency, setup.bundle, setup.settings)
    if fit.setting is None:
        said = (
            f"batch and deadline of profile {setup.settings.profile} are not used: {fit.sentence}; measure them here with "
            "`leuko-calib latency`."
        )
        return replace(setup, warnings=(*setup.warnings, said))
    settings = setup.settings.model_copy(update={"max_batch": fit.setting.max_batch, "max_delay_ms": fit.setting.max_delay_ms})
    if fit.setting.has_expired():
        said = (
            f"batch and deadline of profile {settings.profile} should have been measured anew by {fit.setting.expires_at} and "
            "still stand; repeat `leuko-calib latency`."
        )
        setup = replace(setup, warnings=(*setup.warnings, said))
    here = dict.fromkeys(_PAIR, Origin("profile", str(settings.profile)))
    return replace(setup, settings=settings, origins={**setup.origins, **here})


def _opens(key: str, setting: LatencySetting, bundle: Bundle, settings: EdgeSettings, machine: Machine) -> bool:
    """Whether the engine called `key` is what a run with frames of its size would open."""
    for place in engine_places(bundle, settings.engine_dir):
        try:
            request = load_engine_files(place / key).manifest.request
        except (LeukoError, OSError):
            continue
        wanted = Wanted(request.frame_width_px, request.frame_height_px, setting.max_batch)
        choice = weigh_engines(
            bundle,
            machine,
            wanted,
            runtime=None if settings.engine in {"auto", "openvino"} else settings.engine,  # type: ignore[arg-type]
            engine_dir=settings.engine_dir,
            allow_ungated=settings.allow_ungated_engine,
        )
        if choice.files is not None and choice.files.manifest.key == key:
            return True
    return False


def _openvino_here(bundle: Bundle, settings: EdgeSettings) -> EngineIdentity:
    from edge.engine.openvino import look_at_cpu  # noqa: PLC0415 - OpenVINO is loaded where it is chosen

    version, processor, auto = look_at_cpu()
    if bundle.manifest.quantisation is None:
        auto = choose_precision(bundle, settings.precision, settings.engine_dir, allow_ungated=True).precision
    return EngineIdentity(
        bundle_id=bundle.bundle_id,
        runtime="OpenVINO",
        version=version,
        precision=INT8 if bundle.manifest.quantisation else auto,
        threads=settings.threads or usable_cores(),
        processor=processor,
        hint="throughput" if settings.hint == "throughput" else None,
    )


def _of(measured: MeasuredLatency) -> str:
    return "they were measured on " + "; on ".join(str(setting.engine) for setting in measured.engines.values())


def _said(setting: LatencySetting) -> str:
    return f"batch {setting.max_batch}, deadline {setting.max_delay_ms:g} ms"
