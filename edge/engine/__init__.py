"""Inference engines behind one interface."""

from pathlib import Path

from edge.contracts.bundle import Bundle
from edge.contracts.errors import ConfigError
from edge.engine.base import Engine, EngineChoice, Precision
from edge.signing import Signers


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
    signers: Signers | None = None,
) -> Engine:
    """Open this machine's engine for frames of one size; warm when it returns.

    "auto" is an engine that was built for this machine's GPU when there is one, else OpenVINO on the CPU. `precision` and
    `threads` are OpenVINO's, so that asking for a precision asks for OpenVINO. `engine_dir` holds the bundle's engines, which
    are beside it when None. Two slots on the CPU, three on a GPU, unless given. With `signers` a compiled engine that none of
    them signed is one that does not fit; the bundle is the caller's to check.

    Raises `EngineError` when graph or engine do not load, do not fit bundle or machine, or the parity gate was not passed, and
    `ConfigError` when a compiled engine is asked for another precision than its own.
    """
    # The interface must not load a runtime, so each is imported where it is chosen.
    if engine in {"tensorrt", "tensorrt_rtx"} and precision != "auto":
        raise ConfigError(
            f"precision {precision} is OpenVINO's; an engine built by {engine} computes in f16: leave it at auto."
        )
    if engine != "openvino" and precision == "auto":
        from edge.engine.choice import SLOTS, choose_engine, open_gpu_engine  # noqa: PLC0415
        from edge.engine.machine import look_at_machine  # noqa: PLC0415
        from edge.engine.survey import Wanted  # noqa: PLC0415

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
    from edge.engine.openvino import OpenVinoEngine  # noqa: PLC0415

    return OpenVinoEngine(
        bundle, frame_width_px, frame_height_px, max_batch=max_batch, slots=slots or 2, precision=precision, threads=threads
    )
