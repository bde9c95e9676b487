"""Base models: settings refuse unknown keys, wire records ignore them; both are immutable."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema

from leukostream.edge.contracts.errors import LeukoError


class Strict(BaseModel):
    """Settings, bundles, profiles: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Wire(BaseModel):
    """What crosses the wire: unknown keys are ignored, so that a minor version may add some."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _read_int64(value: object) -> object:
    if isinstance(value, str) and value.lstrip("-").isdigit() and len(value) <= 20:
        return int(value)
    return value


Int64 = Annotated[
    int,
    BeforeValidator(_read_int64),
    Field(ge=-(2**63), lt=2**63),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^-?[0-9]{1,19}$"}),
]
"""A 64-bit integer, a decimal string on the wire: many JSON parsers round integers above 2^53."""

Count = Annotated[int, Field(ge=0, lt=2**53)]
"""A counter that every JSON parser reads exactly."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_Model = TypeVar("_Model", bound=BaseModel)


def explain(problem: ValidationError) -> str:
    """The first few of pydantic's complaints in one sentence: key, what is wrong."""
    parts = []
    for fault in problem.errors()[:3]:
        where = ".".join(str(part) for part in fault["loc"]) or "the document"
        what = "is not a known key" if fault["type"] == "extra_forbidden" else fault["msg"].lower()
        parts.append(f"`{where}` {what}" if what.startswith("is ") else f"`{where}`: {what}")
    more = problem.error_count() - len(parts)
    return "; ".join(parts) + (f" (and {more} more)" if more > 0 else "")


def parse_json(model: type[_Model], text: str | bytes, where: Path | str, error: type[LeukoError]) -> _Model:
    """Validate `text` as `model`; raise `error` with one sentence naming `where` and the offending keys."""
    try:
        return model.model_validate_json(text)
    except ValidationError as problem:
        raise error(f"{where} cannot be used: {explain(problem)}; correct it or write it anew.") from problem
