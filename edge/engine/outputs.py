"""What a graph promises, checked at opening and on every result: a broken engine must never look like an empty field."""

from collections.abc import Mapping

import numpy as np

from edge.contracts.cells import N_CLASSES
from edge.contracts.detections import RawDetections
from edge.contracts.errors import EngineError

INPUT = "frames"


def expected_outputs(top_k: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape of one frame's outputs (without N) and their element type."""
    return {"boxes": ((top_k, 4), "float32"), "scores": ((top_k,), "float32"), "labels": ((top_k,), "int32")}


def check_outputs(found: Mapping[str, tuple[tuple[int, ...], str]], top_k: int, bundle: str) -> None:
    """Compare a compiled graph's outputs (shape without N, element type) with the contract. Raises `EngineError`."""
    for name, (shape, kind) in expected_outputs(top_k).items():
        if name not in found:
            raise EngineError(
                f"the graph of bundle {bundle} has no output {name!r}, only {sorted(found)}; "
                "export it with `leuko-train export`."
            )
        if found[name] != (shape, kind):
            has_shape, has_kind = found[name]
            raise EngineError(
                f"output {name!r} of bundle {bundle} is {has_kind} {list(has_shape)} per frame, not {kind} {list(shape)}; "
                "export it with `leuko-train export`."
            )


def check_values(raw: RawDetections) -> None:
    """Raises `EngineError` when scores or boxes are not finite or a label names no class."""
    if not (np.isfinite(raw.scores).all() and np.isfinite(raw.boxes).all()):
        raise EngineError(
            "the engine returned scores or boxes that are not finite numbers; do not use this run's model, check its bundle."
        )
    if raw.labels.size and not 0 <= int(raw.labels.min()) <= int(raw.labels.max()) < N_CLASSES:
        raise EngineError(
            f"the engine returned a label outside 0 to {N_CLASSES - 1}; check that bundle and engine belong together."
        )
