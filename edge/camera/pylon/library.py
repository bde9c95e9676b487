"""pypylon, an extra: loaded, asked for cameras and for their features; what it raises becomes a `CameraFault`."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from edge.camera.industrial.camera_device import CameraFault
from edge.camera.industrial.features import NodeFeatures
from edge.contracts.errors import SourceError, first_line

Handle: TypeAlias = Any
"""An object of pypylon, which has no types."""
LOCAL = ("BaslerUsb", "BaslerCamEmu")
NETWORK = ("BaslerGigE",)
"""Pylon's device classes. Listing those of the network sends a broadcast on every interface; the emulator has cameras only
where the environment says so (PYLON_CAMEMU)."""


def pypylon() -> Handle:
    """The module. Raises `SourceError` when it is not installed."""
    try:
        from pypylon import pylon  # noqa: PLC0415 - an extra; the edge runs without it
    except ImportError as problem:
        raise SourceError(
            f'pypylon cannot be loaded ({first_line(problem)}); install it with pip install "leukostream[pylon]".'
        ) from problem
    return pylon


def discovered_pylon(network: bool) -> list[dict[str, str]]:
    """Source and description of each camera that pylon finds; of the network's only with `network`. Empty without pypylon."""
    try:
        pylon = pypylon()
    except SourceError:
        return []
    with faults(pylon):
        return [
            {
                "source": f"pylon:{info.GetSerialNumber()}",
                "what": f"{info.GetVendorName()} {info.GetModelName()}, serial number {info.GetSerialNumber()}",
            }
            for info in _infos(pylon, _classes(network))
        ]


def info_of(pylon: Handle, serial: str) -> Handle | None:
    """Pylon's description of this camera: first among those of this machine, so that no broadcast is sent for one of them."""
    infos = _infos(pylon, LOCAL, serial) or _infos(pylon, NETWORK, serial)
    return infos[0] if infos else None


def those_there(pylon: Handle, network: bool) -> str:
    """Serial numbers of the cameras there are, for a sentence that misses one. Raises `CameraFault`."""
    with faults(pylon):
        serials = sorted(info.GetSerialNumber() for info in _infos(pylon, _classes(network)))
    return f"there is {', '.join(serials)}" if serials else "pylon finds no camera"


class PylonFeatures(NodeFeatures):
    """Those of a node map of pypylon."""

    def __init__(self, pylon: Handle, nodes: Handle) -> None:
        self._pylon = pylon
        self._nodes = nodes

    def can_read(self, name: str) -> bool:
        return bool(self._nodes.GetNode(name).IsReadable())

    def can_write(self, name: str) -> bool:
        return bool(self._nodes.GetNode(name).IsWritable())

    def text(self, name: str) -> str:
        with faults(self._pylon):
            return str(self._nodes.GetNode(name).ToString())

    def number(self, name: str) -> float:
        with faults(self._pylon):
            return float(self._nodes.GetNode(name).GetValue())

    def _entries(self, name: str) -> tuple[str, ...]:
        with faults(self._pylon):
            return tuple(self._nodes.GetNode(name).GetSettableValues())

    def _write(self, name: str, value: str) -> None:
        with faults(self._pylon):
            self._nodes.GetNode(name).FromString(value)


@contextlib.contextmanager
def faults(pylon: Handle) -> Iterator[None]:
    """What pylon says when it fails, without the place in its source that it says it from."""
    try:
        yield
    except pylon.GenericException as problem:
        raise CameraFault(re.split(r" : \w+ thrown", first_line(problem))[0].rstrip(".")) from problem


def _classes(network: bool) -> tuple[str, ...]:
    return (*LOCAL, *NETWORK) if network else LOCAL


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
