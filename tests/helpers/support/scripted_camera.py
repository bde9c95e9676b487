"""The source over every industrial camera, with drivers that do what a test tells them to."""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from edge.camera.frame import Capabilities, SourceTimeout, Trigger
from edge.camera.industrial import search
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import GenicamOptions, parse_options
from edge.camera.industrial.source import CameraSource
from edge.contracts.errors import SourceError

GONE = CameraFault("no answer")
LOST_AND_BACK = ["camera_lost", "camera_back"]


class ScriptedDevice:
    """Implements `CameraDevice` from a script: frames as id, (id, fault) or (id, fault, camera's ns), or a fault to raise."""

    capabilities = Capabilities()

    def __init__(self, script: deque[Any], settings: dict[str, str | float], age_ms: float | None) -> None:
        self.settings = dict(settings)
        self.counts_exposures = True
        self.age_ms = age_ms
        self.restarts = 0
        self.grabbed = 0
        self._script = script

    def fire(self) -> None:
        pass

    def grab(self, timeout_s: float) -> Grabbed | None:
        step = self._script.popleft() if self._script else None
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        self.grabbed += 1
        raw, fault, camera_ns = (*step, None, None)[:3] if isinstance(step, tuple) else (step, None, None)
        pixels = None if fault else np.zeros((2, 4, 3), np.uint8)
        return Grabbed(raw, pixels, fault or "", camera_ns, time.monotonic_ns(), self.age_ms)

    def check(self) -> None:
        pass

    def restart(self) -> None:
        self.restarts += 1

    def statistics(self) -> dict[str, int]:
        return {"underruns": self.grabbed, "completed": self.grabbed}

    def close(self) -> None:
        pass


class Bench:
    """A source over scripted devices, one after the other; None among them: the camera cannot be opened."""

    def __init__(self, options: str, monkeypatch: pytest.MonkeyPatch, opens: Sequence[bool] = ()) -> None:
        monkeypatch.setattr(search, "FIRST_WAIT_S", 0.0)
        monkeypatch.setattr(search, "LONGEST_WAIT_S", 0.0)
        self.script: deque[Any] = deque()
        self.devices: list[ScriptedDevice] = []
        self.age_ms: float | None = None
        self.settings: dict[str, str | float] = {"width": 4, "height": 2, "serial": "A", "exposure_us": 2000.0}
        self._opens = deque(opens)
        _, given = parse_options("test", f"camera,{options}", GenicamOptions)
        self.source = CameraSource("test:camera", 0.13, given, self._open)

    def _open(self, open_s: float) -> ScriptedDevice:
        if self._opens and not self._opens.popleft():
            raise SourceError("nothing answers there")
        self.devices.append(ScriptedDevice(self.script, self.settings, self.age_ms))
        return self.devices[-1]

    def expect(self, *indices: int) -> None:
        for index in indices:
            self.source.expect(Trigger(f"t{index}", index, None))

    def ends(self, reads: int = 14) -> list[str]:
        seen = []
        for _ in range(reads):
            with suppress(SourceTimeout):
                frame = self.source.read(0.01)
                seen.append(f"{frame.trigger_id or 'nobody'} {frame.status} {frame.frame_id}")
        return seen

    def settled(self) -> list[str]:
        """What is said until the line has been quiet for long enough."""
        said, deadline_s = self.codes(), time.monotonic() + 10
        while "in_step" not in said and time.monotonic() < deadline_s:
            self.ends(1)
            said += self.codes()
        return said

    def codes(self) -> list[str]:
        return [note.code for note in self.source.notes()]
