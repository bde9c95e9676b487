"""What the parity gate has said of a server, and whether it still is the server of then."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np

from edge.contracts.base import parse_json
from edge.contracts.bundle import Bundle
from edge.contracts.detections import Image, RawDetections
from edge.contracts.engine_files import PARITY, Gate, GateSight, ParityReport, gate_of
from edge.contracts.errors import EngineError
from edge.contracts.served_model import FIELD, SCORES_MAY_DIFFER, SERVED, ServedAnswer, ServedIdentity
from edge.contracts.whole_file import SMALL_BYTES, read_whole, write_whole
from edge.engine.choice import UNGATED
from edge.engine.engine_places import engine_places, place_to_build
from edge.engine.remote.remote_engine import RemoteEngine
from edge.engine.survey import verify_command

_KEPT = 20
_LARGEST_FIELD_BYTES = 1 << 30


def gate_of_served(engine: RemoteEngine, bundle: Bundle, engine_dir: Path | None) -> tuple[Gate, GateSight | None]:
    """What the report beside the bundle's engines says of this very server, and how the fields were corrected that it is about.
    Asks the server for the field of then.

    Raises `EngineError` when it answers otherwise than it did, or when a report cannot be read.
    """
    size_px = engine.info.frame_width_px, engine.info.frame_height_px
    gate, saw = gate_on_record(engine.identity, size_px, bundle, engine_dir)
    folder = _folder(engine.identity, size_px, bundle, engine_dir)
    if folder is not None and gate in {"passed", "drawn", "undecided"}:
        _ask_again(engine, folder, bundle)
    return gate, saw


def gate_on_record(
    identity: ServedIdentity, size_px: tuple[int, int], bundle: Bundle, engine_dir: Path | None
) -> tuple[Gate, GateSight | None]:
    """What the report says of a server that is called so, for frames of that size, and how these were corrected.

    Raises `EngineError` for a damaged one.
    """
    folder = _folder(identity, size_px, bundle, engine_dir)
    if folder is None:
        return "none", None
    report = parse_json(ParityReport, read_whole(folder / PARITY, SMALL_BYTES), folder / PARITY, EngineError)
    return gate_of(report, identity.sha256(), bundle.bundle_id), report.saw


def ungated(address: str, bundle: Bundle, gate: Gate, engine_dir: Path | None) -> str:
    """Why a server is refused, and what helps."""
    return (
        f"inference server {address} {UNGATED[gate]}; run `{verify_command(bundle, engine_dir, server=address)}`, or start "
        "with --allow-ungated-engine, which the run records and which makes it non-diagnostic."
    )


def keep_gate(engine: RemoteEngine, bundle: Bundle, engine_dir: Path | None, report: ParityReport, field: Image) -> Path:
    """Write the report, and what the server says to `field` uint8 [H, W, 3]. Returns the folder. Raises `EngineError`."""
    info = engine.info
    folder = place_to_build(bundle, engine_dir) / engine.identity.key(info.frame_width_px, info.frame_height_px)
    content = io.BytesIO()
    np.save(content, field[None])
    raw = _answer(engine, field)
    answer = ServedAnswer(
        bundle_id=bundle.bundle_id,
        identity=engine.identity,
        field_sha256=hashlib.sha256(content.getvalue()).hexdigest(),
        scores=tuple(float(score) for score in raw.scores[0, :_KEPT]),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PARITY).unlink(missing_ok=True)
        write_whole(folder / FIELD, content.getvalue())
        write_whole(folder / SERVED, answer.model_dump_json(indent=1) + "\n")
        write_whole(folder / PARITY, report.model_dump_json(indent=1) + "\n")
    except OSError as problem:
        raise EngineError(
            f"the parity report {folder / PARITY} cannot be written ({problem.strerror}); make room there, or give another "
            "--engine-dir."
        ) from problem
    return folder


def _folder(identity: ServedIdentity, size_px: tuple[int, int], bundle: Bundle, engine_dir: Path | None) -> Path | None:
    key = identity.key(*size_px)
    names = (PARITY, SERVED, FIELD)
    places = (place / key for place in engine_places(bundle, engine_dir))
    return next((folder for folder in places if all(os.path.isfile(folder / name) for name in names)), None)  # noqa: PTH113


def _ask_again(engine: RemoteEngine, folder: Path, bundle: Bundle) -> None:
    kept = parse_json(ServedAnswer, read_whole(folder / SERVED, SMALL_BYTES), folder / SERVED, EngineError)
    content = read_whole(folder / FIELD, _LARGEST_FIELD_BYTES)
    if hashlib.sha256(content).hexdigest() != kept.field_sha256 or kept.bundle_id != bundle.bundle_id:
        raise EngineError(f"{folder} is damaged: {FIELD} is not the field of {SERVED}; delete it and verify the server anew.")
    field: Image = np.load(io.BytesIO(content), allow_pickle=False)[0]
    raw = _answer(engine, field)
    scores = raw.scores[0, : len(kept.scores)]
    differ = float(np.abs(scores - np.asarray(kept.scores, np.float32)).max(initial=0.0))
    if differ > SCORES_MAY_DIFFER:
        raise EngineError(
            f"the inference server does not answer as it did when it passed the parity gate (scores differ by {differ:.3f}): "
            f"what it serves as bundle {bundle.manifest.name} has changed; find out what, and verify it anew with "
            "`leuko-build verify --server`."
        )


def _answer(engine: RemoteEngine, field: Image) -> RawDetections:
    engine.slot(0)[0] = field
    engine.submit(0, 1)
    return engine.collect(0)
