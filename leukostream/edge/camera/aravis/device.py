"""One open camera: configured, acquiring, and read buffer by buffer. Knows nothing of triggers' names or fields."""

import contextlib
import ctypes as c
import time
from dataclasses import dataclass

import numpy as np

from leukostream.edge.camera.aravis.library import BUFFER_STATUS, CameraFault, aravis
from leukostream.edge.camera.aravis.options import AravisOptions
from leukostream.edge.camera.bgr import bytes_per_pixel, to_bgr
from leukostream.edge.contracts.detections import Image
from leukostream.edge.contracts.errors import SourceError

_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Grabbed:
    """One buffer: `fault` is empty when its image is whole; times in monotonic nanoseconds of host and camera."""

    frame_id: int
    image: Image | None
    fault: str
    t_camera_ns: int
    t_host_ns: int


class AravisDevice:
    """Opens the camera at `address`, retrying while a dead client still holds it. Raises `SourceError`."""

    def __init__(self, address: str, options: AravisOptions) -> None:
        self._lib = aravis()
        self._address = address
        self._options = options
        self._stream: int | None = None
        self._acquiring = False
        self._camera: int = self._open(options.open_s)
        try:
            self._configure()
            self.settings = self._read_back()
            self._begin()
        except CameraFault as problem:
            self.close()
            raise SourceError(
                f"camera {address} refused its settings ({problem}); check the options of the source."
            ) from problem

    def fire(self) -> None:
        """Expose by software. Raises `CameraFault`."""
        self._lib("arv_camera_software_trigger", self._camera)

    def grab(self, timeout_s: float) -> Grabbed | None:
        """The next buffer, None when none came in time."""
        buffer = self._lib("arv_stream_timeout_pop_buffer", self._stream, max(1, int(timeout_s * 1e6)))
        if not buffer:
            return None
        try:
            return self._read(buffer)
        finally:
            self._lib("arv_stream_push_buffer", self._stream, buffer)

    def check(self) -> None:
        """Ask the camera for something. Raises `CameraFault` when it does not answer, or has another master."""
        self._lib("arv_camera_get_exposure_time", self._camera)
        self._lib("arv_camera_get_payload", self._camera)

    def restart(self) -> None:
        """Begin the acquisition anew, so that no frame of an earlier exposure is under way. Raises `CameraFault`."""
        self._lib("arv_camera_stop_acquisition", self._camera)
        while self.grab(0.0) is not None:
            pass
        self._lib("arv_camera_start_acquisition", self._camera)

    def statistics(self) -> dict[str, int]:
        """Of the stream so far: buffers whole, failed, and frames without a buffer; packets sent again and missing."""
        if self._stream is None:
            return {}
        values = [c.c_uint64() for _ in range(5)]
        self._lib("arv_stream_get_statistics", self._stream, *(c.byref(value) for value in values[:3]))
        if self._lib("arv_camera_is_gv_device", self._camera):
            self._lib("arv_gv_stream_get_statistics", self._stream, *(c.byref(value) for value in values[3:]))
        names = ("completed", "failed", "underruns", "resent_packets", "missing_packets")
        return {name: value.value for name, value in zip(names, values, strict=True)}

    def close(self) -> None:
        """Stop and let go of the camera, also of one that no longer answers."""
        if self._acquiring:
            with contextlib.suppress(CameraFault):
                self._lib("arv_camera_stop_acquisition", self._camera)
            self._acquiring = False
        for held in (self._stream, self._camera):
            if held:
                self._lib("g_object_unref", held)
        self._stream, self._camera = None, 0

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

    def _configure(self) -> None:
        options, camera = self._options, self._camera
        if options.packet is not None and self._lib("arv_camera_is_gv_device", camera):
            self._lib("arv_camera_gv_set_packet_size", camera, options.packet)
        if options.width is not None or options.height is not None or options.x or options.y:
            _, _, width, height = self._region()
            region = (options.x, options.y, options.width or width, options.height or height)
            self._lib("arv_camera_set_region", camera, *region)
        self._lib("arv_camera_set_pixel_format_from_string", camera, options.format.encode())
        if options.exposure_us is not None:
            self._lib("arv_camera_set_exposure_time", camera, options.exposure_us)
        if options.gain is not None:
            self._lib("arv_camera_set_gain", camera, options.gain)
        if options.trigger == "free":
            self._lib("arv_camera_clear_triggers", camera)
        if options.rate is not None:
            self._lib("arv_camera_set_frame_rate", camera, options.rate)
        if options.trigger != "free":
            name = "Software" if options.trigger == "software" else options.trigger
            self._lib("arv_camera_set_trigger", camera, name.encode())

    def _read_back(self) -> dict[str, str | float]:
        """What the camera says it is and does, whatever was asked of it."""
        found: dict[str, str | float] = {}
        for name, call in (
            ("vendor", "arv_camera_get_vendor_name"),
            ("model", "arv_camera_get_model_name"),
            ("serial", "arv_camera_get_device_serial_number"),
            ("format", "arv_camera_get_pixel_format_as_string"),
        ):
            with contextlib.suppress(CameraFault):
                found[name] = (self._lib(call, self._camera) or b"").decode(errors="replace")
        for name, call in (("exposure_us", "arv_camera_get_exposure_time"), ("gain", "arv_camera_get_gain")):
            with contextlib.suppress(CameraFault):  # not every camera has them
                found[name] = float(self._lib(call, self._camera))
        x, y, width, height = self._region()
        found |= {"x": x, "y": y, "width": width, "height": height, "trigger": self._options.trigger}
        if found.get("format") != self._options.format:
            raise CameraFault(f"it has pixel format {found.get('format')}, not {self._options.format}")
        return found

    def _region(self) -> tuple[int, int, int, int]:
        values = [c.c_int() for _ in range(4)]
        self._lib("arv_camera_get_region", self._camera, *(c.byref(value) for value in values))
        x, y, width, height = (value.value for value in values)
        return x, y, width, height

    def _begin(self) -> None:
        payload = self._lib("arv_camera_get_payload", self._camera)
        self._stream = self._lib("arv_camera_create_stream", self._camera, None, None)
        for _ in range(self._options.buffers):
            self._lib("arv_stream_push_buffer", self._stream, self._lib("arv_buffer_new_allocate", payload))
        self._lib("arv_camera_start_acquisition", self._camera)
        self._acquiring = True

    def _read(self, buffer: int) -> Grabbed:
        """Status before data: a failed buffer may have none."""
        status = self._lib("arv_buffer_get_status", buffer)
        frame_id, camera_ns = (self._lib(f"arv_buffer_get_{what}", buffer) for what in ("frame_id", "timestamp"))
        fault = BUFFER_STATUS.get(status, f"its status is {status}")
        image = None
        if not fault:
            size = c.c_size_t()
            address = self._lib("arv_buffer_get_data", buffer, c.byref(size))
            width, height = (self._lib(f"arv_buffer_get_image_{side}", buffer) for side in ("width", "height"))
            depth = bytes_per_pixel(self._options.format)
            if not address or size.value < width * height * depth:
                fault = f"it has {size.value} bytes and should have {width * height * depth}"
            else:
                flat = np.frombuffer((c.c_uint8 * (width * height * depth)).from_address(address), np.uint8)
                shape = (height, width, 3) if depth == 3 else (height, width)
                image = to_bgr(flat.reshape(shape), self._options.format)
        return Grabbed(frame_id, image, fault, camera_ns, time.monotonic_ns())
