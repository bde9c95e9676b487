"""Where the stop rule of a run's order stands: what `running.slide.stop` and the end of a run say of it."""

from typing import Literal

from pydantic import Field

from edge.contracts.base import Count, Open, Wire

StopReason = Literal["leukocytes", "limit_width", "fields", "time"]


class StopReached(Wire):
    """The first place at which one of the order's limits held, cells being taken by field index, then y, then x."""

    reason: Open[StopReason] = Field(description="which limit: the first of these in this order when several held")
    field_index: Count = Field(description="the field with which it held")
    run_id: str | None = Field(None, description="of an earlier run that this one continues; null: of this run")
    wbc: Count = Field(description="leukocytes by then, as the order counts them")


class StopState(Wire):
    """Both null: the scan goes on."""

    provisional: StopReached | None = Field(
        None, description="with all cells that are known so far: null again where a later field takes some of them back"
    )
    final: StopReached | None = Field(None, description="with final cells alone: it never changes again")


class StopResult(Wire):
    """What became of the order's stop rule."""

    final: StopReached | None = Field(None, description="null when no limit was reached")
    wbc: Count = Field(description="leukocytes of the whole run, as the order counts them")
    overshoot_wbc: Count = Field(0, description="of these, counted beyond the place where the limit held")
    overshoot_fields: Count = Field(0, description="fields beyond the one with which it held, in the order of their index")
