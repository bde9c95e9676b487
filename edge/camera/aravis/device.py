"""A GigE Vision or USB3 Vision camera through libaravis."""

import contextlib
import ctypes as c
import threading
import time

import numpy as np

from edge.camera.aravis.library import BUFFER_STATUS, AravisFeatures, aravis
from edge.camera.frame import FrameSource
from edge.camera.industrial.camera_device import CameraFault, Grabbed, is_credible_age
from edge.camera.industrial.camera_options import AravisOptions, parse_options
from edge.camera.industrial.features import Features
from edge.camera.industrial.genicam_device import GenicamDevice, padded_rows, short_of_bytes
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import shape_of
from edge.contracts.detections import Image

_READY_S = 0.02
"""After the begin of an acquisition a camera takes some milliseconds until it sees a trigger."""
_TRANSFER_S, _DRAIN_S = 0.05, 0.01
"""A frame under way has come after its exposure and so long; looked for at this interval."""


def open_aravis(rest: str, um_per_px: float) -> FrameSource:
    """The source `aravis:REST`. Raises `ConfigError` or `SourceError`."""
    address, options = parse_options("aravis", rest, AravisOptions)
    return CameraSource(f"aravis:{rest}", um_per_px, options, lambda open_s: AravisDevice(address, options, open_s))


class AravisDevice(GenicamDevice):
    """The camera at `address`; while a dead client still holds it, opening is tried again. Images are lent from its buffers."""

    def __init__(self, address: str, options: AravisOptions, open_s: float) -> None:
        self._lib = aravis()
        self._packet = options.packet
        self._camera = 0
        self._stream: int | None = None
        self._acquiring, self._began_s = False, 0.0
        self._returning = threading.RLock()
        self._ids: dict[int, int] = {}
        super().__init__(address, options, open_s)

    def grab(self, timeout_s: float) -> Grabbed | None:
        with self._in_use():
            buffer = self._lib("arv_stream_timeout_pop_buffer", self._stream, max(1, int(timeout_s * 1e6)))
            return self._read(buffer) if buffer else None

    def _try_to_open(self) -> None:
        camera: int | None = self._lib("arv_camera_new", self._name.encode())
        if not camera:
            raise CameraFault("nothing answers there")
        if not self._controls(camera):
            self._lib("g_object_unref", camera)
            raise CameraFault("another program controls it")
        self._camera = camera

    def _features(self) -> Features:
        return AravisFeatures(self._lib, self._camera)

    def _configure(self, features: Features) -> None:
        if self._packet is not None and self._lib("arv_camera_is_gv_device", self._camera):
            self._lib("arv_camera_gv_set_packet_size", self._camera, self._packet)
        super()._configure(features)
        payload = self._lib("arv_camera_get_payload", self._camera)
        self._stream = self._lib("arv_camera_create_stream", self._camera, None, None)
        for _ in range(self._options.buffers):
            self._lib("arv_stream_push_buffer", self._stream, self._lib("arv_buffer_new_allocate", payload))
        self._counters.begin(self._count())  # once: a stream counts on from one acquisition to the next

    def _begin(self) -> None:
        self._lib("arv_camera_start_acquisition", self._camera)
        self._acquiring, self._began_s = True, time.monotonic()

    def _stop(self) -> None:
        """The camera may finish the exposure under way after it was told to stop: that frame is waited for, and dropped."""
        self._lib("arv_camera_stop_acquisition", self._camera)
        exposure_s = float(self.settings.get("exposure_us", 0.0)) / 1e6
        quiet_from_s = time.monotonic() + exposure_s + _TRANSFER_S
        while time.monotonic() < quiet_from_s:
            self.grab(_DRAIN_S)

    def _fire(self) -> None:
        """Not right after the begin of an acquisition, when many cameras swallow a trigger without a word."""
        time.sleep(max(0.0, self._began_s + _READY_S - time.monotonic()))
        self._lib("arv_camera_software_trigger", self._camera)

    def _check(self) -> None:
        if not self._controls(self._camera):
            raise CameraFault("it no longer obeys this program")
        self._lib("arv_camera_get_payload", self._camera)

    def _count(self) -> dict[str, int]:
        """Buffers whole, failed, and frames without a buffer; packets sent again and missing."""
        values = [c.c_uint64() for _ in range(5)]
        self._lib("arv_stream_get_statistics", self._stream, *(c.byref(value) for value in values[:3]))
        if self._lib("arv_camera_is_gv_device", self._camera):
            self._lib("arv_gv_stream_get_statistics", self._stream, *(c.byref(value) for value in values[3:]))
        names = ("completed", "failed", "underruns", "resent_packets", "missing_packets")
        return {name: value.value for name, value in zip(names, values, strict=True)}

    def _close(self) -> None:
        if self._acquiring:
            with contextlib.suppress(CameraFault):
                self._lib("arv_camera_stop_acquisition", self._camera)
            self._acquiring = False
        with self._returning:
            held, self._stream, self._camera = (self._stream, self._camera), None, 0
        for each in held:
            if each:
                self._lib("g_object_unref", each)

    def _read(self, buffer: int) -> Grabbed:
        """Number and times are in a frame's first packet. Where that one was lost libaravis leaves those of the frame that was
        in this buffer before, or 0: then nobody knows them.
        """
        status = self._lib("arv_buffer_get_status", buffer)
        raw_id, camera_ns = (self._lib(f"arv_buffer_get_{what}", buffer) for what in ("frame_id", "timestamp"))
        # The driver notes arrivals by wall time, and tells nothing where that clock was set meanwhile.
        now_ns, age_ms = time.monotonic_ns(), (time.time_ns() - self._lib("arv_buffer_get_system_timestamp", buffer)) / 1e6
        fault, pixels = BUFFER_STATUS.get(status, f"its status is {status}"), None
        if not fault:
            pixels, fault = self._pixels(buffer)
        is_known = not (fault and raw_id in {0, self._ids.get(buffer)})
        self._ids[buffer] = raw_id
        pixels = self._lent(pixels, buffer)
        if not is_known:
            return Grabbed(None, None, fault, None, now_ns)
        return Grabbed(raw_id, pixels, fault, camera_ns or None, now_ns, age_ms if is_credible_age(age_ms) else None)

    def _give_back(self, buffer: int) -> None:
        """After the stream's end the buffer is ours alone."""
        with self._returning:
            if self._stream:
                self._lib("arv_stream_push_buffer", self._stream, buffer)
            else:
                self._lib("g_object_unref", buffer)

    def _pixels(self, buffer: int) -> tuple[Image | None, str]:
        size, x_padding, y_padding = c.c_size_t(), c.c_int(), c.c_int()
        address = self._lib("arv_buffer_get_data", buffer, c.byref(size))
        width, height = (self._lib(f"arv_buffer_get_image_{side}", buffer) for side in ("width", "height"))
        self._lib("arv_buffer_get_image_padding", buffer, c.byref(x_padding), c.byref(y_padding))
        if x_padding.value:
            return None, padded_rows(x_padding.value)
        shape = shape_of(width, height, self._options.format)
        needed = int(np.prod(shape))
        if not address or size.value < needed:
            return None, short_of_bytes(size.value, needed)
        memory = (c.c_uint8 * needed).from_address(address)
        return np.ndarray(shape, np.uint8, memoryview(memory).cast("B")), ""

    def _controls(self, camera: int) -> bool:
        """A GigE Vision camera obeys one client; libaravis opens it for others, too, who may only look."""
        if not self._lib("arv_camera_is_gv_device", camera):
            return True
        return bool(self._lib("arv_gv_device_is_controller", self._lib("arv_camera_get_device", camera)))
