"""A camera's GenICam features, set and read back by name, whatever library reaches them."""

import contextlib
from abc import ABC, abstractmethod
from typing import Protocol

from edge.camera.frame import Capabilities
from edge.camera.industrial.camera_device import CameraFault
from edge.camera.industrial.camera_options import GenicamOptions

EXPOSURE = ("ExposureTime", "ExposureTimeAbs")
GAIN = ("Gain", "GainRaw")
RATE = ("AcquisitionFrameRate", "AcquisitionFrameRateAbs")
BALANCE = ("BalanceRatio", "BalanceRatioAbs")
"""The standard's name, and the one that cameras from before it have."""
_WHOLE = {"GainRaw"}
OLD_FORMATS = {"RGB8": "RGB8Packed", "BGR8": "BGR8Packed"}


class Features(Protocol):
    """Features by name; one that is not there can neither be read nor written. The others raise `CameraFault`."""

    def can_read(self, name: str) -> bool: ...

    def can_write(self, name: str) -> bool: ...

    def text(self, name: str) -> str: ...

    def number(self, name: str) -> float: ...

    def choices(self, name: str) -> tuple[str, ...]:
        """Entries of an enumeration; none when it is not there."""
        ...

    def write(self, name: str, value: str) -> None: ...


class NodeFeatures(ABC):
    """Implements `Features` for libraries that give each feature as an object, a node, and raise something of their own.

    A library's subclass makes `CameraFault` of that.
    """

    @abstractmethod
    def can_read(self, name: str) -> bool: ...

    @abstractmethod
    def can_write(self, name: str) -> bool: ...

    @abstractmethod
    def text(self, name: str) -> str: ...

    @abstractmethod
    def number(self, name: str) -> float: ...

    def choices(self, name: str) -> tuple[str, ...]:
        """Entries of an enumeration; none when it is not there."""
        return self._entries(name) if self.can_read(name) else ()

    def write(self, name: str, value: str) -> None:
        """Raises `CameraFault`, which names the feature and what was asked of it."""
        if not self.can_write(name):
            raise CameraFault(f"its feature {name} {'cannot be set' if self.can_read(name) else 'is not there'}")
        try:
            self._write(name, value)
        except CameraFault as problem:
            raise CameraFault(f"{name}={value}: {problem}") from problem

    @abstractmethod
    def _entries(self, name: str) -> tuple[str, ...]: ...

    @abstractmethod
    def _write(self, name: str, value: str) -> None: ...


def configure(features: Features, options: GenicamOptions) -> None:
    """Set what was given, and the trigger in any case. Raises `CameraFault`."""
    _set_region(features, options)
    set_format(features, options.format)
    if options.exposure_us is not None:
        _set_number(features, EXPOSURE, options.exposure_us, "ExposureAuto")
    if options.gain is not None:
        _set_number(features, GAIN, options.gain, "GainAuto")
    for channel, ratio in options.white_balance().items():
        features.write("BalanceRatioSelector", channel)
        _set_number(features, BALANCE, ratio, "BalanceWhiteAuto")
    if options.rate is not None:
        if features.can_write("AcquisitionFrameRateEnable"):
            features.write("AcquisitionFrameRateEnable", "1")
        _set_number(features, RATE, options.rate)
    if features.can_write("AcquisitionMode"):
        features.write("AcquisitionMode", "Continuous")
    _set_trigger(features, options.trigger)


def read_back(features: Features, options: GenicamOptions) -> dict[str, str | float]:
    """What the camera says it is and does, whatever was asked of it. Raises `CameraFault` when its format is another one."""
    found: dict[str, str | float] = {}
    for name, texts in (
        ("vendor", ("DeviceVendorName",)),
        ("model", ("DeviceModelName",)),
        ("serial", ("DeviceSerialNumber", "DeviceID")),
        ("format", ("PixelFormat",)),
    ):
        if there := _first(features, texts):
            found[name] = features.text(there)
    for name, numbers in (("exposure_us", EXPOSURE), ("gain", GAIN)):
        if there := _first(features, numbers):
            found[name] = features.number(there)
    for channel in options.white_balance():
        features.write("BalanceRatioSelector", channel)
        found[channel.lower()] = features.number(_first(features, BALANCE) or BALANCE[0])
    if options.rate is not None:
        found["rate"] = features.number(_first(features, RATE) or RATE[0])
    found |= {"x": _whole(features, "OffsetX"), "y": _whole(features, "OffsetY")}
    found |= {"width": int(features.number("Width")), "height": int(features.number("Height")), "trigger": options.trigger}
    if found.get("format") not in {options.format, OLD_FORMATS.get(options.format)}:
        raise CameraFault(f"it has pixel format {found.get('format')}, not {options.format}")
    return found


def capabilities(features: Features, timestamps: bool) -> Capabilities:
    """What the features offer; whether frames bear a time is not among them."""
    return Capabilities(
        hardware_trigger=any(source.startswith("Line") for source in features.choices("TriggerSource")),
        software_trigger=features.can_write("TriggerSoftware") or "Software" in features.choices("TriggerSource"),
        timestamps=timestamps,
        chunk_data=features.can_read("ChunkModeActive"),
    )


def set_format(features: Features, pixel_format: str) -> None:
    """By its name, or the one it had before the standard. Raises `CameraFault`."""
    old = OLD_FORMATS.get(pixel_format)
    there = features.choices("PixelFormat")
    name = old if old in there and pixel_format not in there else pixel_format
    if there and name not in there:
        raise CameraFault(f"it has no pixel format {pixel_format}, only {', '.join(there)}")
    if name is not None and (not features.can_read("PixelFormat") or features.text("PixelFormat") != name):
        features.write("PixelFormat", name)


def _set_region(features: Features, options: GenicamOptions) -> None:
    if not options.region_is_set():
        return
    for name in ("OffsetX", "OffsetY"):  # so that any size has room
        if features.can_write(name):
            features.write(name, "0")
    for name, value in (("Width", options.width), ("Height", options.height)):
        if value is not None:
            features.write(name, str(value))
    for name, value in (("OffsetX", options.x), ("OffsetY", options.y)):
        if value:
            features.write(name, str(value))


def _set_trigger(features: Features, trigger: str) -> None:
    selectors: tuple[str, ...] = features.choices("TriggerSelector") if features.can_write("TriggerSelector") else ()
    for selector in selectors or ("",):
        with contextlib.suppress(CameraFault):  # an entry may be listed and not be there now
            if selector:
                features.write("TriggerSelector", selector)
            if features.can_write("TriggerMode"):
                features.write("TriggerMode", "Off")
    if trigger == "free":
        return
    if trigger == "software" and not (features.can_write("TriggerSoftware") or "Software" in features.choices("TriggerSource")):
        raise CameraFault("it has no feature TriggerSoftware, so it cannot be fired by software")
    if selectors:
        features.write("TriggerSelector", "FrameStart")
    features.write("TriggerSource", "Software" if trigger == "software" else trigger)
    features.write("TriggerMode", "On")


def _set_number(features: Features, names: tuple[str, ...], value: float, automatic: str = "") -> None:
    """In the first of the features that is there; an automatism would not let it be set."""
    if automatic and features.can_write(automatic) and features.text(automatic) != "Off":
        features.write(automatic, "Off")
    name = _first(features, names) or names[0]
    features.write(name, str(round(value)) if name in _WHOLE else f"{value:.15g}")


def _first(features: Features, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if features.can_read(name)), None)


def _whole(features: Features, name: str) -> int:
    return int(features.number(name)) if features.can_read(name) else 0
