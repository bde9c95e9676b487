"""What a simulated scanner is to do, and how often what goes wrong with it: the options of `leuko-edge simulate`.

It stands alone, so that they can be listed without a socket being loaded.
"""

from pydantic import Field

from edge.contracts.base import Strict


class ScanPlan(Strict):
    """`*_every` is the mean number of steps (announcements and records) between two mishaps of a kind; 0: never."""

    fields: int = Field(100, ge=1, le=10**6, description="fields to expose")
    rate: float = Field(0.0, ge=0, le=1000, description="fields per second; 0: as fast as there is credit")
    seed: int = Field(0, ge=0, description="of the mishaps")
    window: int = Field(64, ge=1, le=100_000, description="records the edge may send ahead of what was read")
    disconnect_every: float = Field(0.0, ge=0, description="the connection is closed without a word and opened anew")
    stall_every: float = Field(0.0, ge=0, description="nothing is read for stall_s")
    stall_s: float = Field(0.5, ge=0, le=600, description="length of a stall")
    restart_every: float = Field(0.0, ge=0, description="the scanner forgets all but its notebook")
    max_runs: int = Field(50, ge=1, description="runs to continue with when the edge was interrupted")
    patience_s: float = Field(30.0, gt=0, le=3600, description="how long to look for an edge that is gone")
    dead_after_s: float = Field(5.0, gt=0, le=600, description="an edge not heard for so long is looked for anew")
    stage_step_um: float = Field(95.0, ge=0, description="way of the stage from field to field")
