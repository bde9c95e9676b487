"""Makes of pydantic's JSON Schema one that holds nothing but JSON Schema 2020-12, and that knows where 64 bits end.

Strict validators refuse keywords and formats of other vocabularies (OpenAPI's `discriminator`, pydantic's `path`); what they
say is said by the rest of the schema, too: every message has its `type` as a `const`.
"""

from typing import Any

_FOREIGN_KEYWORDS = frozenset({"discriminator"})
_FOREIGN_FORMATS = frozenset({"path", "file-path", "directory-path", "binary"})
LOOSE_INT64 = "^-?[0-9]{1,19}$"
"""What the models publish, and the lock holds."""


def strict(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same schema, for strict validators."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        # Below these a key is a name of the user's, and no keyword.
        key: {name: strict(each) for name, each in value.items()} if key in {"properties", "$defs"} else strict(value)
        for key, value in schema.items()
        if key not in _FOREIGN_KEYWORDS and not (key == "format" and value in _FOREIGN_FORMATS)
    }
    if kept.get("pattern") == LOOSE_INT64:
        kept["pattern"] = f"^({up_to(str(2**63 - 1))}|-{up_to(str(2**63))})$"
    return kept


def up_to(greatest: str) -> str:
    """A pattern for decimal numbers from 0 to `greatest`, of as many digits as it has at most."""
    n = len(greatest)
    smaller = [f"[0-9]{{1,{n - 1}}}"] if n > 1 else []
    for place, digit in enumerate(greatest):
        if digit != "0":
            below = "0" if digit == "1" else f"[0-{int(digit) - 1}]"
            rest = f"[0-9]{{{n - place - 1}}}" if n - place - 1 else ""
            smaller.append(greatest[:place] + below + rest)
    return f"({'|'.join([*smaller, greatest])})"
