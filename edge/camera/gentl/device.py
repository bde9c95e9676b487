"""A camera through its maker's GenTL producer, by harvesters and genicam."""

import contextlib
import math
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edge.camera.frame import FrameSource
from edge.camera.gentl.library import (
    GentlFeatures,
    Handle,
    faults,
    libraries,
    own_interrupts,
    serial_of,
    why_none,
)
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import GenicamOptions, parse_options
from edge.camera.industrial.features import Features
from edge.camera.industrial.genicam_device import GenicamDevice, padded_rows, short_of_bytes
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import shape_of
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError, first_line

ASK_EVERY_S = 0.001
_COUNTERS = {"num_delivered": "delivered", "num_started": "started", "num_underrun": "underruns"}
"""Names of GenTL, and ours."""
_STAMPED = {"GEV", "U3V"}
"""Transports whose every frame bears the camera's time."""


def open_gentl(rest: str, um_per_px: float) -> FrameSource:
    """The source `genicam:REST`, with `um_per_px` as the size of a pixel. Raises `ConfigError` or `SourceError`."""
    address, options = parse_options("genicam", rest, GenicamOptions, address_pattern=r"[^#]+\.cti(#[\w.:-]+)?")
    file, _, serial = address.partition("#")
    return CameraSource(f"genicam:{rest}", um_per_px, options, lambda open_s: GentlDevice(Path(file), serial, options, open_s))


class GentlDevice(GenicamDevice):
    """The camera `serial` of the producer `file`; without a serial number the only one there is.

    An image is one plain copy of the producer's buffer, which goes back at once.
    """

    def __init__(self, file: Path, serial: str, options: GenicamOptions, open_s: float) -> None:
        self._lib = libraries()
        self._file, self._serial = file, serial
        self._held = ExitStack()
        self._n_frames = 0
        if not file.is_file():
            raise SourceError(f"GenTL producer {file} does not exist; `leuko-edge cameras` lists those that are installed.")
        super().__init__(f"{file.name}#{serial}" if serial else file.name, options, open_s)

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Asks again and again: a wait inside the library would hold up every other thread of this process."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            with self._in_use():
                if self._has_come():
                    return self._read(self._events.buffer)
            if time.monotonic() >= deadline_s:
                return None
            time.sleep(ASK_EVERY_S)

    def _try_to_open(self) -> None:
        try:
            with self._faults():
                self._acquirer, self._info = self._opened()
        except (CameraFault, ValueError) as problem:
            self._held.close()
            raise CameraFault(first_line(problem).rstrip(".")) from problem

    def _opened(self) -> tuple[Handle, Handle]:
        harvester = self._held.enter_context(self._lib.harvesters.Harvester())
        harvester.add_file(str(self._file))
        harvester.update()
        infos = {serial_of(self._lib, info): info for info in harvester.device_info_list}
        there = ", ".join(sorted(infos))
        if not infos:
            raise CameraFault(why_none(self._lib, self._file))
        if self._serial and self._serial not in infos:
            raise CameraFault(f"it has no camera {self._serial}, only {there}")
        if not self._serial and len(infos) > 1:
            self._held.close()
            raise SourceError(f"GenTL producer {self._file} has the cameras {there}; add # and one of these serial numbers.")
        info = infos[self._serial or next(iter(infos))]
        with own_interrupts():
            return harvester.create(harvester.device_info_list.index(info)), info

    def _cannot_open(self, open_s: float, reason: str) -> str:
        return (
            f"GenTL producer {self._file} gives no camera within {open_s:g} s ({reason}); check the camera's power and "
            "cable, its serial number, and that no other program controls it."
        )

    def _features(self) -> Features:
        self._nodes = self._acquirer.remote_device.node_map
        return GentlFeatures(self._lib, self._nodes)

    def _configure(self, features: Features) -> None:
        super()._configure(features)
        self._acquirer.num_buffers = max(self._options.buffers, self._acquirer.min_num_buffers)
        # Harvesters' own way to fetch drops damaged buffers without telling which ones they were.
        (self._events,) = self._acquirer._new_buffer_event_monitor_dict.values()

    def _names(self) -> dict[str, str | float]:
        """By the producer: not every camera has them among its features."""
        found: dict[str, str | float] = {"serial": serial_of(self._lib, self._info)}
        for name in ("vendor", "model"):
            with contextlib.suppress(self._lib.gentl.GenericException):
                found[name] = str(getattr(self._info, name))
        return found

    def _has_clock(self) -> bool:
        return str(self._info.tl_type) in _STAMPED

    def _begin(self) -> None:
        self._n_frames = 0
        self._acquirer.start()
        self._counters.begin(self._count())

    def _stop(self) -> None:
        self._acquirer.stop()

    def _fire(self) -> None:
        self._nodes.get_node("TriggerSoftware").execute()

    def _check(self) -> None:
        self._nodes.get_node("Width").get_value(False, True)  # from the camera, not from what is known of it

    def _count(self) -> dict[str, int]:
        found = {}
        for each, name in _COUNTERS.items():
            with contextlib.suppress(self._lib.gentl.GenericException, AttributeError, IndexError):
                found[name] = int(getattr(self._acquirer.data_streams[0], each))
        return found

    def _close(self) -> None:
        with contextlib.suppress(Exception):  # a camera that is gone lets harvesters stumble in many ways
            self._acquirer.destroy()
        with contextlib.suppress(Exception):
            self._held.close()

    def _faults(self) -> contextlib.AbstractContextManager[None]:
        return faults(self._lib)

    def _read(self, buffer: Handle) -> Grabbed:
        """The buffer goes back to the producer whatever becomes of it."""
        now_ns = time.monotonic_ns()
        self._n_frames += 1
        try:
            frame_id = self._told(buffer, "frame_id")
            if frame_id is None:  # then ids are counted here, and one that is missing is not seen
                self.counts_exposures, frame_id = False, self._n_frames
            pixels, fault = self._pixels(buffer)
            return Grabbed(frame_id, pixels, fault, self._told(buffer, "timestamp_ns") or None, now_ns)
        finally:
            self._give_back(buffer)

    def _give_back(self, buffer: Handle) -> None:
        buffer.parent.queue_buffer(buffer)

    def _pixels(self, buffer: Handle) -> tuple[Image | None, str]:
        filled, offset = self._told(buffer, "size_filled"), self._told(buffer, "image_offset") or 0
        if not buffer.is_complete():
            return None, "it is incomplete" + (f", {filled} bytes came" if filled is not None else "")
        if padding := self._told(buffer, "padding_x"):
            return None, padded_rows(padding)
        width, height = (self._told(buffer, side) or int(self.settings[side]) for side in ("width", "height"))
        shape = shape_of(width, height, self._options.format)
        needed = offset + math.prod(shape)
        raw = buffer.raw_buffer
        if min(len(raw), needed if filled is None else filled) < needed:
            return None, short_of_bytes(filled, needed)
        return np.frombuffer(raw, np.uint8, math.prod(shape), offset).reshape(shape).copy(), ""

    def _has_come(self) -> bool:
        try:
            self._events.update_event_data(0)
        except self._lib.gentl.TimeoutException:
            return False
        return True

    def _told(self, buffer: Handle, name: str) -> int | None:
        """What the producer says of a buffer; most of it need not be there."""
        with contextlib.suppress(self._lib.gentl.GenericException):
            return int(getattr(buffer, name))
        return None
