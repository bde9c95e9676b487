"""XML in whatever encoding its tool wrote it: Python's parser knows five of them and no multi-byte one but UTF-8 and UTF-16."""

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

from edge.contracts.errors import DataError
from edge.contracts.whole_file import read_whole

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, the longer ones first: that of UTF-32 begins with that of UTF-16."""

DECLARED = re.compile(rb"""<\?xml[^>]*?\bencoding\s*=\s*["']([^"']*)["']""")


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file. Raises `DataError`."""
    try:
        return ElementTree.fromstring(_text(path))
    except (ElementTree.ParseError, ValueError, RecursionError) as problem:
        raise DataError(f"label file {path} is not XML ({problem}); copy it again.") from problem


def _text(path: Path) -> str:
    try:
        content = read_whole(path)
    except OSError as problem:
        raise DataError(f"{path} cannot be read ({problem.strerror}); correct its permissions or copy it again.") from problem
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    if encoding is None and (declared := DECLARED.search(content[:200])):
        # Its own declaration could be read byte by byte, so that it is not in one of the wide encodings, whatever it says.
        said = declared[1].decode("ascii", "replace").strip()
        encoding = "utf-8" if said.lower().startswith(("utf-16", "utf16", "ucs", "utf-32")) else said
    elif encoding is None:
        encoding = "utf-16-be" if content.startswith(b"\0<") else "utf-16-le" if content[:2] == b"<\0" else "utf-8"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as problem:
        raise DataError(
            f"label file {path} says that it is {encoding}, which its byte {problem.start} is not; save it again as UTF-8."
        ) from problem
    except LookupError as problem:
        if content.isascii():
            return content.decode("ascii")
        raise DataError(
            f"label file {path} has the encoding {encoding!r}, which is not known; save it again as UTF-8."
        ) from problem
