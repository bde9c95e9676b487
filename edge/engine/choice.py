"""Opens the engine that a machine runs: the compiled one where a GPU has one that fits, else OpenVINO; never in silence."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from edge.contracts.bundle import Bundle
from edge.contracts.choices import EngineChoice, Hint, Precision
from edge.contracts.engine_files import RUNTIME_NAMES, EngineFiles, Gate, GpuRuntime
from edge.contracts.errors import ConfigError, EngineError
from edge.engine.base import Engine, EngineInfo, Parity
from edge.engine.gpu.cuda import CudaDevice
from edge.engine.gpu.nvidia_driver import find_gpu
from edge.engine.machine import Machine, look_at_machine
from edge.engine.pipelined import PipelinedEngine
from edge.engine.precision_gate import ChosenPrecision, choose_precision
from edge.engine.quantised_gate import parity_of
from edge.engine.survey import Verdict, Wanted, build_command, survey, verify_command
from edge.engine.trt.network import TrtNetwork
from edge.signing import Signers

SLOTS = 3
"""One is copied in while one is computed and one is copied out."""

UNGATED: dict[Gate, str] = {
    "none": "has not passed its parity gate",
    "failed": "has failed its parity gate",
    "undecided": "has been compared on too few cells to pass its parity gate",
    "drawn": "has passed its parity gate on drawn fields only",
    "elsewhere": "has passed its parity gate on another GPU only",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run would open: a compiled engine, or OpenVINO when `files` is None; `refused` says that it would open nothing.

    `reason` says why no compiled engine is opened; it is empty when one is, and where nobody could expect one.
    """

    files: EngineFiles | None = None
    reason: str = ""
    refused: bool = False


def open_engine(
    bundle: Bundle,
    frame_width_px: int,
    frame_height_px: int,
    *,
    max_batch: int = 1,
    slots: int | None = None,
    engine: EngineChoice = "auto",
    engine_dir: Path | None = None,
    allow_ungated: bool = False,
    precision: Precision = "auto",
    threads: int | None = None,
    hint: Hint = "auto",
    signers: Signers | None = None,
) -> Engine:
    """Open this machine's engine for frames of one size; warm when it returns.

    "auto" is an engine that was built for this machine's GPU when there is one, else OpenVINO on the CPU, which an int8 bundle
    always is. `precision`, `threads` and `hint` (auto: latency) are OpenVINO's, so that asking for a precision asks for
    OpenVINO; a GPU has its slots in flight anyway. `engine_dir` holds the bundle's engines; when
    None they are where `engine_places` says. Three slots on a GPU, on the CPU one more than compute side by side, unless given.
    With `signers` a compiled engine that none of them signed is one that does not fit; the bundle is the caller's to check.

    Raises `EngineError` when graph or engine do not load, do not fit bundle or machine, or a parity gate was not passed, and
    `ConfigError` when a compiled engine is asked for another precision than its own.
    """
    require_possible(bundle, engine, precision)
    if engine != "openvino" and precision == "auto" and bundle.manifest.quantisation is None:
        files = choose_engine(
            bundle,
            look_at_machine(),
            Wanted(frame_width_px, frame_height_px, max_batch),
            runtime=None if engine == "auto" else engine,
            engine_dir=engine_dir,
            allow_ungated=allow_ungated,
            signers=signers,
        )
        if files is not None:
            return open_gpu_engine(files, max_batch, slots or SLOTS)
    if bundle.manifest.quantisation is None:
        chosen = choose_precision(bundle, precision, engine_dir, allow_ungated=allow_ungated, signers=signers)
        if chosen.said:
            _log.log(logging.WARNING if chosen.gate == "failed" else logging.INFO, "%s", chosen.said)
    else:
        parity, gate_saw = parity_of(bundle, engine_dir, allow_ungated=allow_ungated, signers=signers)
        chosen = ChosenPrecision(precision, None, parity, gate_saw)
    from edge.engine.openvino import OpenVinoEngine  # noqa: PLC0415 - OpenVINO is loaded where it is chosen

    return OpenVinoEngine(
        bundle,
        frame_width_px,
        frame_height_px,
        max_batch=max_batch,
        slots=slots,
        precision=chosen.precision,
        threads=threads,
        hint="latency" if hint == "auto" else hint,
        parity=chosen.parity,
        precision_gate=chosen.gate,
        gate_saw=chosen.saw,
    )


def require_possible(bundle: Bundle, engine: EngineChoice, precision: Precision) -> None:
    """Whether such an engine can be asked for at all. Raises `ConfigError` and `EngineError`."""
    if engine in {"tensorrt", "tensorrt_rtx"} and precision != "auto":
        raise ConfigError(
            f"precision {precision} is OpenVINO's; an engine built by {engine} computes in f16: leave it at auto."
        )
    quantised = bundle.manifest.quantisation
    if quantised is not None and engine in {"tensorrt", "tensorrt_rtx"}:
        raise EngineError(
            f"bundle {bundle.path} is an int8 one for CPUs, which no GPU engine is built from; give its parent, bundle "
            f"{quantised.parent_bundle_id[:12]}, or leave --engine at auto."
        )


def weigh_engines(
    bundle: Bundle,
    machine: Machine,
    wanted: Wanted,
    *,
    runtime: GpuRuntime | None = None,
    engine_dir: Path | None = None,
    allow_ungated: bool = False,
    signers: Signers | None = None,
) -> Choice:
    """The bundle's best engine for this machine, of one runtime or of any.

    Without a runtime it is OpenVINO where there is no GPU, or no engine that fits. Refused is a runtime of which no engine
    fits, and an engine that fits but has not passed its parity gate, unless `allow_ungated` is given. With `signers` an
    engine fits only when one of them signed it.
    """
    verdicts = survey(bundle, machine, wanted, engine_dir, signers)
    if runtime is None and machine.gpu is None:
        # Where engines lie, or a driver refuses, a GPU is missed.
        return Choice(reason=machine.missing_gpu if verdicts or machine.gpu_fails else "")
    if runtime is not None:
        verdicts = [each for each in verdicts if each.files is None or each.files.manifest.request.runtime == runtime]
    best = verdicts[0] if verdicts else None
    if best is None or best.files is None or not best.fits:
        return Choice(reason=_no_engine(bundle, machine, wanted, runtime, best, engine_dir), refused=runtime is not None)
    if best.gate != "passed" and not allow_ungated:
        first = best.remedy if best.gate == "failed" else f"run `{verify_command(bundle, engine_dir)}` on this machine"
        reason = (
            f"engine {best.folder.name} {UNGATED[best.gate]}; {first}, or start with --allow-ungated-engine, which the run "
            "records and which makes it non-diagnostic."
        )
        return Choice(reason=reason, refused=True)
    return Choice(best.files)


def choose_engine(
    bundle: Bundle,
    machine: Machine,
    wanted: Wanted,
    *,
    runtime: GpuRuntime | None = None,
    engine_dir: Path | None = None,
    allow_ungated: bool = False,
    signers: Signers | None = None,
) -> EngineFiles | None:
    """What `weigh_engines` found; None is OpenVINO, which is a warning in the log where a GPU has no engine that fits.

    Raises `EngineError` when nothing may be opened.
    """
    choice = weigh_engines(
        bundle, machine, wanted, runtime=runtime, engine_dir=engine_dir, allow_ungated=allow_ungated, signers=signers
    )
    if choice.refused:
        raise EngineError(choice.reason)
    if choice.reason:
        _log.warning("%s Meanwhile OpenVINO computes on the CPU.", choice.reason)
    return choice.files


def open_gpu_engine(files: EngineFiles, max_batch: int | None = None, slots: int = SLOTS) -> PipelinedEngine:
    """Load an engine on this machine's GPU for batches up to `max_batch` (its own largest when None); warm when it returns.

    It must fit (`survey`); whether its gate was passed is the caller's to decide, and is noted. Raises `EngineError`.
    """
    gate = files.gate_on(find_gpu().identity)
    parity: Parity = gate if gate in {"passed", "failed"} else "waived"
    device = CudaDevice()
    try:
        network = TrtNetwork(files)
    except BaseException:
        device.close()
        raise
    info = replace(info_of(files, network.version, device.name, parity), slots=slots)
    return PipelinedEngine(device, network, info if max_batch is None else replace(info, max_batch=max_batch))


def info_of(files: EngineFiles, version: str, device: str, parity: Parity) -> EngineInfo:
    """What runs when this engine is loaded by a runtime of `version` on `device`."""
    request = files.manifest.request
    return EngineInfo(
        runtime=RUNTIME_NAMES[request.runtime],
        version=version,
        device=device,
        precision="f16",
        frame_width_px=request.frame_width_px,
        frame_height_px=request.frame_height_px,
        max_batch=request.max_batch,
        slots=SLOTS,
        top_k=files.manifest.top_k,
        key=files.manifest.key,
        plan_sha256=files.manifest.plan_sha256,
        parity=parity,
        gate_saw=files.parity.saw if parity == "passed" and files.parity is not None else None,
    )


def _no_engine(
    bundle: Bundle,
    machine: Machine,
    wanted: Wanted,
    runtime: GpuRuntime | None,
    best: Verdict | None,
    engine_dir: Path | None,
) -> str:
    name = RUNTIME_NAMES[runtime] if runtime else "TensorRT"
    if best is not None:
        return f"engine {best.folder.name} of bundle {bundle.path} cannot be used: {best.reason} Remedy: {best.remedy}."
    if machine.gpu is None:
        return machine.missing_gpu
    usable = [each for each in get_args(GpuRuntime) if machine.runtimes[each].version]
    chosen: GpuRuntime = runtime or (usable[0] if usable else "tensorrt")
    return (
        f"bundle {bundle.path} has no {name} engine for this machine's {machine.gpu.identity.name}; build one with "
        f"`{build_command(bundle, chosen, wanted, engine_dir)}`."
    )
