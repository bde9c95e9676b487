"""harvesters and genicam, an extra, which load a maker's GenTL producer; what they raise becomes a `CameraFault`."""

import contextlib
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from edge.camera.industrial.camera_device import CameraFault
from edge.camera.industrial.features import NodeFeatures
from edge.contracts.errors import SourceError, first_line

Handle: TypeAlias = Any
"""An object of harvesters or genicam, which have no types."""


class Libraries(NamedTuple):
    """Modules, imported when the first camera is opened."""

    harvesters: ModuleType
    gentl: ModuleType
    genapi: ModuleType


def libraries() -> Libraries:
    """The modules. Raises `SourceError` when one is not installed."""
    try:
        from genicam import genapi, gentl  # noqa: PLC0415 - an extra; the edge runs without it
        from harvesters import core  # noqa: PLC0415
    except ImportError as problem:
        raise SourceError(
            f'harvesters cannot be loaded ({first_line(problem)}); install it with pip install "leukostream[genicam]".'
        ) from problem
    return Libraries(core, gentl, genapi)


def serial_of(lib: Libraries, info: Handle) -> str:
    """The camera's serial number, or its id: the standard lets a producer have no serial numbers."""
    with contextlib.suppress(lib.gentl.GenericException):
        return str(info.serial_number)
    return str(info.id_)


def why_none(lib: Libraries, file: Path) -> str:
    """Why a producer gives no camera. Harvesters passes over a file that is no producer; here it is said what is wrong."""
    producer = lib.gentl.GenTLProducer.create_producer()
    try:
        producer.open(str(file))
        producer.close()
    except lib.gentl.ResourceInUseException:
        return "this program has it open already"
    except lib.gentl.GenericException as problem:
        return f"it is no GenTL producer: {_said(problem)}"
    return "it finds no camera"


class GentlFeatures(NodeFeatures):
    """Those of a node map of genicam."""

    def __init__(self, lib: Libraries, nodes: Handle) -> None:
        self._lib = lib
        self._nodes = nodes

    def can_read(self, name: str) -> bool:
        return self._access(name) in {"RO", "RW"}

    def can_write(self, name: str) -> bool:
        return self._access(name) in {"WO", "RW"}

    def text(self, name: str) -> str:
        with faults(self._lib):
            return str(self._nodes.get_node(name).to_string())

    def number(self, name: str) -> float:
        with faults(self._lib):
            return float(self._nodes.get_node(name).value)

    def _entries(self, name: str) -> tuple[str, ...]:
        with faults(self._lib):
            return tuple(self._nodes.get_node(name).symbolics)

    def _write(self, name: str, value: str) -> None:
        with faults(self._lib):
            self._nodes.get_node(name).from_string(value)

    def _access(self, name: str) -> str:
        try:
            return str(self._lib.genapi.EAccessMode(self._nodes.get_node(name).get_access_mode()).name)
        except self._lib.genapi.GenericException:
            return "NI"


@contextlib.contextmanager
def faults(lib: Libraries) -> Iterator[None]:
    """What the libraries say when they fail becomes a `CameraFault`."""
    try:
        yield
    except (lib.gentl.GenericException, lib.genapi.GenericException) as problem:
        raise CameraFault(_said(problem)) from problem


@contextlib.contextmanager
def own_interrupts() -> Iterator[None]:
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
