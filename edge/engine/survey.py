"""Which engines of a bundle this machine can run, and for the others one sentence why not and the command that helps.

Every command that lists engines says the same of them: rows for people, plain values for scripts.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import (
    ENGINE_MANIFEST,
    PARITY,
    RUNTIME_NAMES,
    BuildRequest,
    EngineFiles,
    Gate,
    GpuRuntime,
    engine_folders,
    load_engine_files,
)
from edge.contracts.errors import ConfigError, EngineError
from edge.engine.engine_places import engine_places
from edge.engine.machine import Machine
from edge.engine.trt.runtime import release_of
from edge.signing import Signers

GATES: dict[Gate, str] = {
    "passed": "passed",
    "failed": "FAILED",
    "undecided": "not decided: too few cells were compared",
    "drawn": "not yet: on drawn fields only",
    "elsewhere": "not yet: on another GPU only",
    "none": "not yet",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Frames that an engine must take."""

    frame_width_px: int
    frame_height_px: int
    max_batch: int


def parse_frame_size(text: str) -> tuple[int, int]:
    """Width and height in px of what --frame was given. Raises `ConfigError`."""
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if not found or not all(32 <= int(side) <= 16384 for side in found.groups()):
        raise ConfigError(f"--frame {text} is no size; write width x height in px, each 32 to 16384, for example 732x574.")
    return int(found[1]), int(found[2])


@dataclass(frozen=True, slots=True)
class Verdict:
    """One engine of a bundle. `reason` is empty when it can be run here; `remedy` is a command, or what to do.

    `gate` is that of this machine's GPU, where it has one.
    """

    folder: Path
    files: EngineFiles | None
    reason: str = ""
    remedy: str = ""
    gate: Gate = "none"

    @property
    def fits(self) -> bool:
        return not self.reason


def survey(
    bundle: Bundle,
    machine: Machine,
    wanted: Wanted | None = None,
    engine_dir: Path | None = None,
    signers: Signers | None = None,
) -> list[Verdict]:
    """Every engine that was built from this bundle, the best first; those that cannot be read are in it, too.

    With `signers` an engine that none of them signed does not fit.
    """
    found = [folder for place in engine_places(bundle, engine_dir) for folder in engine_folders(place)]
    verdicts = [_verdict(path, bundle, machine, wanted, engine_dir, signers) for path in found]
    return sorted((verdict for verdict in verdicts if verdict is not None), key=_rank)


def _rank(verdict: Verdict) -> tuple[bool, bool, int, str]:
    if verdict.files is None:
        return (True, True, 0, verdict.folder.name)
    request = verdict.files.manifest.request
    return (not verdict.fits, verdict.gate != "passed", request.max_batch, verdict.folder.name)


def _verdict(
    folder: Path,
    bundle: Bundle,
    machine: Machine,
    wanted: Wanted | None,
    engine_dir: Path | None,
    signers: Signers | None,
) -> Verdict | None:
    try:
        files = load_engine_files(folder)
    except EngineError as problem:
        return Verdict(folder, None, str(problem), f"delete {folder} and build it again")
    if files.manifest.request.bundle_id != bundle.bundle_id:
        return None
    reason, remedy = why_not(files.manifest.request, bundle, machine, wanted, engine_dir)
    if not reason and signers is not None:
        reason, remedy = _unsigned(files, signers)
    gate = files.gate_on(machine.gpu.identity) if machine.gpu else files.gate
    if not reason and gate == "failed":
        remedy = f"read {folder / PARITY}, then build with another version of {RUNTIME_NAMES[files.manifest.request.runtime]}"
    elif not reason and gate != "passed":
        remedy = verify_command(bundle, engine_dir)
    return Verdict(folder, files, reason, remedy, gate)


def why_not(
    request: BuildRequest, bundle: Bundle, machine: Machine, wanted: Wanted | None, engine_dir: Path | None
) -> tuple[str, str]:
    """Reason and remedy; both empty when the engine can be run here."""
    size = wanted or Wanted(request.frame_width_px, request.frame_height_px, request.max_batch)
    build = build_command(bundle, request.runtime, size, engine_dir)
    missing = _missing(request, machine)
    if missing is not None:
        return missing
    reason = _other_machine(request, machine) or _other_frames(request, size)
    return (reason, build) if reason else ("", "")


def _unsigned(files: EngineFiles, signers: Signers) -> tuple[str, str]:
    """The plan is machine code, and the report decides whether it may be used: both must be somebody's whom the edge trusts."""
    engine = signers.judge("engine", files.path / ENGINE_MANIFEST, files.manifest_sha256)
    if not engine.signer:
        return f"it is not signed as --signers asks: {engine.reason}.", engine.remedy
    if files.parity_sha256 is not None:
        report = signers.judge("parity", files.path / PARITY, files.parity_sha256)
        if not report.signer:
            return f"its parity report is not signed as --signers asks: {report.reason}.", report.remedy
    return "", ""


def _missing(request: BuildRequest, machine: Machine) -> tuple[str, str] | None:
    name, here = RUNTIME_NAMES[request.runtime], machine.runtimes[request.runtime]
    if machine.gpu is None:
        return machine.missing_gpu, "leuko-edge run --engine openvino"
    if here.missing:
        return f"{name} cannot be used: {here.missing}", f"install {name} {request.runtime_version} as docs/install-gpu.md says"
    if machine.pycuda.missing:
        return machine.pycuda.missing, "install PyCUDA as docs/install-gpu.md says"
    return None


def _other_machine(request: BuildRequest, machine: Machine) -> str:
    name, here = RUNTIME_NAMES[request.runtime], machine.runtimes[request.runtime].version
    if release_of(here) != release_of(request.runtime_version):
        return f"it was built by {name} {request.runtime_version} and {here} is installed here."
    if machine.gpu is None or request.gpu == machine.gpu.identity:
        return ""
    gpu, built = machine.gpu.identity, request.gpu
    if built is not None:
        was, is_ = (f"{each.name} ({each.target}, {each.sm_count} SMs)" for each in (built, gpu))
        return f"it was built for {was} and this is {is_}."
    if gpu.target not in request.targets:
        return f"it was built for {', '.join(request.targets)} and this GPU is {gpu.target}."
    return ""


def _other_frames(request: BuildRequest, size: Wanted) -> str:
    if (request.frame_width_px, request.frame_height_px) != (size.frame_width_px, size.frame_height_px):
        have, need = f"{request.frame_width_px} x {request.frame_height_px}", f"{size.frame_width_px} x {size.frame_height_px}"
        return f"it takes frames of {have} px and {need} px are needed."
    if request.max_batch < size.max_batch:
        return f"it takes batches up to {request.max_batch} and {size.max_batch} is needed."
    return ""


def build_command(bundle: Bundle, runtime: GpuRuntime, wanted: Wanted, engine_dir: Path | None = None) -> str:
    """The command that builds what is wanted on this machine."""
    size = f"--frame {wanted.frame_width_px}x{wanted.frame_height_px} --max-batch {wanted.max_batch}"
    return f"leuko-build engine {quote(str(bundle.path))} --runtime {runtime} {size}{_where(engine_dir)}"


def verify_command(
    bundle: Bundle,
    engine_dir: Path | None = None,
    profile: Path | None = None,
    server: str | None = None,
    precision: str | None = None,
) -> str:
    """The command that runs the parity gate on this machine; with a `profile` on fields as it corrects them, with a `precision`
    that of OpenVINO in it."""
    scale = "--um-per-px SCALE" if profile is None else f"--profile {quote(str(profile))}"
    served = f" --server {quote(server)}" if server is not None else ""
    served += f" --precision {precision}" if precision is not None else ""
    return f"leuko-build verify {quote(str(bundle.path))} --images DIR {scale}{served}{_where(engine_dir)}"


def _where(engine_dir: Path | None) -> str:
    return f" --engine-dir {quote(str(engine_dir))}" if engine_dir is not None else ""


def built_for(request: BuildRequest) -> str:
    """GPU or generations, frame and batches."""
    gpu = f"{request.gpu.name} ({request.gpu.target}, {request.gpu.sm_count} SMs)" if request.gpu else ""
    frame = f"frames of {request.frame_width_px} x {request.frame_height_px} px in batches up to {request.max_batch}"
    return f"{', '.join(request.targets) or gpu}; {frame}; {RUNTIME_NAMES[request.runtime]} {request.runtime_version}"


def verdict_rows(verdict: Verdict, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """Lines about one engine, each with its name; `more` of them follow on what it was built for."""
    rows = [("engine", verdict.folder.name)]
    if verdict.files is not None:
        rows.append(("  for", built_for(verdict.files.manifest.request)))
        rows.extend(more)
        rows.append(("  gate", GATES[verdict.gate]))
    rows.append(("  here", "fits" if verdict.fits else f"no: {verdict.reason}"))
    if verdict.remedy:
        rows.append(("  next", verdict.remedy))
    return rows


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """`manifest` and `gate` are null when the engine cannot be read."""
    return {
        "key": verdict.folder.name,
        "directory": str(verdict.folder),
        "fits": verdict.fits,
        "reason": verdict.reason,
        "remedy": verdict.remedy,
        "gate": verdict.gate if verdict.files else None,
        "manifest": verdict.files.manifest.model_dump(mode="json") if verdict.files else None,
    }
