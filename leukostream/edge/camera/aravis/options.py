"""What may stand behind `aravis:`."""

import re
from typing import Literal

from pydantic import Field, ValidationError

from leukostream.edge.contracts.base import Strict, explain
from leukostream.edge.contracts.errors import ConfigError

PixelFormat = Literal["RGB8", "BGR8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8", "Mono8"]


class AravisOptions(Strict):
    """Camera settings; what is not given stays as the camera has it. All are read back and become part of the run."""

    trigger: str = Field(
        "free",
        pattern="^(free|software|Line[0-9]+)$",
        description="free: the camera paces itself; software: the edge fires it for each TRIGGER; Line0, ...: the scanner does",
    )
    format: PixelFormat = Field("RGB8", description="pixel format asked of the camera")
    exposure_us: float | None = Field(None, gt=0, le=1e7)
    gain: float | None = Field(None, ge=0, le=100, description="in the camera's own unit, mostly dB")
    rate: float | None = Field(None, gt=0, le=1000, description="frames per second of a free-running camera")
    x: int = Field(0, ge=0)
    y: int = Field(0, ge=0)
    width: int | None = Field(None, ge=32, le=16384, description="of the region, pixels; the camera's when not given")
    height: int | None = Field(None, ge=32, le=16384)
    packet: int | None = Field(None, ge=576, le=16000, description="bytes of a GigE Vision packet; 1500 without jumbo frames")
    buffers: int = Field(16, ge=2, le=256, description="frames that may wait in the driver")
    open_s: float = Field(8.0, gt=0, le=120, description="how long to try: a dead client keeps a camera for some seconds")
    lost_s: float = Field(15.0, ge=0, le=3600, description="how long to look for a camera that was lost; 0: give up at once")


def parse_aravis(rest: str) -> tuple[str, AravisOptions]:
    """Read `ADDRESS,NAME=VALUE,...`. Raises `ConfigError` in one sentence that names the options there are."""
    address, *parts = (part.strip() for part in rest.split(","))
    known = ", ".join(AravisOptions.model_fields)
    if not re.fullmatch(r"[\w.:-]+", address):
        raise ConfigError(
            f"source 'aravis:{rest}' names no camera; write aravis:192.168.1.20, or a camera id of `leuko-edge cameras`."
        )
    values: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not value or name in values:
            raise ConfigError(f"{part!r} in source 'aravis:{rest}' is not NAME=VALUE, once each; the options are {known}.")
        values[name] = value
    try:
        return address, AravisOptions.model_validate(values)
    except ValidationError as problem:
        raise ConfigError(f"source 'aravis:{rest}' cannot be used: {explain(problem)}; the options are {known}.") from problem
