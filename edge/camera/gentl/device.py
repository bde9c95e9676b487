"""A camera through its maker's GenTL producer, by harvesters and genicam: configured, acquiring, and read buffer by buffer."""

import contextlib
import math
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from edge.camera.counters import Counters
from edge.camera.frame import FrameSource
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import GenicamOptions, parse_options
from edge.camera.industrial.features import capabilities, configure, read_back
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import shape_of
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError, first_line

Handle: TypeAlias = Any
"""An object of harvesters or genicam, which have no types."""
ASK_EVERY_S = 0.001
_RETRY_S = 0.5
_COUNTERS = {"num_delivered": "delivered", "num_started": "started", "num_underrun": "underruns"}
"""Names of GenTL, and ours."""
_STAMPED = {"GEV", "U3V"}
"""Transports whose every frame bears the camera's time."""


def open_gentl(rest: str, um_per_px: float) -> FrameSource:
    """The source `genicam:REST`, with `um_per_px` as the size of a pixel. Raises `ConfigError` or `SourceError`."""
    address, options = parse_options("genicam", rest, GenicamOptions, address_pattern=r"[^#]+\.cti(#[\w.:-]+)?")
    file, _, serial = address.partition("#")
    return CameraSource(f"genicam:{rest}", um_per_px, options, lambda open_s: GentlDevice(Path(file), serial, options, open_s))


class GentlDevice:
    """Implements `CameraDevice`. Opens the camera `serial` of the producer `file`, for `open_s` seconds anew while it is not to
    be had; without a serial number the only one there is. Raises `SourceError`.

    An image is one plain copy of the producer's buffer, which goes back at once.
    """

    def __init__(self, file: Path, serial: str, options: GenicamOptions, open_s: float) -> None:
        self._lib = _libraries()
        self._file, self._serial, self._options = file, serial, options
        self._using, self._closed = threading.RLock(), False
        self._held = ExitStack()
        self._counters = Counters()
        self._count = 0
        self.counts_exposures = True
        self._acquirer, info = self._open(open_s)
        try:
            with _faults(self._lib):
                self._nodes = self._acquirer.remote_device.node_map
                features = GentlFeatures(self._lib, self._nodes)
                configure(features, options)
                self.settings = read_back(features, options) | _names_of(self._lib, info)
                self.capabilities = capabilities(features, timestamps=str(info.tl_type) in _STAMPED)
                self._acquirer.num_buffers = max(options.buffers, self._acquirer.min_num_buffers)
                # Harvesters' own way to fetch drops damaged buffers without telling which ones they were.
                (self._events,) = self._acquirer._new_buffer_event_monitor_dict.values()
                self._begin()
        except (CameraFault, ValueError) as problem:
            self.close()
            raise SourceError(
                f"camera {self._name()} refused its settings ({first_line(problem)}); check the options of the source."
            ) from problem

    def fire(self) -> None:
        """Expose by software."""
        with self._in_use():
            self._nodes.get_node("TriggerSoftware").execute()

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

    def check(self) -> None:
        with self._in_use():
            self._nodes.get_node("Width").get_value(False, True)  # from the camera, not from what is known of it

    def restart(self) -> None:
        with self._in_use():
            self._counters.see(self._count_now())
            self._acquirer.stop()
            self._begin()

    def statistics(self) -> dict[str, int]:
        """The producer's own counters since the camera was opened; those that it has."""
        with contextlib.suppress(CameraFault), self._in_use():
            self._counters.see(self._count_now())
        return self._counters.total()

    def close(self) -> None:
        with self._using:
            self._closed = True
            with contextlib.suppress(Exception):  # a camera that is gone lets harvesters stumble in many ways
                self._acquirer.destroy()
            with contextlib.suppress(Exception):
                self._held.close()

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """Once it is closed the libraries' objects point to nothing: to ask them then would end the process."""
        with self._using:
            if self._closed:
                raise CameraFault("it was closed")
            with _faults(self._lib):
                yield

    def _name(self) -> str:
        return f"{self._file.name}#{self._serial}" if self._serial else self._file.name

    def _open(self, open_s: float) -> tuple[Handle, Handle]:
        if not self._file.is_file():
            raise SourceError(
                f"GenTL producer {self._file} does not exist; `leuko-edge cameras` lists those that are installed."
            )
        deadline_s = time.monotonic() + open_s
        while True:
            try:
                return self._try_to_open()
            except (CameraFault, ValueError) as problem:
                reason = first_line(problem).rstrip(".")
            self._held.close()
            if time.monotonic() > deadline_s:
                raise SourceError(
                    f"GenTL producer {self._file} gives no camera within {open_s:g} s ({reason}); check the camera's power and "
                    "cable, its serial number, and that no other program controls it."
                )
            time.sleep(_RETRY_S)

    def _try_to_open(self) -> tuple[Handle, Handle]:
        with _faults(self._lib):
            harvester = self._held.enter_context(self._lib.harvesters.Harvester())
            harvester.add_file(str(self._file))
            harvester.update()
            infos = {_serial_of(self._lib, info): info for info in harvester.device_info_list}
            if not infos:
                raise CameraFault(_why_none(self._lib, self._file))
            if self._serial and self._serial not in infos:
                raise CameraFault(f"it has no camera {self._serial}, only {', '.join(sorted(infos))}")
            if not self._serial and len(infos) > 1:
                self._held.close()
                there = ", ".join(sorted(infos))
                raise SourceError(
                    f"GenTL producer {self._file} has the cameras {there}; add # and one of these serial numbers."
                )
            info = infos[self._serial or next(iter(infos))]
            with _own_interrupts():
                return harvester.create(harvester.device_info_list.index(info)), info

    def _begin(self) -> None:
        self._count = 0
        self._acquirer.start()
        self._counters.begin(self._count_now())

    def _has_come(self) -> bool:
        try:
            self._events.update_event_data(0)
        except self._lib.gentl.TimeoutException:
            return False
        return True

    def _count_now(self) -> dict[str, int]:
        found = {}
        for each, name in _COUNTERS.items():
            with contextlib.suppress(self._lib.gentl.GenericException, AttributeError, IndexError):
                found[name] = int(getattr(self._acquirer.data_streams[0], each))
        return found

    def _read(self, buffer: Handle) -> Grabbed:
        """Status before data. The buffer goes back to the producer whatever becomes of it."""
        now_ns = time.monotonic_ns()
        self._count += 1
        try:
            frame_id = self._told(buffer, "frame_id")
            if frame_id is None:  # then ids are counted here, and one that is missing is not seen
                self.counts_exposures, frame_id = False, self._count
            pixels, fault = self._pixels(buffer)
            return Grabbed(frame_id, pixels, fault, self._told(buffer, "timestamp_ns") or None, now_ns)
        finally:
            buffer.parent.queue_buffer(buffer)

    def _pixels(self, buffer: Handle) -> tuple[Image | None, str]:
        filled, offset = self._told(buffer, "size_filled"), self._told(buffer, "image_offset") or 0
        if not buffer.is_complete():
            return None, "it is incomplete" + (f", {filled} bytes came" if filled is not None else "")
        if padding := self._told(buffer, "padding_x"):
            return None, f"its rows have {padding} bytes of padding; choose another width"
        width, height = (self._told(buffer, side) or int(self.settings[side]) for side in ("width", "height"))
        shape = shape_of(width, height, self._options.format)
        needed = offset + math.prod(shape)
        raw = buffer.raw_buffer
        if min(len(raw), needed if filled is None else filled) < needed:
            return None, f"it has {filled} bytes and should have {needed}"
        return np.frombuffer(raw, np.uint8, math.prod(shape), offset).reshape(shape).copy(), ""

    def _told(self, buffer: Handle, name: str) -> int | None:
        """What the producer says of a buffer; most of it need not be there."""
        with contextlib.suppress(self._lib.gentl.GenericException):
            return int(getattr(buffer, name))
        return None


class GentlFeatures:
    """Implements `Features` over a node map of genicam."""

    def __init__(self, lib: "_Libraries", nodes: Handle) -> None:
        self._lib = lib
        self._nodes = nodes

    def can_read(self, name: str) -> bool:
        return self._access(name) in {"RO", "RW"}

    def can_write(self, name: str) -> bool:
        return self._access(name) in {"WO", "RW"}

    def text(self, name: str) -> str:
        with _faults(self._lib):
            return str(self._nodes.get_node(name).to_string())

    def number(self, name: str) -> float:
        with _faults(self._lib):
            return float(self._nodes.get_node(name).value)

    def choices(self, name: str) -> tuple[str, ...]:
        if not self.can_read(name):
            return ()
        with _faults(self._lib):
            return tuple(self._nodes.get_node(name).symbolics)

    def write(self, name: str, value: str) -> None:
        if not self.can_write(name):
            raise CameraFault(f"its feature {name} {'cannot be set' if self.can_read(name) else 'is not there'}")
        try:
            with _faults(self._lib):
                self._nodes.get_node(name).from_string(value)
        except CameraFault as problem:
            raise CameraFault(f"{name}={value}: {problem}") from problem

    def _access(self, name: str) -> str:
        try:
            return str(self._lib.genapi.EAccessMode(self._nodes.get_node(name).get_access_mode()).name)
        except self._lib.genapi.GenericException:
            return "NI"


class _Libraries(NamedTuple):
    """Modules, imported when the first camera is opened."""

    harvesters: ModuleType
    gentl: ModuleType
    genapi: ModuleType


def _libraries() -> _Libraries:
    try:
        from genicam import genapi, gentl  # noqa: PLC0415 - an extra; the edge runs without it
        from harvesters import core  # noqa: PLC0415
    except ImportError as problem:
        raise SourceError(
            f'harvesters cannot be loaded ({first_line(problem)}); install it with pip install "leukostream[genicam]".'
        ) from problem
    return _Libraries(core, gentl, genapi)


@contextlib.contextmanager
def _faults(lib: _Libraries) -> Iterator[None]:
    try:
        yield
    except (lib.gentl.GenericException, lib.genapi.GenericException) as problem:
        raise CameraFault(_said(problem)) from problem


@contextlib.contextmanager
def _own_interrupts() -> Iterator[None]:
    """Harvesters takes Ctrl-C for itself when it opens a camera in the main thread; then nothing would end the edge."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _said(problem: Exception) -> str:
    """What the library says, without its code and the place in its source that it says it from."""
    said = first_line(problem).removeprefix("GenTL exception: ")
    return re.split(r" : \w+ thrown| \(Message from the source: \)| \(ID: ", said)[0].rstrip(".")


def _serial_of(lib: _Libraries, info: Handle) -> str:
    with contextlib.suppress(lib.gentl.GenericException):
        return str(info.serial_number)
    return str(info.id_)  # the standard lets a producer have no serial numbers


def _names_of(lib: _Libraries, info: Handle) -> dict[str, str | float]:
    """By the producer: not every camera has them among its features."""
    found: dict[str, str | float] = {"serial": _serial_of(lib, info)}
    for name in ("vendor", "model"):
        with contextlib.suppress(lib.gentl.GenericException):
            found[name] = str(getattr(info, name))
    return found


def _why_none(lib: _Libraries, file: Path) -> str:
    """Harvesters passes over a file that is no producer; this one says what is wrong with it."""
    producer = lib.gentl.GenTLProducer.create_producer()
    try:
        producer.open(str(file))
        producer.close()
    except lib.gentl.ResourceInUseException:
        return "this program has it open already"
    except lib.gentl.GenericException as problem:
        return f"it is no GenTL producer: {_said(problem)}"
    return "it finds no camera"
