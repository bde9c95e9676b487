"""Where the stop rule of a run's order stands, and what a person should look at: parts of `running.slide` and of `run_stop`."""

from typing import Literal

from pydantic import Field

from edge.contracts.base import Count, Open, Wire

StopReason = Literal["leukocytes", "limit_width", "fields", "time"]


FlagName = Literal["blast", "immature_granulocytes", "left_shift", "nrbc", "smudge", "unidentified", "too_few"]


class RaisedFlag(Wire):
    """Something that a person should look at."""

    flag: Open[FlagName]
    value: float = Field(ge=0)
    limit: float = Field(ge=0, description="at least so many raise it; of `too_few`: fewer leukocytes do")
    unit: Open[Literal["cells", "per_100_leukocytes"]]
    source: str = Field(description="where the limit was read, or `chosen here`")


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
