"""Names that a person or a program gives: checked before anything is done under them."""

from pydantic import TypeAdapter, ValidationError

from edge.contracts.errors import ConfigError
from edge.contracts.messages import Name

_NAME: TypeAdapter[str] = TypeAdapter(Name)


def checked_name(what: str, name: str) -> str:
    """`name`, which is a `what`. Raises `ConfigError` for one that no message can carry."""
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        is_text = "it is too long" if len(name) > 1 else "it is empty"
        wrong = is_text if decodable(name) else "it is not UTF-8"
        shown = name if len(name) <= 40 else f"{name[:40]}..."
        raise ConfigError(
            f"{what} {shown!r} cannot be used: {wrong}; a name has 1 to 128 characters, as UTF-8 where it is bytes."
        ) from None


def decodable(text: str) -> bool:
    """Whether text that came from the command line or from a file's name was UTF-8 there."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """The same text with bytes that were not UTF-8 written out, as `pr\\xe4p`: a record can name any file."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no bytes of a name, but half a character of a file's escapes
        return text.encode("utf-8", "backslashreplace").decode()
