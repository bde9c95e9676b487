"""What is to go wrong in a virtual scan, and at which fields: by rate, drawn from the seed, or at a field that is named."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.contracts.errors import ConfigError

FAULTS: dict[str, str] = {
    "unsettled": "stage: exposed before it stands still, the field is smeared and off its place",
    "stuck": "stage: it says that it has moved, and shows the field before",
    "defocus": "stage: 8 um out of focus",
    "dark": "lamp: a fifth of its light",
    "pulse-lost": "trigger: the pulse does not reach the camera",
    "pulse-twice": "trigger: the line bounces, and the camera exposes twice",
    "dropped": "camera: the frame is counted and never comes",
    "duplicated": "camera: the frame comes twice",
    "damaged": "camera: the frame comes damaged",
    "frozen": "camera: the frame before comes again under a new number",
    "late": "camera: the frame comes after its trigger has been given up",
    "camera-gone": "camera: its cable is out for a second",
    "disconnect": "scanner: the connection is closed without a word and opened anew",
    "stall": "scanner: it reads nothing for half a second",
    "restart": "scanner: it is started anew and remembers its notebook alone",
    "edge-killed": "edge: the process is killed and started again with its journal",
}
"""Name, who has it and what it does; the names are those of `--fault`."""

_SPEC = re.compile(r"(?P<name>[a-z-]+)(?:=(?P<rate>[0-9.]+)(?P<percent>%?)|@(?P<field>[0-9]+))")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, at a share of the fields or at one field."""

    name: str
    rate: float = 0.0
    field_index: int | None = None


class FaultPlan:
    """Which faults each field has. The same seed and faults give the same, whatever else happens."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = tuple(faults)
        self._seed = seed

    @property
    def names(self) -> set[str]:
        return {fault.name for fault in self._faults}

    def at(self, field_index: int) -> tuple[str, ...]:
        """Names, each once, in the order of `FAULTS`."""
        found = {fault.name for fault in self._faults if self._happens(fault, field_index)}
        return tuple(name for name in FAULTS if name in found)

    def _happens(self, fault: Fault, field_index: int) -> bool:
        if fault.field_index is not None:
            return fault.field_index == field_index
        draw = np.random.default_rng([self._seed, 0xFA17, list(FAULTS).index(fault.name), field_index]).random()
        return bool(draw < fault.rate)


def parse_faults(specs: Sequence[str], seed: int) -> FaultPlan:
    """Read `NAME=RATE` (a share of the fields, as 0.02 or 2%) and `NAME@FIELD`. Raises `ConfigError` with what there is."""
    return FaultPlan([_parsed(spec) for spec in specs], seed)


def _parsed(spec: str) -> Fault:
    found = _SPEC.fullmatch(spec.strip())
    if found is None:
        raise ConfigError(f"fault {spec!r} is neither NAME=RATE, such as dropped=2%, nor NAME@FIELD, such as dropped@17.")
    name = found["name"]
    if name not in FAULTS:
        raise ConfigError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}.")
    if found["field"] is not None:
        return Fault(name, field_index=int(found["field"]))
    return Fault(name, share_of(found["rate"] + found["percent"], f"fault {spec!r}"))


def share_of(text: str, what: str) -> float:
    """A share as `0.15` or `15%`. Raises `ConfigError` for anything but 0 to 1."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100.0 if percent else 1.0)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ConfigError(f"{what} has the share {text!r}, which is not between 0 and 1; write it as 0.15 or as 15%.")
    return share
