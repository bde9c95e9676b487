"""The graph of a checkpoint in torch behind the edge's engine interface, so that a model can be measured before its export."""

import numpy as np
import torch
from torch import Tensor

from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError
from edge.engine.base import EngineInfo, SlotBook, check_values
from trainer.loop.ranks import choose_device
from trainer.models.detector import Detector
from trainer.second_look.carried_look import Look, graph_with


class TorchEngine:
    """`Engine` on torch: on `device` (`auto`, `cpu` or `cuda`); always FP32, as the exported graph computes.

    Frames are uint8 [max_batch, H, W, 3]. Raises `ConfigError` for a device that is not there, `EngineError` when torch fails,
    for want of memory above all.
    """

    def __init__(
        self,
        detector: Detector,
        top_k: int,
        frame_width_px: int,
        frame_height_px: int,
        *,
        max_batch: int = 1,
        slots: int = 1,
        device: str = "auto",
        look: Look | None = None,
    ) -> None:
        self._device = choose_device(device)
        self.graph = graph_with(detector, top_k, look).to(self._device)
        self._slots: list[Image] = [np.zeros((max_batch, frame_height_px, frame_width_px, 3), np.uint8) for _ in range(slots)]
        self._found: dict[int, tuple[Tensor, ...]] = {}
        self._info = EngineInfo(
            runtime="torch",
            version=torch.__version__,
            device=torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "CPU",
            precision="f32",
            frame_width_px=frame_width_px,
            frame_height_px=frame_height_px,
            max_batch=max_batch,
            slots=slots,
            top_k=top_k,
        )
        self._book = SlotBook(self._info)
        # The first inference allocates and, on CUDA, loads its kernels.
        self.submit(0, 1)
        self.collect(0)

    @property
    def info(self) -> EngineInfo:
        return self._info

    def slot(self, index: int) -> Image:
        return self._slots[index]

    def submit(self, index: int, n: int) -> None:
        """On a CPU this computes; on CUDA it returns as soon as the work is queued."""
        self._book.submit(index, n)
        try:
            # cuDNN would take TF32 for convolutions, with ten bits of mantissa.
            with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
                self._found[index] = self.graph(torch.from_numpy(self._slots[index][:n]).to(self._device))
        except RuntimeError as problem:
            raise _failure(problem) from problem

    def collect(self, index: int) -> RawDetections:
        self._book.collect(index)
        try:
            raw = RawDetections(*(output.cpu().numpy().copy() for output in self._found.pop(index)))
        except RuntimeError as problem:
            raise _failure(problem) from problem
        check_values(raw)
        return raw

    def keep_warm(self) -> None:
        """A measurement never waits."""

    def close(self) -> None:
        """Forget what is in flight."""
        self._found.clear()


def _failure(problem: RuntimeError) -> EngineError:
    return EngineError(f"torch failed to run a frame ({str(problem).splitlines()[0]}); free its memory and try again.")
