"""A GigE Vision or USB3 Vision camera through libaravis: configured, acquiring, and read buffer by buffer."""

import contextlib
import ctypes as c
import threading
import time
from collections.abc import Iterator

import numpy as np

from edge.camera.aravis.features import AravisFeatures
from edge.camera.aravis.library import BUFFER_STATUS, aravis
from edge.camera.frame import FrameSource
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import AravisOptions, parse_options
from edge.camera.industrial.features import capabilities, configure, read_back
from edge.camera.industrial.lending import Lender
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import shape_of
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError

_RETRY_S = 0.5
_READY_S = 0.02
"""After the begin of an acquisition a camera takes some milliseconds until it sees a trigger."""
_TRANSFER_S, _DRAIN_S = 0.05, 0.01
"""A frame under way has come after its exposure and so long; looked for at this interval."""
_CREDIBLE_AGE_MS = 60_000.0
"""The driver notes arrivals by wall time; an age beyond this, or below zero, says that the clock was set meanwhile."""


def open_aravis(rest: str, um_per_px: float) -> FrameSource:
    """The source `aravis:REST`. Raises `ConfigError` or `SourceError`."""
    address, options = parse_options("aravis", rest, AravisOptions)
    return CameraSource(f"aravis:{rest}", um_per_px, options, lambda open_s: AravisDevice(address, options, open_s))


class AravisDevice:
    """Implements `CameraDevice`. Opens the camera at `address`, for `open_s` seconds anew while a dead client still holds it.

    Raises `SourceError`.
    """

    counts_exposures = True

    def __init__(self, address: str, options: AravisOptions, open_s: float) -> None:
        self._lib = aravis()
        self._address = address
        self._options = options
        self._stream: int | None = None
        self._acquiring = False
        self._lender = Lender(options.buffers)
        self._using = threading.RLock()
        self._returning = threading.RLock()
        self._ids: dict[int, int] = {}
        self._began_s = 0.0
        self._camera = 0
        self._camera = self._open(open_s)
        try:
            if options.packet is not None and self._lib("arv_camera_is_gv_device", self._camera):
                self._lib("arv_camera_gv_set_packet_size", self._camera, options.packet)
            features = AravisFeatures(self._lib, self._camera)
            configure(features, options)
            self.settings = read_back(features, options)
            self.capabilities = capabilities(features, timestamps=True)  # every frame of both standards bears one
            self._begin()
        except CameraFault as problem:
            self.close()
            raise SourceError(
                f"camera {address} refused its settings ({problem}); check the options of the source."
            ) from problem

    def fire(self) -> None:
        """Not right after the begin of an acquisition, when many cameras swallow a trigger without a word."""
        with self._in_use():
            time.sleep(max(0.0, self._began_s + _READY_S - time.monotonic()))
            self._lib("arv_camera_software_trigger", self._camera)

    def grab(self, timeout_s: float) -> Grabbed | None:
        with self._in_use():
            buffer = self._lib("arv_stream_timeout_pop_buffer", self._stream, max(1, int(timeout_s * 1e6)))
            return self._read(buffer) if buffer else None

    def check(self) -> None:
        with self._in_use():
            if not self._controls(self._camera):
                raise CameraFault("it no longer obeys this program")
            self._lib("arv_camera_get_payload", self._camera)

    def restart(self) -> None:
        """The camera may finish the exposure under way after it was told to stop: that frame is waited for, and dropped."""
        with self._in_use():
            self._lib("arv_camera_stop_acquisition", self._camera)
            exposure_s = float(self.settings.get("exposure_us", 0.0)) / 1e6
            quiet_from_s = time.monotonic() + exposure_s + _TRANSFER_S
            while time.monotonic() < quiet_from_s:
                self.grab(_DRAIN_S)
            self._start()

    def statistics(self) -> dict[str, int]:
        """Buffers whole, failed, and frames without a buffer; packets sent again and missing."""
        values = [c.c_uint64() for _ in range(5)]
        with self._in_use():
            self._lib("arv_stream_get_statistics", self._stream, *(c.byref(value) for value in values[:3]))
            if self._lib("arv_camera_is_gv_device", self._camera):
                self._lib("arv_gv_stream_get_statistics", self._stream, *(c.byref(value) for value in values[3:]))
        names = ("completed", "failed", "underruns", "resent_packets", "missing_packets")
        return {name: value.value for name, value in zip(names, values, strict=True)}

    def close(self) -> None:
        with self._using:
            if self._acquiring:
                with contextlib.suppress(CameraFault):
                    self._lib("arv_camera_stop_acquisition", self._camera)
                self._acquiring = False
            with self._returning:
                held, self._stream, self._camera = (self._stream, self._camera), None, 0
            for each in held:
                if each:
                    self._lib("g_object_unref", each)

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """One call at a time, and none after `close`: the library would be asked about memory that is no longer there."""
        with self._using:
            if not self._camera:
                raise CameraFault("it was closed")
            yield

    def _give_back(self, buffer: int) -> None:
        """In whatever thread the last image over it ended; after the stream's end the buffer is ours alone."""
        with self._returning:
            if self._stream:
                self._lib("arv_stream_push_buffer", self._stream, buffer)
            else:
                self._lib("g_object_unref", buffer)

    def _open(self, open_s: float) -> int:
        deadline_s = time.monotonic() + open_s
        while True:
            try:
                camera: int | None = self._lib("arv_camera_new", self._address.encode())
                if camera and self._controls(camera):
                    return camera
                reason = "another program controls it" if camera else "nothing answers there"
                if camera:
                    self._lib("g_object_unref", camera)
            except CameraFault as problem:
                reason = str(problem)
            if time.monotonic() > deadline_s:
                raise SourceError(
                    f"camera {self._address} cannot be opened within {open_s:g} s ({reason}); check its power, its cable and "
                    "address, and that no other program controls it."
                )
            time.sleep(_RETRY_S)

    def _controls(self, camera: int) -> bool:
        """A GigE Vision camera obeys one client; libaravis opens it for others, too, who may only look."""
        if not self._lib("arv_camera_is_gv_device", camera):
            return True
        return bool(self._lib("arv_gv_device_is_controller", self._lib("arv_camera_get_device", camera)))

    def _begin(self) -> None:
        payload = self._lib("arv_camera_get_payload", self._camera)
        self._stream = self._lib("arv_camera_create_stream", self._camera, None, None)
        for _ in range(self._options.buffers):
            self._lib("arv_stream_push_buffer", self._stream, self._lib("arv_buffer_new_allocate", payload))
        self._start()

    def _start(self) -> None:
        self._lib("arv_camera_start_acquisition", self._camera)
        self._acquiring, self._began_s = True, time.monotonic()

    def _read(self, buffer: int) -> Grabbed:
        """Status before data: a failed buffer may have none. A whole one is lent to the image.

        Number and times are in a frame's first packet. Where that one was lost libaravis leaves those of the frame that was in
        this buffer before, or 0: then nobody knows them.
        """
        status = self._lib("arv_buffer_get_status", buffer)
        raw_id, camera_ns = (self._lib(f"arv_buffer_get_{what}", buffer) for what in ("frame_id", "timestamp"))
        now_ns, age_ms = time.monotonic_ns(), (time.time_ns() - self._lib("arv_buffer_get_system_timestamp", buffer)) / 1e6
        fault, pixels = BUFFER_STATUS.get(status, f"its status is {status}"), None
        if not fault:
            pixels, fault = self._pixels(buffer)
        is_known = not (fault and raw_id in {0, self._ids.get(buffer)})
        self._ids[buffer] = raw_id
        if pixels is None:
            self._give_back(buffer)
        else:
            pixels = self._lender.lend(pixels, buffer, self._give_back)
        if not is_known:
            return Grabbed(None, None, fault, None, now_ns)
        is_credible = 0.0 <= age_ms < _CREDIBLE_AGE_MS
        return Grabbed(raw_id, pixels, fault, camera_ns or None, now_ns, age_ms if is_credible else None)

    def _pixels(self, buffer: int) -> tuple[Image | None, str]:
        size, x_padding, y_padding = c.c_size_t(), c.c_int(), c.c_int()
        address = self._lib("arv_buffer_get_data", buffer, c.byref(size))
        width, height = (self._lib(f"arv_buffer_get_image_{side}", buffer) for side in ("width", "height"))
        self._lib("arv_buffer_get_image_padding", buffer, c.byref(x_padding), c.byref(y_padding))
        if x_padding.value:
            return None, f"its rows have {x_padding.value} bytes of padding; choose another width"
        shape = shape_of(width, height, self._options.format)
        needed = int(np.prod(shape))
        if not address or size.value < needed:
            return None, f"it has {size.value} bytes and should have {needed}"
        memory = (c.c_uint8 * needed).from_address(address)
        return np.ndarray(shape, np.uint8, memoryview(memory).cast("B")), ""
