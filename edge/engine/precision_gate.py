"""Which precision OpenVINO computes a bundle in, and what the parity gate of bf16 says of that on this processor.

On a CPU that has bf16 OpenVINO is twice as fast in it, and what the model is hardly sure of may get another label than in FP32,
which is the reference. So `leuko-build verify --precision bf16` compares the two on a machine, its report lies where an int8
bundle's does, and everything that names the precision names its verdict. Without one bf16 is computed all the same, as OpenVINO
itself would, and that is said; where the verdict is that the two differ, `auto` takes FP32.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.contracts.bundle import Bundle
from edge.contracts.choices import Precision
from edge.contracts.engine_files import Gate, GateSight
from edge.contracts.errors import EngineError
from edge.engine.base import Parity
from edge.engine.quantised_gate import gate_here
from edge.engine.survey import verify_command
from edge.signing import Signers

BF16: Literal["bf16"] = "bf16"

_WITHOUT: dict[Gate, str] = {
    "none": "has not been compared with its FP32 on this processor",
    "undecided": "has been compared with its FP32 on too few cells to say",
    "drawn": "agrees with its FP32 on drawn fields, which show nothing about photographed ones",
    "elsewhere": "agrees with its FP32 on another processor or version of OpenVINO, which says nothing about this one",
}


@dataclass(frozen=True, slots=True)
class ChosenPrecision:
    """`precision` is what to compute in; `gate` is bf16's verdict here, None where nobody would compute in bf16.

    `said` is a sentence for the operator; empty where bf16 has passed or is not asked about.
    """

    precision: Precision
    gate: Gate | None = None
    parity: Parity = "not_needed"
    saw: GateSight | None = None
    said: str = ""


def choose_precision(
    bundle: Bundle,
    asked: Precision,
    engine_dir: Path | None = None,
    *,
    allow_ungated: bool = False,
    signers: Signers | None = None,
    profile: Path | None = None,
) -> ChosenPrecision:
    """What `asked` is for this bundle, which is no int8 one, on this CPU. `profile` is the one that a command has to name.

    Raises `EngineError` where bf16 is asked for by name although it has failed its gate here, unless `allow_ungated`.
    """
    from edge.engine.openvino import look_at_cpu  # noqa: PLC0415 - OpenVINO is loaded where it is chosen

    version, device, native = look_at_cpu()
    if (native if asked == "auto" else asked) != BF16:
        return ChosenPrecision("f32")
    try:
        gate, saw = gate_here(bundle, f"OpenVINO {version} on {device}, {BF16}", engine_dir, signers, BF16)
        problem = ""
    except EngineError as unusable:  # bf16 needs no verdict; one that cannot be read, or that nobody signed, is none
        gate, saw, problem = "none", None, f" ({unusable})"
    if gate == "passed":
        return ChosenPrecision(BF16, gate, "passed", saw)
    verify = verify_command(bundle, engine_dir, profile, precision=BF16)
    about = f"bundle {bundle.path} in {BF16}"
    if gate != "failed":
        said = f"{about} {_WITHOUT[gate]}{problem}: cells that it is hardly sure of may get another label; run `{verify}`"
        return ChosenPrecision(BF16, gate, said=f"{said}, or compute in f32 (--precision f32), which is slower.")
    # Also on another processor: bf16 rounds alike everywhere, and what differs there is not to be trusted here.
    failed = f"{about} has failed its parity gate: it counts otherwise than in FP32"
    if asked == "auto":
        return ChosenPrecision("f32", gate, said=f"{failed}, so f32 is computed.")
    if allow_ungated:
        return ChosenPrecision(BF16, gate, "failed")
    raise EngineError(
        f"{failed}; leave the precision at auto, which is f32 then, or start with --allow-ungated-engine, which the run "
        "records and which makes it non-diagnostic."
    )
