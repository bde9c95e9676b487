"""The camera of the virtual scanner: exposes the virtual slide at every pulse of the line, and fails as it is told.

It is a driver like any other (`CameraDevice`): which frame belongs to which trigger, and what was lost, the edge finds out by
the same code as with a camera of metal.
"""

import time
from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge.camera.frame import Capabilities, SourceInfo
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import GenicamOptions
from edge.camera.industrial.source import CameraSource
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError
from edge.scanner.pulse_line import Pulse, PulseListener
from edge.scanner.truth_engine import TruthBook
from edge.virtual import UM_PER_PX, SlideSettings, VirtualSlide

WIDTH_PX, HEIGHT_PX = 732, 574
_LAST_ID = 65535
"""GigE Vision's block ids count from 1 to this and begin again."""
_GONE_S = 1.0
_QUIET_S = 1.0
"""As long as any line is to be quiet: a scanner that is slow gives its pulse late."""
_DAMAGE = "a part of its lines is missing"


@dataclass
class CameraBody:
    """What a camera remembers while its cable is out, and who opens it next finds: its counter, and when it can be reached."""

    slide: VirtualSlide
    port: int
    frame_id: int
    late_s: float
    book: TruthBook | None = None
    gone_until_s: float = 0.0
    listener: PulseListener | None = None


class PulsedCamera:
    """Implements `CameraDevice`. Raises `SourceError` while the camera is away."""

    capabilities = Capabilities(hardware_trigger=True, timestamps=True)
    counts_exposures = True

    def __init__(self, body: CameraBody) -> None:
        if time.monotonic() < body.gone_until_s:
            raise SourceError("the virtual camera does not answer; its cable is out.")
        self.settings: dict[str, str | float] = {
            "width": float(WIDTH_PX),
            "height": float(HEIGHT_PX),
            "model": "virtual camera on a pulse line",
        }
        self._body = body
        self._ready: deque[tuple[float, Grabbed]] = deque()
        self._last: Image | None = None
        self._exposed = 0
        if body.listener is None:
            body.listener = PulseListener(body.port)
        self._line = body.listener

    def fire(self) -> None:
        raise CameraFault("the virtual camera is exposed by its line, not by software")

    def grab(self, timeout_s: float) -> Grabbed | None:
        """The next frame; rendering it takes the caller's time."""
        until_s = time.monotonic() + timeout_s
        while True:
            now_s = time.monotonic()
            if self._ready and self._ready[0][0] <= now_s:
                grabbed = self._ready.popleft()[1]
                return replace(grabbed, t_host_ns=time.monotonic_ns())
            due_s = min(until_s, self._ready[0][0]) if self._ready else until_s
            pulse = self._line.wait(due_s - now_s)
            if pulse is not None:
                self._expose(pulse)
            elif time.monotonic() >= until_s:
                return None

    def check(self) -> None:
        """It answers as long as its cable is in."""

    def restart(self) -> None:
        self._ready.clear()
        self._line.forget()

    def statistics(self) -> dict[str, int]:
        return {"underruns": 0, "exposed": self._exposed}

    def close(self) -> None:
        self._ready.clear()

    def _expose(self, pulse: Pulse) -> None:
        for again in range(2 if "pulse-twice" in pulse.faults else 1):
            self._body.frame_id = self._body.frame_id % _LAST_ID + 1
            self._exposed += 1
            if "camera-gone" in pulse.faults:
                self._body.gone_until_s = time.monotonic() + _GONE_S
                raise CameraFault("its cable is out")
            if "dropped" in pulse.faults:
                continue
            grabbed = self._grabbed(pulse, again)
            due_s = time.monotonic() + (self._body.late_s if "late" in pulse.faults else 0.0)
            self._ready.extend([(due_s, grabbed)] * (2 if "duplicated" in pulse.faults else 1))

    def _grabbed(self, pulse: Pulse, again: int) -> Grabbed:
        pixels, fault = None, ""
        if "damaged" in pulse.faults:
            fault = _DAMAGE
        elif "frozen" in pulse.faults and self._last is not None:
            pixels = self._last.copy()
        else:
            pixels = self._photographed(pulse)
            self._last = pixels.copy()
        now_ns = time.monotonic_ns()
        return Grabbed(self._body.frame_id, pixels, fault, pulse.t_ns + again, now_ns, max(0.0, (now_ns - pulse.t_ns) / 1e6))

    def _photographed(self, pulse: Pulse) -> Image:
        body = self._body
        field = body.slide.render(
            pulse.x_um, pulse.y_um, WIDTH_PX, HEIGHT_PX, field_key=body.frame_id, defocus_um=pulse.defocus_um
        )
        image = smeared(field.image, pulse.smear_um)
        if pulse.light != 1.0:
            image = np.asarray(cv2.convertScaleAbs(image, alpha=pulse.light), np.uint8)
        if body.book is not None:
            judged = field.judged
            body.book.enter(image, field.boxes_px[judged], field.labels[judged])
        return image


class PulsedSource(CameraSource):
    """The camera as a source; its frames are drawn."""

    def __init__(self, name: str, body: CameraBody) -> None:
        options = GenicamOptions(trigger="Line0", format="BGR8", quiet_s=_QUIET_S)
        super().__init__(name, UM_PER_PX, options, lambda open_s: PulsedCamera(body))
        self._body = body

    @property
    def info(self) -> SourceInfo:
        return replace(super().info, is_synthetic=True)

    def close(self) -> None:
        super().close()
        if self._body.listener is not None:
            self._body.listener.close()


def smeared(image: Image, smear_um: tuple[float, float]) -> Image:
    """What moves while the shutter is open: the mean along the way; `image` itself where that is less than half a pixel."""
    dx, dy = (way / UM_PER_PX for way in smear_um)
    length = float(np.hypot(dx, dy))
    if length < 0.5:
        return image
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 8 * reach + 1):
        kernel[round(reach + share * dy), round(reach + share * dx)] += 1.0
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT), np.uint8)


def slide_for(settings: SlideSettings, *, for_truth: bool) -> VirtualSlide:
    """The slide as the camera photographs it; for a detector that does not look at pixels, with nothing but the cells."""
    plain = {"rbc_per_field_mean": 0.0, "platelets_per_field_mean": 0.0}
    return VirtualSlide(settings.model_copy(update=plain) if for_truth else settings)
