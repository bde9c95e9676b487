"""Text files that others wrote."""

from pathlib import Path

from edge.contracts.errors import DataError


def read_text(path: Path) -> str:
    """UTF-8 text, with or without the byte order mark that Windows tools put first. Raises `DataError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text (byte {problem.start}); save it again as UTF-8.") from problem
    except OSError as problem:
        raise DataError(f"{path} cannot be read ({problem.strerror}); correct its permissions or copy it again.") from problem
