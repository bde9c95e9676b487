"""A Basler camera through pypylon: configured, acquiring, and read buffer by buffer."""

import contextlib
import math
import re
import select
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from edge.camera.counters import Counters
from edge.camera.frame import FrameSource
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import GenicamOptions, parse_options
from edge.camera.industrial.features import capabilities, configure, read_back
from edge.camera.industrial.lending import Lender
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import shape_of
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError, SourceError, first_line

Handle: TypeAlias = Any
"""An object of pypylon, which has no types."""
LOCAL = ("BaslerUsb", "BaslerCamEmu")
NETWORK = ("BaslerGigE",)
"""Pylon's device classes. Listing those of the network sends a broadcast on every interface; the emulator has cameras only
where the environment says so (PYLON_CAMEMU)."""
READY_S = 0.05
"""How long to wait until a camera takes a trigger. One that is fired earlier swallows it without a word; right after the
begin of an acquisition it takes some milliseconds."""
_RETRY_S = 0.5
_ASK_AGAIN_S = 0.0005
_NO_BLOCK_ID = 2**64 - 1
_NS_PER_S = 1_000_000_000


def open_pylon(rest: str, um_per_px: float) -> FrameSource:
    """The source `pylon:REST`, with `um_per_px` as the size of a pixel. Raises `ConfigError` or `SourceError`."""
    serial, options = parse_options("pylon", rest, GenicamOptions, address_pattern=r"[\w-]*")
    if not serial:
        there = _those_there(_pylon(), LOCAL)
        raise ConfigError(f"source 'pylon:{rest}' names no camera; give a serial number ({there}; see `leuko-edge cameras`).")
    return CameraSource(f"pylon:{rest}", um_per_px, options, lambda open_s: PylonDevice(serial, options, open_s))


def discovered_pylon(network: bool) -> list[dict[str, str]]:
    """Source and description of each camera that pylon finds; of the network's only with `network`. Empty without pypylon."""
    try:
        pylon = _pylon()
    except SourceError:
        return []
    with _faults(pylon):
        return [
            {
                "source": f"pylon:{info.GetSerialNumber()}",
                "what": f"{info.GetVendorName()} {info.GetModelName()}, serial number {info.GetSerialNumber()}",
            }
            for info in _infos(pylon, (*LOCAL, *NETWORK) if network else LOCAL)
        ]


class PylonDevice:
    """Implements `CameraDevice`. Opens the camera of this serial number, for `open_s` seconds anew while it is not to be had.

    Images are lent from pylon's buffers: a grab result, which holds its buffer, may be released in any thread and after the
    camera was closed. Raises `SourceError`.
    """

    counts_exposures = True

    def __init__(self, serial: str, options: GenicamOptions, open_s: float) -> None:
        self._pylon = _pylon()
        self._return = self._pylon.TimeoutHandling_Return
        self._serial = serial
        self._options = options
        self._lender = Lender(options.buffers)
        self._using, self._closed = threading.RLock(), False
        self._counters = Counters()
        self._names: dict[str, str] = {}
        self._camera = self._open(open_s)
        try:
            with _faults(self._pylon):
                features = PylonFeatures(self._pylon, self._camera.GetNodeMap())
                info = self._camera.GetDeviceInfo()
                configure(features, options)
                self.settings = read_back(features, options) | _names_of(info)
                # The emulator's time stamps are all 0; every GigE and USB camera of this maker has them.
                self.capabilities = capabilities(features, timestamps=info.GetDeviceClass() != "BaslerCamEmu")
                self._tick_hz = _tick_hz(features)
                self._zero_is_an_id = info.GetDeviceClass() not in NETWORK
                self._camera.MaxNumBuffer.SetValue(options.buffers)
                self._begin()
                self._can_be_asked = self._camera.CanWaitForFrameTriggerReady()
        except CameraFault as problem:
            self.close()
            raise SourceError(
                f"camera {serial} refused its settings ({problem}); check the options of the source."
            ) from problem

    def fire(self) -> None:
        """Expose by software, once the camera is ready for it; one that does not get ready in time is fired all the same."""
        with self._in_use():
            deadline_s = time.monotonic() + READY_S
            while self._can_be_asked and not self._camera.WaitForFrameTriggerReady(0, self._return):
                if time.monotonic() > deadline_s:
                    break
                time.sleep(_ASK_AGAIN_S)
            self._camera.ExecuteSoftwareTrigger()

    def grab(self, timeout_s: float) -> Grabbed | None:
        self._wait(timeout_s)
        with self._in_use():
            result = self._camera.RetrieveResult(0, self._return)
            self._counters.see(self._count())
            if result.IsValid():
                return self._read(result)
            self._complain_when_gone()
            if not self._camera.IsGrabbing():
                raise CameraFault("its acquisition ended by itself")
            return None

    def check(self) -> None:
        with self._in_use():
            self._complain_when_gone()
            self._camera.GetNodeMap().GetNode("Width").GetValue(False, True)  # from the camera, not from what is known of it

    def restart(self) -> None:
        with self._in_use():
            self._counters.see(self._count())
            self._camera.StopGrabbing()
            self._begin()

    def statistics(self) -> dict[str, int]:
        """Pylon's own counters, since the camera was opened; those that it has depend on its interface."""
        with contextlib.suppress(CameraFault), self._in_use():
            self._counters.see(self._count())
        return self._counters.total()

    def close(self) -> None:
        with self._using:
            self._closed = True
            for call in (self._camera.StopGrabbing, self._camera.Close, self._camera.DestroyDevice):
                with contextlib.suppress(self._pylon.GenericException):
                    call()

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """A node that is read while another thread destroys its camera would end the process."""
        with self._using:
            if self._closed:
                raise CameraFault("it was closed")
            with _faults(self._pylon):
                yield

    def _open(self, open_s: float) -> Handle:
        """The opened camera: first among those of this machine, so that no broadcast is sent for one of them."""
        pylon, deadline_s = self._pylon, time.monotonic() + open_s
        while True:
            reason = ""
            try:
                infos = _infos(pylon, LOCAL, self._serial) or _infos(pylon, NETWORK, self._serial)
                if infos:
                    camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateDevice(infos[0]))
                    camera.Open()
                    return camera
            except pylon.GenericException as problem:
                reason = _said(problem)
            if time.monotonic() > deadline_s:
                reason = reason or _those_there(pylon, (*LOCAL, *NETWORK))
                raise SourceError(
                    f"camera {self._serial} cannot be opened within {open_s:g} s ({reason}); check its power, its cable and "
                    "serial number, and that no other program controls it."
                )
            time.sleep(_RETRY_S)

    def _begin(self) -> None:
        self._last_id = -1 if self._zero_is_an_id else 0
        self._camera.StartGrabbing(self._pylon.GrabStrategy_OneByOne)
        self._names = _counters(self._pylon, self._camera.GetStreamGrabberNodeMap())
        self._counters.begin(self._count())

    def _wait(self, timeout_s: float) -> None:
        """Until a result is there. Pylon's own timed waits need SIGALRM: where another part of the process takes that signal,
        they never end, not even at their timeout. So the wait for its file descriptor is ours. On Windows there is none, nor
        such a signal.
        """
        with self._in_use():
            wait, timeout_ms = self._camera.GetGrabResultWaitObject(), max(1, int(timeout_s * 1e3))
        if hasattr(wait, "GetFd"):
            poll = select.poll()
            poll.register(wait.GetFd(), select.POLLIN)
            poll.poll(timeout_ms)
        else:
            wait.Wait(timeout_ms)

    def _complain_when_gone(self) -> None:
        if self._camera.IsCameraDeviceRemoved():
            raise CameraFault("it was unplugged or switched off")

    def _read(self, result: Handle) -> Grabbed:
        """Status before data: a failed buffer holds only a part. A whole one is lent to the image."""
        now_ns = time.monotonic_ns()
        self._last_id = frame_id = id_of(int(result.GetBlockID()), self._last_id, self._zero_is_an_id)
        ticks = int(result.GetTimeStamp())
        fault, pixels = "", None
        if result.GrabSucceeded():
            pixels, fault = self._pixels(result)
        else:
            said = str(result.GetErrorDescription()).strip().rstrip(".")
            fault = said or f"pylon gives the error code {result.GetErrorCode():#x} for it"
        if pixels is None:
            result.Release()
        else:
            pixels = self._lender.lend(pixels, result, _release)
        return Grabbed(frame_id, pixels, fault, ticks * _NS_PER_S // self._tick_hz or None, now_ns)

    def _pixels(self, result: Handle) -> tuple[Image | None, str]:
        memory = result.GetImageMemoryView()
        shape = shape_of(result.GetWidth(), result.GetHeight(), self._options.format)
        needed = math.prod(shape)
        if memory.nbytes != needed:
            return None, f"it has {memory.nbytes} bytes and should have {needed}"
        return np.ndarray(shape, np.uint8, memory), ""

    def _count(self) -> dict[str, int]:
        """Nothing once the camera is gone: then pylon gives no counters, and nodes kept from before would crash it."""
        with contextlib.suppress(self._pylon.GenericException):
            nodes = self._camera.GetStreamGrabberNodeMap()
            return {name: int(nodes.GetNode(node).GetValue()) for node, name in self._names.items()}
        return {}


class PylonFeatures:
    """Implements `Features` over a node map of pypylon."""

    def __init__(self, pylon: Handle, nodes: Handle) -> None:
        self._pylon = pylon
        self._nodes = nodes

    def can_read(self, name: str) -> bool:
        return bool(self._nodes.GetNode(name).IsReadable())

    def can_write(self, name: str) -> bool:
        return bool(self._nodes.GetNode(name).IsWritable())

    def text(self, name: str) -> str:
        with _faults(self._pylon):
            return str(self._nodes.GetNode(name).ToString())

    def number(self, name: str) -> float:
        with _faults(self._pylon):
            return float(self._nodes.GetNode(name).GetValue())

    def choices(self, name: str) -> tuple[str, ...]:
        if not self.can_read(name):
            return ()
        with _faults(self._pylon):
            return tuple(self._nodes.GetNode(name).GetSettableValues())

    def write(self, name: str, value: str) -> None:
        with _faults(self._pylon):
            node = self._nodes.GetNode(name)
            if not node.IsWritable():
                raise CameraFault(f"its feature {name} {'cannot be set' if node.IsReadable() else 'is not there'}")
            try:
                node.FromString(value)
            except self._pylon.GenericException as problem:
                raise CameraFault(f"{name}={value}: {_said(problem)}") from problem


def id_of(block_id: int, last_id: int, zero_is_an_id: bool) -> int:
    """The camera's own count of the exposure; it begins with 0 by USB and in the emulator, with 1 by GigE Vision.

    By GigE Vision a camera that does not count says 0; then frames are counted here as they come. (Pylon's image number counts
    the same way, but it would not fit between its neighbours' block ids where a single buffer has none.)
    """
    return last_id + 1 if block_id == _NO_BLOCK_ID or (block_id == 0 and not zero_is_an_id) else block_id


def _pylon() -> Handle:
    try:
        from pypylon import pylon  # noqa: PLC0415 - an extra; the edge runs without it
    except ImportError as problem:
        raise SourceError(
            f'pypylon cannot be loaded ({first_line(problem)}); install it with pip install "leukostream[pylon]".'
        ) from problem
    return pylon


@contextlib.contextmanager
def _faults(pylon: Handle) -> Iterator[None]:
    try:
        yield
    except pylon.GenericException as problem:
        raise CameraFault(_said(problem)) from problem


def _said(problem: Exception) -> str:
    """What pylon says, without the place in its source that it says it from."""
    return re.split(r" : \w+ thrown", first_line(problem))[0].rstrip(".")


def _infos(pylon: Handle, classes: tuple[str, ...], serial: str = "") -> list[Handle]:
    """Cameras of these device classes; only interfaces of these classes are asked."""
    filters = []
    for device_class in classes:
        info = pylon.DeviceInfo()
        info.SetDeviceClass(device_class)
        if serial:
            info.SetSerialNumber(serial)
        filters.append(info)
    return list(pylon.TlFactory.GetInstance().EnumerateDevices(filters)) if filters else []


def _those_there(pylon: Handle, classes: tuple[str, ...]) -> str:
    with _faults(pylon):
        serials = sorted(info.GetSerialNumber() for info in _infos(pylon, classes))
    return f"there is {', '.join(serials)}" if serials else "pylon finds no camera"


def _names_of(info: Handle) -> dict[str, str | float]:
    """As `leuko-edge cameras` lists them; not every camera has its serial number among its features."""
    return {"vendor": info.GetVendorName(), "model": info.GetModelName(), "serial": info.GetSerialNumber()}


def _tick_hz(features: PylonFeatures) -> int:
    """Of the camera's clock: classic GigE cameras say it, all others count nanoseconds."""
    name = "GevTimestampTickFrequency"
    return int(features.number(name)) or _NS_PER_S if features.can_read(name) else _NS_PER_S


def _counters(pylon: Handle, nodes: Handle) -> dict[str, str]:
    """Names of the stream's counters, and how we call them."""
    found = {}
    with contextlib.suppress(pylon.GenericException):
        for each in nodes.GetNodes():
            name = str(each.GetNode().GetName())
            if name.startswith("Statistic_") and name.endswith("_Count") and nodes.GetNode(name).IsReadable():
                found[name] = name.removeprefix("Statistic_").lower()
    return {node: "underruns" if name == "buffer_underrun_count" else name for node, name in found.items()}


def _release(result: Handle) -> None:
    result.Release()
