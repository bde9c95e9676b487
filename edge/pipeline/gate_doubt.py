"""Whether an engine passed its parity gate on fields that look as a run's do: corrected for light and colours, or as they come.

An engine's rounding shows more in some colours than in others, so that a verdict says little about fields it was not made on.
What counts is the way in which they were corrected: a profile whose colours were measured anew leaves a verdict standing.
"""

from pathlib import Path

from edge.camera.correction import Correction
from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import GateSight
from edge.contracts.served_model import is_served
from edge.engine.base import EngineInfo
from edge.engine.precision_gate import BF16
from edge.engine.survey import verify_command
from edge.settings import EdgeSettings

OTHER_FIELDS = "gate_on_other_fields"
"""The code of the `event` that says so."""


def doubt_of_gate(
    engine: str,
    saw: GateSight | None,
    correction: Correction | None,
    bundle: Bundle,
    *,
    profile: Path | None,
    engine_dir: Path | None = None,
    server: str | None = None,
    precision: str | None = None,
) -> str:
    """A sentence where `engine` passed on other fields than those `correction` makes, with the command that settles it.

    `precision` is bf16 where it is OpenVINO's gate in bf16. Empty where they look alike, and where no gate was passed (`saw` is
    None): that is said elsewhere, or needs no saying.
    """
    own = GateSight() if correction is None else GateSight(correction.colour_name, correction.light_sha256)
    if saw is None or _way(saw) == _way(own):
        return ""
    settles = verify_command(bundle, engine_dir, profile if own != GateSight() else None, server, precision)
    return (
        f"{engine} passed its parity gate on fields {_said(saw)}, and those of a run are {_said(own)}: nobody has looked "
        f"whether it counts these as the bundle's graph does; run `{settles}`."
    )


def doubt_of_run(info: EngineInfo, correction: Correction | None, bundle: Bundle, settings: EdgeSettings) -> str:
    """The same of an open engine, under the settings of a run.

    Where a server is set, the engine may be this machine's all the same: its fallback. The command is for the one that is open.
    """
    return doubt_of_gate(
        info.name,
        info.gate_saw,
        correction,
        bundle,
        profile=settings.profile,
        engine_dir=settings.engine_dir,
        server=settings.server if is_served(info.key) else None,
        precision=BF16 if info.precision_gate is not None else None,
    )


def _way(sight: GateSight) -> tuple[str, bool]:
    """How colours were moved, without the hash of the table; and whether light was evened out."""
    return (sight.colour_transform or "").partition(":")[0], sight.illumination_sha256 is not None


def _said(sight: GateSight) -> str:
    colours, has_light = _way(sight)
    parts = ["evened out in light"] if has_light else []
    parts += [f"moved in colour by {colours}"] if colours else []
    return " and ".join(parts) or "as the camera gives them"
