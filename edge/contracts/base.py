"""Base models: settings refuse unknown keys, wire records ignore them; both are immutable."""

import codecs
import json
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from edge.contracts.errors import LeukoError


class Strict(BaseModel):
    """Settings, bundles, profiles: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Wire(BaseModel):
    """What crosses the wire: unknown keys are ignored, so that a minor version may add some.

    Not-a-number and infinity are refused where a record is made: JSON has neither, and null would be read as "none".
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


def _read_int64(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,19}", value):
        return int(value)
    if info.mode == "json":
        # A bare number may have been rounded by the program that wrote it, and nothing here could tell.
        raise ValueError("a 64-bit integer is a string of decimal digits")
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

Last = Annotated[int, Field(ge=-1, lt=2**53)]
"""The last of something that counts 0, 1, 2, ...; -1 when there is none yet."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _let_unknown_words_in(value: object, known: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    return value if info.mode == "json" and isinstance(value, str) else known(value)


def _publish_as_open(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"type": schema.pop("type"), "enum": schema.pop("enum")}, {"type": "string"}]


_Words = TypeVar("_Words")
Open = Annotated[_Words, WrapValidator(_let_unknown_words_in), Field(json_schema_extra=_publish_as_open)]
"""`Open[Literal[...]]`: words that a later minor version may add to. This side writes the known ones, and reads any."""

_Model = TypeVar("_Model", bound=BaseModel)


def explain(problem: ValidationError) -> str:
    """The first few of pydantic's complaints in one sentence: key, what is wrong."""
    parts = []
    for fault in problem.errors()[:3]:
        where = ".".join(str(part) for part in fault["loc"]) or "the document"
        what = "is not a known key" if fault["type"] == "extra_forbidden" else complaint_of(fault["msg"])
        parts.append(f"`{where}` {what}" if what.startswith("is ") else f"`{where}`: {what}")
    more = problem.error_count() - len(parts)
    return "; ".join(parts) + (f" (and {more} more)" if more > 0 else "")


def _repeated_key(text: str | bytes) -> str | None:
    """The first key that comes twice in one object of a JSON text; None too where it is no JSON, which is said elsewhere."""
    found: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> None:
        if len(items) > 1 and len(keys := [key for key, _ in items]) > len(set(keys)):
            found.append(next(key for key in keys if keys.count(key) > 1))

    try:
        json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return None
    return found[0] if found else None


def complaint_of(message: str) -> str:
    """One of pydantic's messages within a sentence. Its words stay as they are: some are what the user has to type."""
    said = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return said if said != message else f"{message[:1].lower()}{message[1:]}"


def parse_json(model: type[_Model], text: str | bytes, where: Path | str, error: type[LeukoError]) -> _Model:
    """Validate `text` as `model`; raise `error` with one sentence naming `where` and the offending keys.

    A key that an object gives twice is refused: JSON parsers keep the last one and say nothing.
    """
    if text[:3] == codecs.BOM_UTF8 or text[:1] == "\ufeff":
        raise error(f"{where} cannot be used: it begins with a byte order mark, as some editors write; save it without one.")
    if repeated := _repeated_key(text):
        raise error(f"{where} cannot be used: one of its objects gives the key `{repeated}` twice; strike one of the two.")
    try:
        return model.model_validate_json(text)
    except ValidationError as problem:
        raise error(f"{where} cannot be used: {explain(problem)}; correct it or write it anew.") from problem
