"""What is said of an engine that `survey` judged, wherever engines are listed: rows for people, plain values for scripts."""

from typing import Any

from edge.contracts.engine_files import RUNTIME_NAMES, BuildRequest, Gate
from edge.engine.survey import Verdict

GATES: dict[Gate, str] = {
    "passed": "passed",
    "failed": "FAILED",
    "drawn": "not yet: on drawn fields only",
    "elsewhere": "not yet: on another GPU only",
    "none": "not yet",
}


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
