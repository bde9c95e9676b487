"""What nobody should read who is only to see how an edge is set: passwords in addresses, tokens."""

import re
from collections.abc import Mapping

HIDDEN = "(not shown)"
_SECRET_NAMES = re.compile(r"(^|[._])(token|password|passwd|secret)s?($|[._])", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://)[^\s/@]+@", re.IGNORECASE)
_IN_QUERY = re.compile(r"(?P<before>[?&;](?:token|password|passwd|pwd|secret|api_?key|user)=)[^&;\s\"']+", re.IGNORECASE)
_CURVE = re.compile(r"(?P<before>secret-key\s*=\s*)\"[^\"]*\"")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def text_without_secrets(text: str) -> str:
    """`text`, in which user and password of an address, tokens of a query and private keys are not shown."""
    text = _IN_ADDRESS.sub(rf"\g<before>{HIDDEN}@", text)
    text = _IN_QUERY.sub(rf"\g<before>{HIDDEN}", text)
    return _PEM.sub(HIDDEN, _CURVE.sub(rf'\g<before>"{HIDDEN}"', text))


def without_secrets(name: str, value: object) -> object:
    """A value of this name, and what is in it, as it may be seen."""
    if value is not None and _SECRET_NAMES.search(name):
        return HIDDEN
    if isinstance(value, str):
        return text_without_secrets(value)
    if isinstance(value, Mapping):
        return {key: without_secrets(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(name, each) for each in value]
    return value
