"""What a driver must offer so that its camera can be a source; it knows nothing of triggers' names or fields."""

from dataclasses import dataclass
from typing import Protocol

from edge.camera.frame import Capabilities
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError

_CREDIBLE_AGE_MS = 60_000.0


class CameraFault(SourceError):
    """The camera or its driver refused a call, or what it gives cannot be trusted."""

    code = "camera"


class CameraLost(SourceError):
    """The camera is gone, or cannot be trusted, and did not come back in time."""

    code = "camera_lost"


@dataclass(frozen=True, slots=True)
class Grabbed:
    """One buffer: `fault` is empty when its pixels are whole.

    `pixels` is uint8 [H, W, 3] or [H, W] in the format the device was opened with, and may lie in a driver's buffer, which goes
    back when the last array over it is gone. `t_camera_ns` is None when the camera has no clock. `age_ms` is the time from the
    frame's arrival at this machine, as the driver has it, to now; None when the driver does not tell. `frame_id` is None when a
    damaged frame does not say which one it is.
    """

    frame_id: int | None
    pixels: Image | None
    fault: str
    t_camera_ns: int | None
    t_host_ns: int
    age_ms: float | None = None

    def arrived_ns(self) -> int | None:
        """When it began to arrive, on the host's monotonic clock; None when nobody can tell."""
        return None if self.age_ms is None else self.t_host_ns - round(self.age_ms * 1e6)


def is_credible_age(age_ms: float) -> bool:
    """Whether a frame can be so old; with any other age its stamp is of another clock, or the clock was set meanwhile."""
    return 0.0 <= age_ms < _CREDIBLE_AGE_MS


class CameraDevice(Protocol):
    """An open, acquiring camera. Every call may raise `CameraFault`; `close` never does."""

    settings: dict[str, str | float]
    """What the camera says it is and does, read back; `width` and `height` are always there."""
    capabilities: Capabilities
    counts_exposures: bool
    """Whether a frame id that is skipped is an exposure that was lost."""

    def fire(self) -> None:
        """Expose by software."""
        ...

    def grab(self, timeout_s: float) -> Grabbed | None:
        """The next buffer, None when none came in time."""
        ...

    def check(self) -> None:
        """Ask a silent camera for something: raises when it is gone, or has another master."""
        ...

    def restart(self) -> None:
        """Begin the acquisition anew, so that no frame of an earlier exposure is under way."""
        ...

    def statistics(self) -> dict[str, int]:
        """What the driver counts, since the device was opened; `underruns` is its frames that had no buffer."""
        ...

    def close(self) -> None:
        """Stop and let go of the camera, also of one that no longer answers."""
        ...
