"""What is done to one scan, all of it drawn from its seed."""

import random
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal[
    "edge killed",
    "scanner killed",
    "both killed",
    "cut (FIN)",
    "cut (RST)",
    "delay",
    "half-open, healed",
    "half-open, cut",
    "slow reader",
]
WEIGHTS: dict[Kind, int] = {
    "edge killed": 5,
    "scanner killed": 5,
    "both killed": 1,
    "cut (FIN)": 3,
    "cut (RST)": 3,
    "delay": 2,
    "half-open, healed": 1,
    "half-open, cut": 1,
    "slow reader": 2,
}
KILLS: set[Kind] = {"edge killed", "scanner killed", "both killed"}
Direction = Literal["up", "down", "both"]
"""From the scanner to the edge, from the edge to the scanner."""
Cable = Literal["without a relay", "before the relay", "behind the relay"]
WhoScans = Literal["own", "letter", "cpp"]
"""Which controller scans: the project's own client, the one that was written from the document alone, or examples/cpp."""
Broken = Literal["", "forgetful edge", "double scanner"]
"""To show that the accounts can fail: an edge that sends what is not on disk yet, a scanner that notes some records twice."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is done when the scanner has got on by `progress`, a share of the scan, since the one before, and then
    `late_s` later. What lasts, lasts for `lasts_s`.
    """

    kind: Kind
    progress: float
    late_s: float
    direction: Direction = "both"
    lasts_s: float = 0.0
    latency_s: float = 0.0
    bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """One scan. `duplicated` is the share of messages that the relay, if there is one, sends twice."""

    seed: int
    fields: int
    window: int
    trigger_window: int
    max_batch: int
    pause_after_records: int
    exposure_s: float
    camera_faults: float
    cable: Cable
    duplicated: float
    faults: tuple[Fault, ...]
    broken: Broken = ""
    controller: WhoScans = "own"
    encodings: tuple[str, ...] = ("json",)
    burst_gap_s: float = 0.0
    keys: bool = False
    retakes: int = 0
    pauses: bool = False
    program: str = ""
    """examples/cpp as it was built"""


def plan_of(seed: int, controller: WhoScans = "own") -> ChaosPlan:
    """The same for the same seed. What only the letter's controller knows is drawn apart, so that both meet the same faults."""
    plan = _faults_of(seed)
    if controller == "own":
        return plan
    draw = random.Random(f"letter {seed}")
    return replace(
        plan,
        controller=controller,
        encodings=draw.choice([("json",), ("msgpack", "json"), ("msgpack",)]),
        burst_gap_s=draw.choice([0.0, 0.00015, 0.002]),
        keys=plan.cable == "without a relay" and draw.random() < 0.6,  # a relay has no key
        retakes=draw.choice([0, 0, 1, 4]),
        pauses=draw.random() < 0.4,
    )


def _faults_of(seed: int) -> ChaosPlan:
    draw = random.Random(seed)
    kinds = draw.choices(list(WEIGHTS), list(WEIGHTS.values()), k=draw.randint(3, 8))
    if not KILLS & {*kinds}:
        kinds[0] = draw.choice(sorted(KILLS))
    return ChaosPlan(
        seed=seed,
        fields=draw.randint(40, 100),
        window=draw.choice([1, 2, 8, 64]),
        trigger_window=draw.choice([1, 4, 16]),
        max_batch=draw.choice([1, 2, 4]),
        pause_after_records=draw.choice([6, 20, 10_000]),
        exposure_s=draw.choice([0.0, 0.002, 0.005]),
        camera_faults=draw.choice([0.0, 0.05, 0.15]),
        cable=draw.choice(["without a relay", "without a relay", "before the relay", "behind the relay"]),
        duplicated=draw.choice([0.1, 0.4]),
        faults=tuple(_fault(draw, kind, 0.9 / len(kinds)) for kind in kinds),
    )


def _fault(draw: random.Random, kind: Kind, share: float) -> Fault:
    # Some fall right after the one before: on a process that is only starting, on a handshake.
    progress = draw.choice([0.0, draw.uniform(0.0, 2 * share), draw.uniform(0.0, 2 * share)])
    late_s = draw.uniform(0.0, 0.03)
    direction: Direction = draw.choice(["up", "down", "both"])
    match kind:
        case "delay":
            return Fault(kind, progress, late_s, direction, draw.uniform(0.05, 0.4), latency_s=draw.uniform(0.002, 0.05))
        case "half-open, healed" | "half-open, cut":
            return Fault(kind, progress, late_s, direction, draw.uniform(0.1, 0.9))
        case "slow reader":
            return Fault(kind, progress, late_s, direction, draw.uniform(0.1, 0.4), bytes_per_s=draw.uniform(1_000, 30_000))
        case _:
            return Fault(kind, progress, late_s)
