"""What RUN_START may order of a run besides its fields: when to advise its end, what becomes of fields that came out badly, and
how smudge cells count. Every key may be missing.
"""

from typing import Literal

from pydantic import Field, model_validator

from edge.contracts.base import Count, Open, Wire
from edge.contracts.cells import CELLS, UNIDENTIFIED

QualityPolicy = Literal["off", "mark", "suggest", "leave_out"]
"""off: fields are not looked at. mark: a bad one is marked. suggest: and an event names it. leave_out: and its cells are in no
`slide`."""

SmudgePolicy = Literal["apart", "lymphocytes"]
"""apart: smudge cells are no leukocytes. lymphocytes: they are counted as such."""

_QUALITIES: tuple[QualityPolicy, ...] = ("off", "mark", "suggest", "leave_out")
_SMUDGES: tuple[SmudgePolicy, ...] = ("apart", "lymphocytes")
_CLASSES = (*(cell.name for cell in CELLS if cell.is_wbc), UNIDENTIFIED)
_LONGEST_S = 7 * 86400.0


class RunOrder(Wire):
    """When `stop` is advised: as soon as one of the first four holds. Without any of them it never is."""

    target_leukocytes: Count | None = Field(
        None, description="advise `stop` at so many leukocytes, `unidentified` ones included: 100, 200, 400, 500, any"
    )
    limit_width_percent: dict[str, float] = Field(
        default_factory=dict,
        description="advise `stop` once the 95 % limits of each of these classes are at most so many percentage points apart",
    )
    field_cap: Count | None = Field(None, description="advise `stop` after so many fields, whatever was in them")
    time_cap_s: float | None = Field(None, description="advise `stop` with the field that comes so long after the first")
    quality: Open[QualityPolicy] = Field("mark", description="what becomes of a field that came out badly")
    smudges: Open[SmudgePolicy] = Field("apart", description="how smudge cells count, for the stop rule, too")

    @property
    def has_rule(self) -> bool:
        """Whether there is anything at which `stop` would be advised."""
        return bool(self.limit_width_percent) or any(
            limit is not None for limit in (self.target_leukocytes, self.field_cap, self.time_cap_s)
        )


class OrderSetting(RunOrder, extra="forbid"):
    """An order as a file or a command line gives it: a key that is not known is a slip of the pen."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> "OrderSetting":
        if (fault := order_fault(self)) is not None:
            raise ValueError(fault.reason.removesuffix("."))
        return self


class OrderFault(Wire):
    """Why an order cannot be kept: the code of the REJECTED, and a sentence."""

    code: Literal["invalid", "unsupported", "state"]
    reason: str


def order_fault(order: RunOrder) -> OrderFault | None:
    """What is wrong with an order, None when it can be kept."""
    for key, words in (("quality", _QUALITIES), ("smudges", _SMUDGES)):
        if (word := getattr(order, key)) not in words:
            known = ", ".join(f"`{each}`" for each in words)
            return OrderFault(
                code="unsupported", reason=f"`order.{key}` is {word[:64]!r} and this edge knows {known}; give one of them."
            )
    if (wrong := _wrong_value(order)) is not None:
        return OrderFault(code="invalid", reason=wrong)
    return None


def _wrong_value(order: RunOrder) -> str | None:
    for key in ("target_leukocytes", "field_cap"):
        if getattr(order, key) == 0:
            return f"`order.{key}` is 0, which every run has reached; give 1 or more, or leave it out."
    if order.time_cap_s is not None and not 0 < order.time_cap_s <= _LONGEST_S:
        return f"`order.time_cap_s` is {order.time_cap_s:g}; give seconds above 0 and up to {_LONGEST_S:g}, or leave it out."
    for label, width in order.limit_width_percent.items():
        if label not in _CLASSES:
            known = ", ".join(_CLASSES)
            return f"`order.limit_width_percent` names {label[:64]!r}, which is no leukocyte class; they are {known}."
        if not 0 < width < 100:
            return (
                f"`order.limit_width_percent` is {width:g} for {label}; give percentage points above 0 and below 100 (limits "
                "of 45 and 55 % are 10 apart)."
            )
    return None
