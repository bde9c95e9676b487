"""The virtual scanner's stage, trigger line and faults: what `Scanner` has in its hands in a virtual scan."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.contracts.records import Advice, Record, StagePosition
from edge.contracts.run_order import RunOrder
from edge.scanner.fault_plan import FaultPlan
from edge.scanner.pulse_line import Pulse, PulseSender
from edge.scanner.rig import Mishap
from edge.virtual.virtual_stage import StageSettings, VirtualStage

_SWUNG = 0.15
"""Of the settle time has passed when a fault exposes too early."""
_DEFOCUS_UM = 8.0
_DARK = 0.2
_MISHAPS: tuple[Mishap, ...] = ("disconnect", "stall", "restart")
OF_THE_CAMERA = frozenset({"pulse-twice", "dropped", "duplicated", "damaged", "frozen", "late", "camera-gone"})


@dataclass
class Exposures:
    """What the camera was really made to do, in order: `pulses` by the camera's own frame counter since it was switched on."""

    first_id: int
    pulses: dict[int, Pulse] = field(default_factory=dict)
    n: int = 0

    def add(self, pulse: Pulse) -> None:
        for _ in range(2 if "pulse-twice" in pulse.faults else 1):
            self.n += 1
            self.pulses[(self.first_id + self.n - 2) % 65535 + 1] = pulse


class VirtualRig:
    """Implements `Rig`: visits `places_um` by index, exposes for `exposure_ms`, and fails as `faults` says.

    It orders `target` leukocytes and stops once the edge's advice to do so is final. `kill_edge` is called for that fault.
    """

    def __init__(
        self,
        places_um: list[tuple[float, float]],
        stage: StageSettings,
        exposure_ms: float,
        faults: FaultPlan,
        seed: int,
        line: PulseSender,
        target: int,
        first_id: int,
        kill_edge: Callable[[], None],
    ) -> None:
        self._places_um = places_um
        self._stage, self._exposure_ms = VirtualStage(stage, seed), exposure_ms
        self._faults = faults
        self._line = line
        self._target = target
        self._first_id = first_id
        self._kill_edge = kill_edge
        self._mishaps: deque[Mishap] = deque()
        self.lives = [Exposures(first_id)]
        """one for each time that the camera was switched on: with each process of the edge"""
        self.injected: dict[int, tuple[str, ...]] = {}
        self.target_reached_at: int | None = None
        """the field with which the target was final"""
        self._is_done = False

    @property
    def is_done(self) -> bool:
        return self._is_done

    def order(self) -> RunOrder | None:
        """The target, over the fields of all runs: one that continues another goes on with its count."""
        return RunOrder(target_leukocytes=self._target)

    def stage_of(self, field_index: int) -> StagePosition:
        """The stage says that it is where it was told to be: its errors are what nobody knows."""
        x_um, y_um = self._places_um[field_index]
        return StagePosition(x_nm=round(x_um * 1000), y_nm=round(y_um * 1000))

    def pulse(self, field_index: int) -> None:
        faults = self._faults.at(field_index)
        if field_index in self.injected:  # exposed again in another run: what goes wrong goes wrong once
            faults = ()
        if faults:
            self.injected[field_index] = faults
        standing = self._stage.move(
            field_index,
            self._places_um[field_index],
            self._exposure_ms,
            _SWUNG if "unsettled" in faults else 1.0,
            stuck="stuck" in faults,
        )
        pulse = Pulse(
            field_index,
            standing.x_um,
            standing.y_um,
            standing.smear_um,
            _DEFOCUS_UM if "defocus" in faults else 0.0,
            _DARK if "dark" in faults else 1.0,
            tuple(fault for fault in faults if fault in OF_THE_CAMERA),
        )
        if "pulse-lost" not in faults:
            self.lives[-1].add(pulse)
            self._line.send(pulse)
        self._mishaps.extend(mishap for mishap in _MISHAPS if mishap in faults)
        if "edge-killed" in faults:
            self._kill_edge()
            self.lives.append(Exposures(self._first_id))

    def mishap(self) -> Mishap | None:
        return self._mishaps.popleft() if self._mishaps else None

    def has_enough(self, record: Record) -> bool:
        if isinstance(record, Advice) and record.advice == "stop" and record.final:
            self._is_done, self.target_reached_at = True, record.field_index
        return self._is_done
