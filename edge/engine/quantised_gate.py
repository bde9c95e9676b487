"""The parity gate of an int8 bundle: what it counts on this CPU against its parent's FP32 graph.

How int8 comes out depends on the graph, on OpenVINO's version and on the processor, whose kernels differ. So the report lies
where the bundle's engines do, in a folder named by the bundle, and holds for the executor that it names and no other. One on
bf16 (`precision_gate`) lies and holds likewise.
"""

from hashlib import sha256
from pathlib import Path

from edge.contracts.base import parse_json
from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.engine_files import PARITY, Gate, GateSight, ParityReport, gate_of
from edge.contracts.errors import EngineError
from edge.contracts.whole_file import SMALL_BYTES, read_whole, write_whole
from edge.engine.base import Parity
from edge.engine.engine_places import engine_places, place_to_build
from edge.engine.survey import verify_command
from edge.signing import Signers

INT8 = "int8"
"""What `EngineInfo.precision` and every run's provenance call it."""

_UNGATED: dict[Gate, str] = {
    "none": "has not passed its parity gate",
    "failed": "has failed its parity gate: it does not count as its parent does",
    "undecided": "has been compared on too few cells to pass its parity gate",
    "drawn": "has passed its parity gate on drawn fields only",
    "elsewhere": "has passed its parity gate on another processor or version of OpenVINO only",
}


def executor_here() -> str:
    """As `EngineInfo` says it of an int8 bundle opened here. Raises RuntimeError when OpenVINO has no CPU."""
    from edge.engine.openvino import look_at_cpu  # noqa: PLC0415 - OpenVINO is loaded where it is chosen

    version, device, _ = look_at_cpu()
    return f"OpenVINO {version} on {device}, {INT8}"


def report_name(bundle: Bundle, precision: str = INT8) -> str:
    """The folder of its report, among the engines."""
    return f"{precision}-{bundle.bundle_id[:12]}"


def gate_here(
    bundle: Bundle, executor: str, engine_dir: Path | None, signers: Signers | None = None, precision: str = INT8
) -> tuple[Gate, GateSight | None]:
    """What the report beside the bundle says of it on `executor`, and how the fields were corrected that it is about. Raises
    `EngineError` for a report that cannot be read and, with `signers`, for one that none of them signed."""
    for place in engine_places(bundle, engine_dir):
        file = place / report_name(bundle, precision) / PARITY
        if not file.exists():
            continue
        try:
            content = read_whole(file, SMALL_BYTES)
        except OSError as problem:
            raise EngineError(
                f"the parity report {file} cannot be read ({problem.strerror}); verify the bundle anew."
            ) from problem
        report = parse_json(ParityReport, content, file, EngineError)
        if signers is not None:
            signers.require("parity", file, sha256(content).hexdigest())
        gate = gate_of(report, bundle.manifest.files[MODEL], bundle.bundle_id)
        same = report.engine is not None and report.engine.executor == executor
        return "elsewhere" if gate == "passed" and not same else gate, report.saw
    return "none", None


def keep_report(bundle: Bundle, engine_dir: Path | None, report: ParityReport, precision: str = INT8) -> Path:
    """Write the report; an older one stays until it is whole. Returns its folder. Raises `EngineError`."""
    folder = place_to_build(bundle, engine_dir) / report_name(bundle, precision)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / PARITY, report.model_dump_json(indent=1) + "\n")
    except OSError as problem:
        raise EngineError(
            f"the parity report {folder / PARITY} cannot be written ({problem.strerror}); make room there, or give another "
            "--engine-dir."
        ) from problem
    return folder


def parity_of(
    bundle: Bundle, engine_dir: Path | None, *, allow_ungated: bool = False, signers: Signers | None = None
) -> tuple[Parity, GateSight | None]:
    """Of a bundle that OpenVINO will open: "not_needed" where the graph is the reference itself; and of a gate that was passed
    how its fields were corrected.

    Raises `EngineError` for an int8 bundle that has not passed its gate here, unless `allow_ungated`.
    """
    if bundle.manifest.quantisation is None:
        return "not_needed", None
    gate, saw = gate_here(bundle, executor_here(), engine_dir, signers)
    if gate == "passed":
        return "passed", saw
    if allow_ungated:
        return "failed" if gate == "failed" else "waived", None
    then = (
        f"run its parent, bundle {bundle.manifest.quantisation.parent_bundle_id[:12]}, or quantise that one anew"
        if gate == "failed"
        else f"run `{verify_command(bundle, engine_dir)}` on this machine"
    )
    raise EngineError(
        f"int8 bundle {bundle.path} {_UNGATED[gate]}; {then}, or start with --allow-ungated-engine, which the run records and "
        "which makes it non-diagnostic."
    )
