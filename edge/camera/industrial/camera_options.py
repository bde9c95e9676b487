"""What may stand behind the address of a camera, as `NAME=VALUE` with commas in between."""

import re
from typing import TypeVar

from pydantic import Field, ValidationError

from edge.camera.frame import PixelFormat
from edge.contracts.base import Strict, explain
from edge.contracts.errors import ConfigError


class CameraOptions(Strict):
    """How long a camera may be silent, late or gone."""

    open_s: float = Field(8.0, gt=0, le=120, description="how long to try: a dead client keeps a camera for some seconds")
    lost_s: float = Field(15.0, ge=0, le=3600, description="how long to look for a camera that was lost; 0: the run ends")
    silent_s: float = Field(5.0, gt=0, le=3600, description="a free-running camera without a frame for so long was lost")
    quiet_s: float = Field(
        1.0, gt=0, le=60, description="a trigger line that fell out of step with its frames must be silent for so long"
    )
    frozen_frames: int = Field(
        5,
        ge=0,
        le=10_000,
        description="a run ends after so many frames that repeat the one before to the last bit; 0: never",
    )
    max_age_ms: float = Field(1000.0, gt=0, le=60_000, description="an event says when frames are older than that when read")


class GenicamOptions(CameraOptions):
    """Camera settings; what is not given stays as the camera has it. All are read back and become part of the run."""

    trigger: str = Field(
        "free",
        pattern="^(free|software|Line[0-9]+)$",
        description="free: the camera paces itself; software: the edge fires it for each TRIGGER; Line0, ...: the scanner does",
    )
    format: PixelFormat = Field("RGB8", description="pixel format asked of the camera")
    exposure_us: float | None = Field(None, gt=0, le=1e7)
    gain: float | None = Field(None, ge=0, le=100, description="in the camera's own unit, mostly dB")
    red: float | None = Field(None, gt=0, le=16, description="white balance: ratio of this channel")
    green: float | None = Field(None, gt=0, le=16)
    blue: float | None = Field(None, gt=0, le=16)
    rate: float | None = Field(None, gt=0, le=1000, description="frames per second of a free-running camera")
    x: int = Field(0, ge=0)
    y: int = Field(0, ge=0)
    width: int | None = Field(None, ge=32, le=16384, description="of the region, pixels; the camera's when not given")
    height: int | None = Field(None, ge=32, le=16384)
    buffers: int = Field(16, ge=2, le=256, description="frames that may wait in the driver")

    def white_balance(self) -> dict[str, float]:
        """Ratios by GenICam's name of the channel; only those that were given."""
        given = {"Red": self.red, "Green": self.green, "Blue": self.blue}
        return {channel: ratio for channel, ratio in given.items() if ratio is not None}

    def region_is_set(self) -> bool:
        """Whether anything of the region was given."""
        return bool(self.x or self.y) or self.width is not None or self.height is not None


class AravisOptions(GenicamOptions):
    """Those of GigE Vision besides."""

    packet: int | None = Field(None, ge=576, le=16000, description="bytes of a GigE Vision packet; 1500 without jumbo frames")


Options = TypeVar("Options", bound=CameraOptions)


def parse_options(scheme: str, rest: str, kind: type[Options], address_pattern: str = r"[\w.:-]+") -> tuple[str, Options]:
    """Read `ADDRESS,NAME=VALUE,...`. Raises `ConfigError` in one sentence that names the options there are."""
    address, parts = _split(rest, kind)
    uri, known = f"{scheme}:{rest}", ", ".join(kind.model_fields)
    if not re.fullmatch(address_pattern, address):
        raise ConfigError(f"source {uri!r} names no camera; take what `leuko-edge cameras` lists, or see `docs/cameras.md`.")
    values: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not value or name in values:
            raise ConfigError(f"{part!r} in source {uri!r} is not NAME=VALUE, once each; the options are {known}.")
        values[name] = value
    try:
        return address, kind.model_validate(values)
    except ValidationError as problem:
        raise ConfigError(f"source {uri!r} cannot be used: {explain(problem)}; the options are {known}.") from problem


def _split(rest: str, kind: type[CameraOptions]) -> tuple[str, list[str]]:
    """The address and what follows it. A URL may hold commas: there, options begin with the first known name."""
    parts = [part.strip() for part in rest.split(",")]
    if "://" not in parts[0] and "!" not in parts[0]:
        return parts[0], parts[1:]
    first = next((at for at, part in enumerate(parts) if at and part.partition("=")[0] in kind.model_fields), len(parts))
    return ",".join(rest.split(",")[:first]).strip(), parts[first:]
