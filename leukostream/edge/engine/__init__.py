"""Inference engines behind one interface."""

from leukostream.edge.contracts.bundle import Bundle
from leukostream.edge.engine.base import Engine, Precision


def open_engine(
    bundle: Bundle,
    frame_width_px: int,
    frame_height_px: int,
    *,
    max_batch: int = 1,
    slots: int = 2,
    precision: Precision = "auto",
    threads: int | None = None,
) -> Engine:
    """Open the engine of this machine (OpenVINO on the CPU) for frames of one size; warm when it returns.

    Raises `EngineError` when the graph does not load, breaks the bundle's contract, or the precision is not to be had.
    """
    from leukostream.edge.engine.openvino import OpenVinoEngine  # noqa: PLC0415 - the interface must not load a runtime

    return OpenVinoEngine(
        bundle, frame_width_px, frame_height_px, max_batch=max_batch, slots=slots, precision=precision, threads=threads
    )
