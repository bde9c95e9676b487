"""Batch and deadline as they were measured on one engine: a setting that is right for one is wrong for another."""

import hashlib
from typing import Literal

from pydantic import Field

from edge.contracts.base import Sha256, Strict
from edge.contracts.colours import Dated


class EngineIdentity(Strict):
    """What a latency depends on. A compiled engine is known by its key, OpenVINO by everything else."""

    bundle_id: Sha256
    runtime: str
    version: str
    precision: str
    threads: int | None = Field(None, ge=1, description="of OpenVINO; null: a compiled engine")
    processor: str = Field(description="CPU, or GPU of a compiled engine")
    engine_key: str | None = Field(None, description="of the compiled engine; null: OpenVINO")
    hint: Literal["throughput"] | None = Field(None, description="of OpenVINO; null: latency, or a compiled engine")

    @property
    def key(self) -> str:
        """The name under which a profile keeps what was measured on this engine."""
        if self.engine_key is not None:
            return self.engine_key
        # With the hint latency a profile from before there was another is of the same engine.
        about = self.model_dump_json(exclude=None if self.hint else {"hint"})
        return f"openvino-{hashlib.sha256(about.encode()).hexdigest()[:16]}"

    def __str__(self) -> str:
        threads = f", {self.threads} threads" if self.threads is not None else ""
        how = f"{self.precision}{threads}" + (f", hint {self.hint}" if self.hint is not None else "")
        return f"{self.runtime} {self.version} on {self.processor}, {how}, bundle {self.bundle_id[:12]}"


class LatencyBudget(Strict):
    """What a setting had to stay within."""

    p99_ms: float = Field(gt=0, description="from the trigger to the record, 99 of 100 fields")
    overshoot_fields: float = Field(ge=0, description="fields triggered until a record is there, mean over fields")


class LatencySetting(Dated):
    """The setting with most throughput within the budget, and what it did there."""

    engine: EngineIdentity
    max_batch: int = Field(ge=1, le=256)
    max_delay_ms: float = Field(ge=0, le=60000)
    budget: LatencyBudget
    rate_per_s: float = Field(gt=0, description="fastest triggers, of those tried, that stayed within the budget")
    p99_ms: float = Field(ge=0, description="at that rate")
    overshoot_fields: float = Field(ge=0, description="at that rate, mean over fields")
    fields_per_s: float = Field(gt=0, description="at full speed")
    fields: int = Field(ge=1, description="of every run of the sweep")
    settings_tried: int = Field(ge=1)


class MeasuredLatency(Strict):
    """By the key of the engine: one instrument may use several."""

    engines: dict[str, LatencySetting] = Field(min_length=1)
