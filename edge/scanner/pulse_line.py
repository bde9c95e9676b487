"""The trigger line of the virtual scanner: a datagram per pulse, which says what is under the lens when the shutter opens.

Like a wire it holds nothing back: a pulse that nobody listens to is gone.
"""

import json
import socket
import time
from dataclasses import asdict, dataclass

_LARGEST = 4096
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Pulse:
    """One exposure: where the stage really stands (um), how far it moves meanwhile, focus, light, and the camera's faults.

    `t_ns` is the monotonic time of this machine. `light` 1 is as it should be.
    """

    field_index: int
    x_um: float
    y_um: float
    smear_um: tuple[float, float] = (0.0, 0.0)
    defocus_um: float = 0.0
    light: float = 1.0
    faults: tuple[str, ...] = ()
    t_ns: int = 0


class PulseSender:
    """The scanner's end."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._at = (_LOOPBACK, port)

    def send(self, pulse: Pulse) -> None:
        """Nobody says whether it has arrived."""
        line = asdict(pulse) | {"t_ns": time.monotonic_ns()}
        self._socket.sendto(json.dumps(line).encode(), self._at)

    def close(self) -> None:
        self._socket.close()


class PulseListener:
    """The camera's end. Raises OSError when the port is taken."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((_LOOPBACK, port))
        except OSError:
            self._socket.close()
            raise

    def wait(self, timeout_s: float) -> Pulse | None:
        """The next pulse; None when none comes in time."""
        self._socket.settimeout(max(timeout_s, 1e-4))
        try:
            line = json.loads(self._socket.recv(_LARGEST))
        except (TimeoutError, BlockingIOError):
            return None
        return Pulse(**line | {"smear_um": tuple(line["smear_um"]), "faults": tuple(line["faults"])})

    def forget(self) -> None:
        """Pulses that wait are none of what begins now."""
        while self.wait(0.0) is not None:
            pass

    def close(self) -> None:
        self._socket.close()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
