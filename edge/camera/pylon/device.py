"""A Basler camera through pypylon."""

import contextlib
import math
import select
import time

import numpy as np

from edge.camera.frame import FrameSource
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import GenicamOptions, parse_options
from edge.camera.industrial.features import Features
from edge.camera.industrial.genicam_device import GenicamDevice, short_of_bytes
from edge.camera.industrial.source import CameraSource
from edge.camera.pixels import shape_of
from edge.camera.pylon.library import NETWORK, Handle, PylonFeatures, faults, info_of, pypylon, those_there
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError

READY_S = 0.05
"""How long to wait until a camera takes a trigger. One that is fired earlier swallows it without a word; right after the
begin of an acquisition it takes some milliseconds."""
_ASK_AGAIN_S = 0.0005
_NO_BLOCK_ID = 2**64 - 1
_NS_PER_S = 1_000_000_000


def open_pylon(rest: str, um_per_px: float) -> FrameSource:
    """The source `pylon:REST`, with `um_per_px` as the size of a pixel. Raises `ConfigError` or `SourceError`."""
    serial, options = parse_options("pylon", rest, GenicamOptions, address_pattern=r"[\w-]*")
    if not serial:
        there = those_there(pypylon(), network=False)
        raise ConfigError(f"source 'pylon:{rest}' names no camera; give a serial number ({there}; see `leuko-edge cameras`).")
    return CameraSource(f"pylon:{rest}", um_per_px, options, lambda open_s: PylonDevice(serial, options, open_s))


class PylonDevice(GenicamDevice):
    """The camera of this serial number. Images are lent from pylon's buffers: a grab result, which holds its buffer, may be
    released in any thread and after the camera was closed.
    """

    known_by = "serial number"

    def __init__(self, serial: str, options: GenicamOptions, open_s: float) -> None:
        self._pylon = pypylon()
        self._return = self._pylon.TimeoutHandling_Return
        self._counter_names: dict[str, str] = {}
        super().__init__(serial, options, open_s)

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

    def _try_to_open(self) -> None:
        info = info_of(self._pylon, self._name)
        if info is None:
            raise CameraFault
        camera = self._pylon.InstantCamera(self._pylon.TlFactory.GetInstance().CreateDevice(info))
        camera.Open()
        self._camera = camera

    def _cannot_open(self, open_s: float, reason: str) -> str:
        return super()._cannot_open(open_s, reason or those_there(self._pylon, network=True))

    def _features(self) -> Features:
        return PylonFeatures(self._pylon, self._camera.GetNodeMap())

    def _configure(self, features: Features) -> None:
        super()._configure(features)
        self._tick_hz = _tick_hz(features)
        self._zero_is_an_id = self._camera.GetDeviceInfo().GetDeviceClass() not in NETWORK
        self._camera.MaxNumBuffer.SetValue(self._options.buffers)

    def _names(self) -> dict[str, str | float]:
        """As `leuko-edge cameras` lists them; not every camera has its serial number among its features."""
        info = self._camera.GetDeviceInfo()
        return {"vendor": info.GetVendorName(), "model": info.GetModelName(), "serial": info.GetSerialNumber()}

    def _has_clock(self) -> bool:
        """Every GigE and USB camera of this maker; the emulator's time stamps are all 0."""
        return bool(self._camera.GetDeviceInfo().GetDeviceClass() != "BaslerCamEmu")

    def _begin(self) -> None:
        self._last_id = -1 if self._zero_is_an_id else 0
        self._camera.StartGrabbing(self._pylon.GrabStrategy_OneByOne)
        self._can_be_asked = self._camera.CanWaitForFrameTriggerReady()
        self._counter_names = _counter_names(self._pylon, self._camera.GetStreamGrabberNodeMap())
        self._counters.begin(self._count())

    def _stop(self) -> None:
        self._camera.StopGrabbing()

    def _fire(self) -> None:
        """Once the camera is ready for it; one that does not get ready in time is fired all the same."""
        deadline_s = time.monotonic() + READY_S
        while self._can_be_asked and not self._camera.WaitForFrameTriggerReady(0, self._return):
            if time.monotonic() > deadline_s:
                break
            time.sleep(_ASK_AGAIN_S)
        self._camera.ExecuteSoftwareTrigger()

    def _check(self) -> None:
        self._complain_when_gone()
        self._camera.GetNodeMap().GetNode("Width").GetValue(False, True)  # from the camera, not from what is known of it

    def _count(self) -> dict[str, int]:
        """Nothing once the camera is gone: then pylon gives no counters, and nodes kept from before would crash it."""
        with contextlib.suppress(self._pylon.GenericException):
            nodes = self._camera.GetStreamGrabberNodeMap()
            return {name: int(nodes.GetNode(node).GetValue()) for node, name in self._counter_names.items()}
        return {}

    def _close(self) -> None:
        for call in (self._camera.StopGrabbing, self._camera.Close, self._camera.DestroyDevice):
            with contextlib.suppress(self._pylon.GenericException):
                call()

    def _faults(self) -> contextlib.AbstractContextManager[None]:
        return faults(self._pylon)

    def _read(self, buffer: Handle) -> Grabbed:
        now_ns = time.monotonic_ns()
        self._last_id = frame_id = id_of(int(buffer.GetBlockID()), self._last_id, self._zero_is_an_id)
        ticks = int(buffer.GetTimeStamp())
        fault, pixels = "", None
        if buffer.GrabSucceeded():
            pixels, fault = self._pixels(buffer)
        else:
            said = str(buffer.GetErrorDescription()).strip().rstrip(".")
            fault = said or f"pylon gives the error code {buffer.GetErrorCode():#x} for it"
        pixels = self._lent(pixels, buffer)
        return Grabbed(frame_id, pixels, fault, ticks * _NS_PER_S // self._tick_hz or None, now_ns)

    def _give_back(self, buffer: Handle) -> None:
        buffer.Release()

    def _pixels(self, buffer: Handle) -> tuple[Image | None, str]:
        memory = buffer.GetImageMemoryView()
        shape = shape_of(buffer.GetWidth(), buffer.GetHeight(), self._options.format)
        needed = math.prod(shape)
        if memory.nbytes != needed:
            return None, short_of_bytes(memory.nbytes, needed)
        return np.ndarray(shape, np.uint8, memory), ""

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


def id_of(block_id: int, last_id: int, zero_is_an_id: bool) -> int:
    """The camera's own count of the exposure; it begins with 0 by USB and in the emulator, with 1 by GigE Vision.

    By GigE Vision a camera that does not count says 0; then frames are counted here as they come. (Pylon's image number counts
    the same way, but it would not fit between its neighbours' block ids where a single buffer has none.)
    """
    return last_id + 1 if block_id == _NO_BLOCK_ID or (block_id == 0 and not zero_is_an_id) else block_id


def _tick_hz(features: Features) -> int:
    """Of the camera's clock: classic GigE cameras say it, all others count nanoseconds."""
    name = "GevTimestampTickFrequency"
    return int(features.number(name)) or _NS_PER_S if features.can_read(name) else _NS_PER_S


def _counter_names(pylon: Handle, nodes: Handle) -> dict[str, str]:
    """Names of the stream's counters, and how we call them; in the order of the latter."""
    found = {}
    with contextlib.suppress(pylon.GenericException):
        for each in nodes.GetNodes():
            name = str(each.GetNode().GetName())
            if name.startswith("Statistic_") and name.endswith("_Count") and nodes.GetNode(name).IsReadable():
                ours = name.removeprefix("Statistic_").lower()
                found[name] = "underruns" if ours == "buffer_underrun_count" else ours
    return dict(sorted(found.items(), key=lambda each: each[1]))
